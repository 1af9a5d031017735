"""Simulation and PDM scoring."""
