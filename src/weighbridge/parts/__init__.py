"""What a method is made of: no files, no settings."""
