"""Acceptance criteria for a training run, as Lightning callbacks. Imports torch, lightning and the standard library only."""
