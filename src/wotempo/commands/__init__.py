"""Entry points: one command a file, listed by ``wotempo --help``."""
