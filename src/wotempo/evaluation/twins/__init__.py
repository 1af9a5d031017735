"""Twin scenes: what any planner can reach in them without history and with it, and what a planner makes of them."""
