"""The acceptance criteria, one a file."""
