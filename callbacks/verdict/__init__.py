"""The verdict of a run: its files, its card, its exit code."""
