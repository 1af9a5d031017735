"""Batches of windows."""

from __future__ import annotations


def apart(batch: dict) -> dict:
    """The batch with frames of its own for every window, as if they lay far from each other: nothing is shared, and no
    window's history is another one's present."""
    samples, window = batch["frame_index"].shape
    frames = {key: batch[key][batch["frame_index"]].flatten(0, 1) for key in ("camera", "lidar")}
    return {
        **batch,
        **frames,
        "frame_index": batch["frame_index"].new_tensor(range(samples * window)).view(samples, -1),
    }
