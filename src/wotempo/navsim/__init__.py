"""The NAVSIM on-disk format."""
