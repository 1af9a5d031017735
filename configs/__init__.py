"""Hydra configuration of wotempo."""
