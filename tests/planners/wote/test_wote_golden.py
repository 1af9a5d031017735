"""The published model and ours are the same function (mode ``compat``), the same losses, the same state dict.

``tests/golden/wote/wote_slices.npz`` holds the parts of the reference that ``SLICES`` names: outputs and losses that
the official code gave for the weights and inputs of ``reference_weights``, for one (K1) and two (K2) future steps.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import reference_weights
import torch
from defaults import loss_weights

from wotempo.fusion import build_fusion
from wotempo.planners.config import ModelConfig, sizes
from wotempo.planners.wote.losses import compute_losses
from wotempo.planners.wote.wote import WoTE

# After these the arrays are small enough to keep; the maps come sub-sampled by 8 from the reference itself.
SLICES = {
    "im_rewards": np.s_[:, ::4],
    "sim_rewards": np.s_[:, :, ::8],
    "trajectory_offset": np.s_[:, ::16],
    "trajectory_offset_rewards": np.s_[:, ::4],
    "all_trajectory": np.s_[::16],
    "final_rewards": np.s_[:, ::4],
    "bev_semantic_map": np.s_[:, :, ::2, ::4],
    "fut_bev_semantic_map": np.s_[:, :, ::2, ::4],
}
DIGEST = "1ca0dbd12270368b287ad2834dcb67975de3b56a1d2b66584f04d275e3ee8bbf"
TOLERANCE = 1e-4  # of max |a - b| / max |b|


def build(config: ModelConfig) -> WoTE:
    anchors = torch.from_numpy(reference_weights.anchors())[: config.num_anchors]
    return WoTE(config, anchors, build_fusion("none", config.bev_channels, config.bev_grid))


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["K1", "K2"])
def ours(request) -> tuple[int, dict[str, np.ndarray]]:
    """K, and our outputs under the names of the reference."""
    steps = request.param
    with torch.device("meta"):  # no time for an initialisation that is thrown away
        model = build(replace(sizes("wote"), mode="compat", future_steps=steps, agent_head=True)).eval()
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    model.load_state_dict(reference_weights.weights(shapes), assign=True)
    camera, lidar, status, targets = reference_weights.inputs()
    with torch.no_grad():
        fused = model.encode(camera, lidar)
        train = model.predict(fused, status, targets["sampled_anchor"])
        test = model.select(fused[:1], status[:1])
        terms = compute_losses({k: v.double() for k, v in train.items()}, targets, loss_weights())
    found = {f"train.{k}": v.numpy() for k, v in train.items()} | {f"test.{k}": v.numpy() for k, v in test.items()}
    for key in ("train.bev_semantic_map", "train.fut_bev_semantic_map"):
        found[key] = found[key][:, :, ::8, ::8]
    found["test.all_trajectory"] = found["test.all_trajectory"][0]
    return steps, found | {f"loss.{k}_loss": v.numpy() for k, v in terms.items()}


def deviation(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_slices_of_the_reference(ours, golden_dir):
    steps, found = ours
    with np.load(golden_dir / "wote" / "wote_slices.npz") as reference:
        keys = [key for key in reference if key.startswith(f"K{steps}.")]
        assert len(keys) == 18
        for key in keys:
            _, branch, name = key.split(".")
            mine = found[f"{branch}.{name}"][SLICES.get(name, ...)]
            assert deviation(mine, reference[key]) < TOLERANCE, key


@pytest.mark.shared
def test_the_whole_reference(ours, shared_dir):
    steps, found = ours
    with np.load(shared_dir / "golden" / "wote" / "wote_golden.npz") as reference:
        for key in (key for key in reference if key.startswith((f"K{steps}.t", f"K{steps}.loss"))):
            name = key.partition(".")[2]
            if name.startswith("loss.agent"):
                assert reference[key] == 0  # weight 0: we leave the term out
                assert name not in found
            else:
                assert deviation(found[name], reference[key]) < TOLERANCE, key


@pytest.mark.shared
def test_the_slices_are_of_the_reference(golden_dir, shared_dir):
    with (
        np.load(golden_dir / "wote" / "wote_slices.npz") as slices,
        np.load(shared_dir / "golden" / "wote" / "wote_golden.npz") as reference,
    ):
        for key in slices:
            assert np.array_equal(slices[key], reference[key][SLICES.get(key.split(".")[2], ...)]), key


@pytest.mark.parametrize(("steps", "parameters"), [(1, 63_907_373), (2, 64_562_733)])
def test_the_preset_has_the_published_number_of_parameters(steps, parameters):
    with torch.device("meta"):
        model = build(replace(sizes("wote"), future_steps=steps))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_state_dict_has_the_published_keys_and_shapes():
    """Compared by digest; the full list is compared below where it is at hand."""
    with torch.device("meta"):
        state = build(sizes("wote")).state_dict()
    listing = "\n".join(sorted(f"{key} {tuple(value.shape)}" for key, value in state.items()))
    assert len(state) == 829
    assert sha256(listing.encode()).hexdigest() == DIGEST


@pytest.mark.shared
def test_the_state_dict_is_the_published_list(shared_dir):
    rows = (shared_dir / "reference" / "wote_state_dict.txt").read_text().splitlines()
    published = {key: shape for key, shape, _ in (row.split("\t") for row in rows)}
    with torch.device("meta"):
        state = build(sizes("wote")).state_dict()
    assert {key: str(tuple(value.shape)) for key, value in state.items()} == published


def test_the_tiny_preset_is_the_same_model_in_small():
    """Same keys, but for the ResNets' depth; so what imports, exports or names parameters is proven on it."""

    def stems(config: ModelConfig) -> set[str]:
        with torch.device("meta"):
            keys = build(config).state_dict()
        return {key for key in keys if "encoder.layer" not in key.partition("_backbone.")[2]}

    assert stems(sizes("wote_tiny")) == stems(sizes("wote"))
