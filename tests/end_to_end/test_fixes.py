"""docs/troubleshooting.md, tried: each symptom is brought about, ends with its criterion, and is gone with the fix."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict

import pytest
from small_run import NETWORK
from verdicts import failed

from wotempo.errors import UserError
from wotempo.planners.config import sizes
from wotempo.records.evidence import token_hash

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
BASE = ("experiment=convgru_1epoch", "trainer.limit_val_batches=1")
# The network of the tiny preset again: the smaller one of these tests saturates at such a rate, and stays finite.
TINY = asdict(sizes("wote_tiny"))
KEYS = [word.partition("=")[0].removeprefix("model.") for word in NETWORK]
WHOLE = tuple(f"model.{key}={list(TINY[key]) if isinstance(TINY[key], tuple) else TINY[key]}" for key in KEYS)
SYMPTOMS = [
    (
        "finite",
        10,
        (*WHOLE, "optimiser.lr=0.9", "trainer.gradient_clip_val=null"),
        ("optimiser.lr=1e-4", "trainer.max_epochs=1"),
    ),
    ("loss", 12, ("optimiser.lr=1e-9",), ("optimiser.lr=1e-3",)),
]


@pytest.mark.parametrize(("criterion", "exit_code", "symptom", "fix"), SYMPTOMS, ids=[row[0] for row in SYMPTOMS])
def test_the_symptom_ends_with_its_criterion_and_the_fix_mends_it(criterion, exit_code, symptom, fix, train):
    code, verdict = train(*BASE, *symptom)
    assert code == exit_code, verdict["reason"]
    assert criterion in failed(verdict)
    _, verdict = train(*BASE, *symptom, *fix)
    assert criterion not in failed(verdict), verdict["reason"]


def test_missing_history_files_are_refused_and_may_be_masked(micro_town, train, tmp_path):
    from defaults import run_config

    from wotempo.datasets import dataset_of, split_scenes

    root = shutil.copytree(micro_town, tmp_path / "town")
    here = (*BASE, "profile=smoke", f"data.root={root}", f"workspace={tmp_path}", "data.full_history_only=true")
    data = run_config("data.preset=micro", f"data.root={root}", "data.full_history_only=true").data
    dataset = dataset_of(data, str(tmp_path))
    paths = dataset.here()
    oldest = split_scenes(dataset, paths, "train", lambda *_: None)[0].history[0]
    (paths.blob_dir("trainval") / oldest.lidar_path).unlink()
    with pytest.raises(UserError, match=r"1 of .* sensor files are missing"):
        train(*here)
    code, verdict = train(*here, "data.missing=mask")
    assert code == 0, verdict["reason"]
    sets = json.loads((verdict["run_dir"] / "tokens.json").read_text())
    assert sets["train"]["masked"] > 0
    for split, about in verdict["facts"]["token_sets"].items():
        tokens = sets[split].pop("tokens")
        assert sets[split] == about
        assert (about["count"], about["hash"]) == (verdict["facts"]["scenes"][split], token_hash(tokens))
    assert verdict["facts"]["metric"] == "pdms v1.1"
