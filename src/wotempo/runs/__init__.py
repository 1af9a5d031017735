"""The folder of a run: its parts, its identity, its exclusive use, and how an interrupted run is continued."""
