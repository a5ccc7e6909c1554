"""One run from start to finish, and what it left."""
