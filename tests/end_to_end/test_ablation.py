"""An ablation's jobs: scored on the test split, kept when finished, continued when not, joined in one table."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from verdicts import as_if_killed, statuses

from wotempo.errors import UserError
from wotempo.runs.sweep import SweepTable

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
JOB = (
    "experiment=ablation_small",
    "reuse=true",
    "test=true",
    "trainer.max_epochs=1",
    "data.test.max_scenes=6",
    "trainer.check_val_every_n_epoch=1",
    "data.prepare_workers=1",
)


@pytest.fixture
def job(train, tmp_path):
    """``job(variant, *overrides)`` runs one job in its folder of the sweep."""

    def run(variant: str, *overrides: str):
        folder = tmp_path / "sweep" / f"variant={variant}" / "seed=0"
        folder.mkdir(parents=True, exist_ok=True)
        code, _ = train(*JOB, f"variant={variant}", "data.preset=micro", f"run_dir='{folder}'", *overrides)
        return code, folder

    return run


def test_an_ablation_joins_keeps_and_resumes(job, tmp_path, capsys):
    code, single = job("none")
    _, knowing = job("oracle_velocity")
    for folder in (single, knowing):
        rows = pd.read_parquet(folder / "test.parquet")
        assert len(rows) == 6
        assert rows[["pdms", "nc", "ade"]].notna().all().all()
        assert (rows["future_both_1"] <= rows["future_any_1"]).all()
        assert rows[[f"future_any_{k}" for k in range(8)]].sum(axis=1).ge(64 * 128).all()
    size = json.loads((knowing / "verdict.json").read_text())["facts"]
    assert size["fusion_parameters"] > 0

    trained = (single / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    (single / "test.parquet").unlink()
    assert job("none") == (code, single)  # killed while it was scored: scored again, not trained
    assert (single / "test.parquet").exists()
    assert (single / "checkpoints" / "last.ckpt").stat().st_mtime_ns == trained
    assert "it is not run again" in capsys.readouterr().out

    with pytest.raises(UserError, match="of another configuration"):
        job("none", "optimiser.lr=0.001")
    assert (single / "checkpoints" / "last.ckpt").stat().st_mtime_ns == trained

    as_if_killed(single)
    assert job("none")[0] == code
    # It was killed behind its last step: judged again, not trained.
    assert (single / "checkpoints" / "last.ckpt").stat().st_mtime_ns == trained
    assert sorted(path.name for path in (single / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]

    rule = {"reference": "none", "metric": "pdms", "margin": 0.02}
    SweepTable().on_multirun_end(
        OmegaConf.create({"comparison": rule, "hydra": {"sweep": {"dir": str(tmp_path / "sweep")}}})
    )
    page = (tmp_path / "sweep" / "ablation.md").read_text()
    assert "oracle_velocity" in page
    assert len(json.loads((tmp_path / "sweep" / "ablation.json").read_text())) == 2


def test_runs_on_a_frozen_encoder_share_its_cached_maps(train, workspace):
    _, single = train("experiment=ablation_small", "data.preset=micro", "variant=none", "trainer.max_epochs=1",
                      "trainer.check_val_every_n_epoch=1", "optimiser.lr=1e-4")  # fmt: skip
    checkpoint = single["run_dir"] / "checkpoints" / "last.ckpt"
    frozen = ("experiment=ablation_small", "data.preset=micro", f"init_from='{checkpoint}'", "trainer.max_epochs=1",
              "trainer.check_val_every_n_epoch=1", "model.frozen_backbone=true",
              "acceptance.gradient_flow.upstream=false")  # fmt: skip
    stamps = []
    for variant in ("convgru", "repeat_current"):
        _, verdict = train(*frozen, f"variant={variant}")
        assert statuses(verdict)["shapes"] == "pass"
        assert statuses(verdict)["gradient_flow"] == ("pass" if variant == "convgru" else "skipped")
        weights = [torch.load(path, weights_only=True)["state_dict"] for path in
                   (checkpoint, verdict["run_dir"] / "checkpoints" / "last.ckpt")]  # fmt: skip
        same = {k: torch.equal(v, weights[1][k]) for k, v in weights[0].items() if k.startswith("model._backbone")}
        assert all(same.values())
        assert not torch.equal(*(w["model.reward_head.0.weight"] for w in weights))
        parts = sorted(workspace.glob("cache/*/bev-*/*/*/part-*.npy"))
        stamps.append([(part.name, part.stat().st_mtime_ns) for part in parts])
    assert stamps[0] == stamps[1] != []
