"""The scenes of a report: what was lost is drawn and told, and a scene that cannot be looked at costs itself alone."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scene_samples import samples

from wotempo.errors import UserError
from wotempo.evaluation import report_scenes
from wotempo.evaluation.pictured import Photographer
from wotempo.pdm.causes import Cause
from wotempo.report.pictures.listing import Pictures
from wotempo.report.pictures.scene_picture import draw_plans

EGO = [[4.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [4.0, -1.0]]
HIT = Cause("nc", "vehicle", "ab12", 1.3, 1.0, 2.0, 9.0, 0.5, EGO, [[8.0, 1.0], [10.0, 1.0], [10.0, 0.0], [8.0, 0.0]])
HARD = Cause("comfort", "uncomfortable: jerk 9.10", "", 0.0, 1.0, 2.0, 1.5, 0.0, EGO, None)


def test_what_costs_a_plan_its_score_is_drawn():
    sample = {name: values[0] for name, values in samples(1, 1).items()}
    figure, (plain, told) = plt.subplots(1, 2)
    draw_plans(plain, sample)
    draw_plans(told, {**sample, "causes": [HIT.fields, HARD.fields]})
    assert [text.get_text() for text in told.texts] == [
        "NC: vehicle at 1.3 s",
        "COMFORT: uncomfortable: jerk 9.10 at 0.0 s",
    ]
    assert len(told.lines) == len(plain.lines) + 3, "two boxes of the ego, one of the object"
    plt.close(figure)


def rows(**more):
    scores = dict.fromkeys(("pdms", "nc", "dac", "ep", "ttc", "comfort", "ade", "fde"), 0.5)
    return pd.DataFrame([{"token": t, "log": "log", "valid": True, "reason": "", **scores, **more} for t in ("a", "b")])


@pytest.mark.parametrize("more", [{}, {"why": str(HIT), "causes": json.dumps([HIT.fields])}])
def test_the_caption_and_the_picture_say_why(monkeypatch, more):
    drawn = []
    monkeypatch.setattr(report_scenes, "scene_card", lambda sample: drawn.append(sample["causes"]) or b"")
    monkeypatch.setattr(report_scenes, "moving_scene", lambda samples: b"")
    scene = SimpleNamespace(log=SimpleNamespace(name="log"))
    photographer = SimpleNamespace(
        scenes={"a": scene, "b": scene},
        take=lambda tokens: [{"token": token} for token in tokens if token == "b"],
        failed={"a": "its camera file is damaged"},
        sequence=lambda token, count: ["a"],
    )
    run = SimpleNamespace(job=SimpleNamespace(rows=rows(**more)), folder="runs/x")
    pictures = Pictures()
    report_scenes._test_scenes(run, {"scenes": 2, "windows": 1}, photographer, pictures)  # type: ignore[arg-type]
    cards = pictures.groups["Worst scenes by PDMS"]
    assert [caption.split()[0] for _, caption in cards] == ["b"], "the other one cannot be looked at"
    assert ("nc: vehicle ab12 at 1.3 s" in cards[0][1]) == bool(more)
    assert drawn[0] == ([HIT.fields] if more else [])
    assert "One scene, moving" not in pictures.groups
    assert "1, first a: its camera file is damaged" in pictures.lacking[0][0]
    assert len(pictures.lacking) == 1


def test_one_scene_with_a_damaged_file_does_not_cost_the_others(monkeypatch):
    def together(self, tokens):
        if "b" in tokens:
            raise UserError("CAM_F0/x.jpg is damaged")
        return [{"token": token} for token in tokens]

    monkeypatch.setattr(Photographer, "_together", together)
    photographer = Photographer.__new__(Photographer)
    photographer.failed = {}
    assert [sample["token"] for sample in photographer.take(["a", "b", "c"])] == ["a", "c"]
    assert photographer.failed == {"b": "CAM_F0/x.jpg is damaged"}
    assert photographer.take([]) == []
