"""Temporal fusion stages."""
