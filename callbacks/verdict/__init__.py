"""One verdict for the run, written for people and programs."""
