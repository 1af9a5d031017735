"""The layout probe on trained checkpoints of both layouts."""

from __future__ import annotations

import json

import pytest
from hydra import compose

from wotempo.config.composition import loaded
from wotempo.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def probe(workspace, *overrides) -> int:
    from wotempo.evaluation.probes.layout_evidence import work

    given = [f"workspace={workspace}", "data.preset=micro", "progress_bar=false", "object_frames=2", *overrides]
    with loaded():
        return work(compose("probe_layout", overrides=given))


@pytest.mark.parametrize(("mode", "fusion"), [("fixed", "none"), ("compat", "convgru")])
def test_a_checkpoint_is_probed(train, workspace, tmp_path, capsys, mode, fusion):
    _, verdict = train(f"fusion={fusion}", f"model.mode={mode}", "profile=smoke", "trainer.max_epochs=1")
    checkpoint = f"checkpoint={verdict['run_dir'] / 'checkpoints' / 'last.ckpt'}"
    assert probe(workspace, checkpoint) == 0
    out = capsys.readouterr().out
    assert f"trained as '{mode}'" in out
    assert "evidence for '" in out
    found = json.loads((verdict["run_dir"] / "layout_probe.json").read_text())
    assert found["mode"] == mode
    assert found["layout"] in ("whole", "front", "neither", "mixed")
    assert found["shifts"][0]["pairs"] > 0
    assert len(found["objects"]["places"]) == 30
    assert probe(workspace, checkpoint, f"output={tmp_path / 'new' / 'probe.json'}", "scenes=2") == 0
    assert json.loads((tmp_path / "new" / "probe.json").read_text())["scenes"] == 2


def test_what_it_refuses(workspace, tmp_path):
    with pytest.raises(UserError, match="give checkpoint"):
        probe(workspace)
    (tmp_path / "some.ckpt").touch()
    with pytest.raises(UserError, match="scenes is 0"):
        probe(workspace, f"checkpoint={tmp_path / 'some.ckpt'}", "scenes=0")
    with pytest.raises(UserError, match="no readable checkpoint"):
        probe(workspace, f"checkpoint={tmp_path / 'some.ckpt'}")
