"""Twin scenes: the bound of planners without history and with it, and the measures of one planner."""
