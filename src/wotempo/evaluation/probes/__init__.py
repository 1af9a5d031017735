"""Measurements of what BEV maps hold: the places of objects, and the velocities of agents."""
