"""A procedural town that writes the NAVSIM format."""
