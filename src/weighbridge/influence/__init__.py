"""Which renders earned it: what each is worth to the photos, and what those that are worth least have in common."""
