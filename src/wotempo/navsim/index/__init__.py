"""The index of logs: what a start needs of every frame, in columns, so that no log is held and none is read twice."""
