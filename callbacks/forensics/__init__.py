"""The record of a failing step, its diagnosis, and its replay from the files alone."""
