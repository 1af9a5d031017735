"""Checks of a machine and its data before a run: one pure function per cause, with a finding and its remedy."""
