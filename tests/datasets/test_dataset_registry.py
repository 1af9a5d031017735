"""Datasets by the name of their file, and that no other room asks which one it has."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hydra import compose

from wotempo import configs
from wotempo.config.composition import loaded
from wotempo.config.schema import typed
from wotempo.datasets import DATASETS, SPLITS, dataset_of
from wotempo.errors import UserError
from wotempo.navsim.dataset import NoImitation, write_no_imitation

REPOSITORY = Path(__file__).resolve().parents[2]


def data_of(*overrides):
    with loaded():
        raw = compose("train", overrides=["run_dir=unset", *overrides])
    return typed(raw).data


def test_every_dataset_has_a_yaml_and_every_yaml_names_one():
    names = {path.stem for path in (Path(configs.__file__).parent / "data").glob("*.yaml")}
    assert set(DATASETS) == names >= {"town", "navsim"}


def test_names_and_notes():
    town, real = (dataset_of(data_of(f"data.kind={kind}"), "workspace") for kind in ("town", "navsim"))
    assert (town.name, town.note) == ("town 'tiny'", "town data: these are not NAVSIM numbers")
    assert (real.name, real.note) == ("NAVSIM", "")
    assert (town.extra_drives, real.extra_drives) == (4000, 0)


def test_an_unknown_kind_is_told_the_nearest():
    with pytest.raises(UserError, match=r"^data\.kind is 'twon': did you mean 'town'\?$"):
        dataset_of(data_of("data.kind=twon"), "workspace")


def test_a_town_lies_where_its_preset_seed_and_generator_say(tmp_path):
    town = dataset_of(data_of("data.seed=3"), str(tmp_path))
    assert town.root == tmp_path / f"town-tiny-3-{town.city.fingerprint}"
    assert town.here() is None
    elsewhere = dataset_of(data_of(f"data.root={tmp_path / 'mine'}"), str(tmp_path))
    assert elsewhere.root == tmp_path / "mine"


def test_a_town_of_recoveries_needs_its_list_of_them(tmp_path):
    town = dataset_of(data_of("data.preset=medium_micro"), str(tmp_path))
    town.root.mkdir()
    (town.root / "city.json").write_text("{}")
    with pytest.raises(UserError, match=r"no_imitation\.json is missing"):
        town.here()
    write_no_imitation(town.root, NoImitation("0" * 12, frozenset()))
    with pytest.raises(UserError, match="belongs to another town"):
        town.here()
    write_no_imitation(town.root, NoImitation(town.city.fingerprint, frozenset({"a"})))
    assert town.here() is not None
    (town.root / "no_imitation.json").write_text('{"town": "a", "tokens": [3]}')
    with pytest.raises(UserError, match="not a list of scenes"):
        town.here()


def test_published_counts_cover_every_split():
    assert set(DATASETS["navsim"].supply.tokens) == set(SPLITS)
    assert not DATASETS["town"].supply.tokens


def branches(path: Path) -> list[int]:
    """Lines that compare something with the name of a dataset, or compare a ``kind`` of ``data``."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = any(isinstance(side, ast.Constant) and side.value in DATASETS for side in sides)
            of_data = any(ast.unparse(side).endswith("data.kind") for side in sides)
            lines += [node.lineno] if named or of_data else []
        elif isinstance(node, ast.Match) and ast.unparse(node.subject).endswith("data.kind"):
            lines.append(node.lineno)
    return lines


def test_a_planted_branch_is_found(tmp_path):
    file = tmp_path / "planted.py"
    file.write_text('if config.data.kind == "town":\n    pass\nreal = kind != "navsim"\nfine = data.kind\n')
    assert branches(file) == [1, 3]


def test_no_room_but_datasets_branches_on_the_dataset():
    rooms = [path for folder in ("src", "callbacks", "scripts") for path in (REPOSITORY / folder).rglob("*.py")]
    found = [f"{path}:{line}" for path in rooms for line in branches(path)]
    assert found == []
