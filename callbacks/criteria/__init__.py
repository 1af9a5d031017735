"""The acceptance criteria, one a file; none imports another."""
