"""The traffic of a town: vehicles and people, and the rules that they follow."""
