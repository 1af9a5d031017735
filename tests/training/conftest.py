"""The micro planner and its batches."""

from micro_wote import make_batch, make_model, micro  # noqa: F401 (fixtures)
