"""The typed configuration of a run: its schema, its rules, and how it is composed."""
