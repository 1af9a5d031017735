"""What stages promise when they are driven frame by frame: columns of docs/fusion_properties.md (see properties.py)."""

from __future__ import annotations

import torch
from fusion_streams import DROPPED, LENGTH, scene, stream, windows
from properties import difference, random

from wotempo.fusion import TemporalFusion


def ring_stream(fresh: TemporalFusion) -> None:
    """Driving equals windows bit for bit at batch 1; a frame that has left the window has no influence left."""
    for dtype in (torch.float32, torch.bfloat16):
        stage, data = random(fresh, dtype), scene(1, dtype)
        pairs = list(zip(stream(stage, *data), windows(stage, *data), strict=True))
        for t, (streamed, windowed) in enumerate(pairs):
            # A dropped frame has no map to give; whatever comes out of it is no promise.
            assert torch.equal(streamed, windowed) or t == DROPPED
    stage, (bev, *rest) = random(fresh, torch.float32), scene(1, torch.float32)
    other = bev.clone()
    other[:, 0] = 50.0
    a, b = stream(stage, bev, *rest), stream(stage, other, *rest)
    n = stage.num_frames
    assert all(torch.equal(x, y) for x, y in zip(a[n:], b[n:], strict=True))


def unrolled_stream(fresh: TemporalFusion) -> None:
    """Driving equals the stage's own form unrolled over the whole drive, to 1e-6."""
    stage, (bev, *rest) = random(fresh), scene(2, torch.float64)
    pairs = list(zip(stream(stage, bev, *rest), windows(stage, bev, *rest, n=LENGTH), strict=True))
    for t, (streamed, windowed) in enumerate(pairs):
        assert difference(streamed, windowed) < 1e-6 or t == DROPPED
    assert difference(pairs[-1][0], windows(stage, bev, *rest)[-1]) > 1e-6  # and remembers more than a window


def causal(fresh: TemporalFusion) -> None:
    """What comes out at a frame does not depend on later ones; the same step from the same state gives the same."""
    stage, (bev, path, valid, seconds) = random(fresh, torch.float32), scene(1, torch.float32)
    future = bev.clone()
    future[:, 6:] = 50.0
    turned = path.copy()
    turned[:, 6:, 2] += 0.3
    a, b = stream(stage, bev, path, valid, seconds), stream(stage, future, turned, valid, seconds)
    assert all(torch.equal(x, y) for x, y in zip(a[:6], b[:6], strict=True))
    assert not torch.equal(a[6], b[6])


def stream_batch(fresh: TemporalFusion) -> None:
    """Drives that begin at different times, side by side, equal each by itself."""
    stage, (bev, path, valid, seconds) = random(fresh, torch.float32), scene(3, torch.float32)
    valid[1, :3] = False
    together = stream(stage, bev, path, valid, seconds)
    for b in range(3):
        alone = stream(stage, *(x[b : b + 1] for x in (bev, path, valid, seconds)))
        assert all(difference(x[b], y[0]) < 1e-4 for x, y in zip(together, alone, strict=True))
