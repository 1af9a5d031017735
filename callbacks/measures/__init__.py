"""Statistics and measures that criteria use."""
