"""Criteria come from the files of callbacks/criteria, with plain values: nothing else that a config names runs."""

from __future__ import annotations

import pytest
from wotempo.configs import values

import callbacks
from callbacks import Guard
from wotempo.config.criteria import build_criterion, criteria
from wotempo.errors import UserError


@pytest.mark.parametrize("name", list(values("acceptance/one_epoch")))
def test_every_criterion_of_the_configuration_is_built(name):
    options = values("acceptance/one_epoch")[name]
    guard = build_criterion(f"acceptance.{name}", options)
    assert isinstance(guard, Guard)
    assert guard.name == name
    assert guard.policy == options["policy"]


def test_the_spelling_by_file_and_the_one_of_the_package_lead_to_one_class():
    for spelling in ("callbacks.LossGuard", "callbacks.criteria.loss.LossGuard", "callbacks.loss.LossGuard"):
        assert type(build_criterion("acceptance.loss", {"_target_": spelling})) is callbacks.LossGuard
    assert criteria().keys() >= {"LossGuard", "SensorsGuard"}


HOSTILE = {
    "a function": ({"_target_": "os.system", "command": "touch ran"}, "which is no criterion"),
    "a module of the folder": ({"_target_": "payload.Guard"}, "which is no criterion"),
    "the name of a criterion elsewhere": ({"_target_": "payload.LossGuard"}, "which is no criterion"),
    "a callback that is none": ({"_target_": "callbacks.AcceptanceReport"}, "which is no criterion"),
    "the base class": ({"_target_": "callbacks.Guard"}, "which is no criterion"),
    "a class within": (
        {"_target_": "callbacks.LossGuard", "alpha": {"_target_": "os.system", "command": "touch ran"}},
        r"acceptance\.x\.alpha is .*set a number, a text",
    ),
    "a class in a list": (
        {"_target_": "callbacks.PlanGuard", "rivals": [{"_target_": "payload.Guard"}]},
        r"acceptance\.x\.rivals is",
    ),
    "positions": ({"_target_": "callbacks.LossGuard", "_args_": ["touch ran"]}, r"acceptance\.x\._args_"),
    "a part of a call": ({"_target_": "callbacks.LossGuard", "_partial_": True}, r"acceptance\.x\._partial_"),
    "no class": ({"policy": "fail"}, "needs a _target_"),
    "no mapping": ("callbacks.LossGuard", "needs a _target_"),
    "a policy that is none": (
        {"_target_": "callbacks.LossGuard", "policy": "maybe"},
        r"acceptance\.x\.policy is .maybe., and the criterion takes fail or warn or off",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_anything_else_is_refused_by_name_and_does_not_run(name, tmp_path, monkeypatch):
    options, message = HOSTILE[name]
    (tmp_path / "payload.py").write_text("open('ran', 'w')\nclass Guard: ...\nclass LossGuard: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=message):
        build_criterion("acceptance.x", options)
    assert not (tmp_path / "ran").exists()
