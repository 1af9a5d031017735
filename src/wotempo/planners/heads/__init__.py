"""Heads that planners share: boxes of agents, semantic map, and the layers that they are made of."""
