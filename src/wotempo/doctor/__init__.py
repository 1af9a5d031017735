"""What can be wrong before a run: one pure check per cause, each of which says what it found and how to mend it."""
