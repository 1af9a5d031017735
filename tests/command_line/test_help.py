"""`wotempo <command> --help`: every key with its type, its value and its comment."""

from __future__ import annotations

import importlib
import runpy
import sys
from dataclasses import dataclass, fields

import pytest

from wotempo.command_line.completion import CONFIGS, OF_FOLDERS, TRAINING
from wotempo.command_line.help import help_of_keys
from wotempo.command_line.keys import composed, keys_of
from wotempo.command_line.table import module_of
from wotempo.errors import UserError

OWN = sorted(set(CONFIGS) - set(TRAINING))


@dataclass
class Base:
    # heading
    size: int
    # A sentence before it,
    # over two lines.
    kind: str | None


@dataclass
class Schema(Base):
    step: float  # metres
    inner: Base


def test_types_and_comments_are_the_schemas_and_values_the_configurations():
    values = {"size": 2, "kind": None, "step": 1e-4, "inner": {"kind": "a"}, "free": {"on": True, "off": None}}
    assert list(keys_of(values, Schema, {"free.on": "from the yaml"})) == [
        ("size=2", "int", ""),
        ("kind=null", "str | None", "A sentence before it, over two lines."),
        ("step=0.0001", "float", "metres"),
        ("inner.kind=a", "str | None", "A sentence before it, over two lines."),
        ("free.on=true", "bool", "from the yaml"),
        ("free.off=null", "any", ""),
    ]


def leaves(values: dict, prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        found += leaves(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [f"{prefix}{name}"]
    return found


@pytest.mark.filterwarnings("ignore:.*found in sys.modules after import:RuntimeWarning")
@pytest.mark.parametrize("name", OWN)
def test_every_key_of_a_configuration_is_shown(name, monkeypatch, capsys):
    """As the command itself prints it."""
    values, _ = composed(CONFIGS[name], [])
    schemas: list[set[str]] = []

    def keep(module, config_name, schema, words):
        schemas.append({field.name for field in fields(schema)})
        return help_of_keys(module, config_name, schema, words)

    monkeypatch.setattr("wotempo.command_line.entry.help_of_keys", keep)
    monkeypatch.setattr(sys, "argv", ["wotempo", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module_of(name), run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    line, _, text = capsys.readouterr().out.partition("\n")
    assert f"wotempo {name} [key=value …]" in line
    rows = [row.split("  ")[1] for row in text.partition("keys:")[2].splitlines() if row]
    names = [row.partition("=")[0] for row in rows]
    assert len(set(names)) == len(names)
    assert set(leaves(values)) <= set(names)
    (fields_of_schema,) = schemas
    assert values.keys() == fields_of_schema


def test_a_choice_on_the_command_line_is_shown():
    words = ["fusion=none", "trainer.max_epochs=7", "--help"]
    text = help_of_keys(sys.modules[__name__], "train", object, words)
    assert "  fusion=none " in text
    assert "  trainer.max_epochs=7 " in text
    assert "fusion.hidden" not in text


def test_a_wrong_choice_is_one_sentence():
    with pytest.raises(UserError, match="did you mean 'convgru'"):
        help_of_keys(sys.modules[__name__], "train", object, ["fusion=convgur", "--help"])


def test_a_job_shows_its_machine_and_leaves_the_runs_keys_out(capsys):
    from wotempo.commands.slurm import main

    assert main(["experiment=convgru_1epoch", "machine.hours=12", "--help"]) == 0
    assert "  machine.hours=12 " in capsys.readouterr().out
    assert main(["machine.hour=12", "--help"]) == 2
    assert "did you mean 'machine.hours'" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*OF_FOLDERS, *TRAINING])
def test_the_others_show_their_words_and_options(name, capsys):
    module = importlib.import_module(module_of(name))
    assert module.main(["--help"]) == 0
    line, _, text = capsys.readouterr().out.partition("\n")
    assert f"wotempo {name} " in line
    assert text.strip().startswith(module.__doc__.strip()[:40])
    for option in getattr(module, "OPTIONS", ()):
        assert f"  {option.name}={'…' if option.default is None else option.default} " in text
        assert option.comment in text
