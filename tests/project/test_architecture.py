"""The rooms, who may know whom, and the eight rules of the house (docs/architecture.md).

A change of a table is a change of the architecture: it says why. Every rule is shown to find a planted violation.
"""

from __future__ import annotations

import ast
import re
import subprocess

import pytest
from rules import (
    arrows,
    crowded_rooms,
    entry_points,
    not_liftable,
    numbered_criteria,
    offered_without_words,
    riddles,
    schemas_with_values,
    splits_called_stages,
    unknown_batch_fields,
    vague_names,
    wote_leaks,
)
from tree import ROOT, Tree

from wotempo.batch import Batch

PAGE = ROOT / "docs" / "architecture.md"
ROWS = re.findall(r"^\| `([\w/*]+)` \| [^|]+ \| ([^|]+) \|$", PAGE.read_text(), re.M)
ALLOWED = {room: set(re.findall(r"`([\w/]+)`", imports)) for room, imports in ROWS}
EACH_PLANNER = ALLOWED.pop("planners/*")
for folder in sorted((ROOT / "src" / "wotempo" / "planners").iterdir()):
    if (folder / "__init__.py").is_file():
        ALLOWED.setdefault(f"planners/{folder.name}", EACH_PLANNER)
EVERYBODY = set(re.findall(r"`(\w+)` \(", PAGE.read_text().partition("All rooms may import")[2].partition("\n- ")[0]))
SOURCES = Tree()


def found(rule, planted: dict[str, str], *arguments) -> bool:
    """Whether ``rule`` finds the violation that ``planted`` (path -> text) holds."""
    return rule(Tree(planted), *arguments) != []


# ---- arrows


def test_a_room_imports_only_what_the_table_allows():
    assert arrows(SOURCES, ALLOWED, EVERYBODY) == []


def test_every_folder_is_a_room_of_the_table():
    rooms = {source.room for source in SOURCES.below("src/wotempo")} - {"", "commands"}
    assert rooms == set(ALLOWED)
    beside = {source.name for source in SOURCES.below("src/wotempo") if source.room == ""}
    assert beside == {"__init__.py", "__main__.py", *(f"{name}.py" for name in EVERYBODY - {"configs"})}


def test_no_two_rooms_know_each_other():
    """Rooms of planners may: sizes and the encoder that they describe belong together."""
    known = {room: {target for target in targets if target in ALLOWED} for room, targets in ALLOWED.items()}
    left = set(known)
    while ready := {room for room in left if not {t for t in known[room] & left if not t.startswith("planners")}}:
        left -= ready
    assert left == set()


@pytest.mark.parametrize("room", sorted(ALLOWED))
@pytest.mark.parametrize(
    "line", ["import wotempo.commands.train", "from wotempo import experiment", "import callbacks"]
)
def test_a_planted_arrow_is_found(room, line):
    planted = {f"src/wotempo/{room}/planted.py": f'"""A planted file."""\n{line}\n'}
    if line.split()[-1] in {room, *ALLOWED[room]}:
        pytest.skip("an arrow of the table")
    assert found(arrows, planted, ALLOWED, EVERYBODY)


def test_callbacks_are_liftable():
    assert not_liftable(SOURCES) == []
    assert found(not_liftable, {"callbacks/criteria/planted.py": "import numpy"})


# ---- the eight rules


def test_1_commands_are_entry_points():
    assert entry_points(SOURCES) == []
    main = '"""A planted file."""\nif __name__ == "__main__":\n    print()\n'
    assert found(entry_points, {"src/wotempo/commands/planted.py": '"""A planted file."""\n'})
    for folder in ("src/wotempo/commands", "src/wotempo/runs", "callbacks", "scripts"):
        for line in (
            "from wotempo.commands.train import work",
            "from wotempo.commands import train",
            "import wotempo.commands.train",
        ):
            assert found(entry_points, {f"{folder}/planted.py": f"{main}{line}\n"}), (folder, line)


def test_2_rooms_hold_at_most_twenty_files():
    assert crowded_rooms(SOURCES) == []
    planted = {f"src/wotempo/geometry/planted_{i}.py": '"""A planted file."""\n' for i in range(21)}
    assert found(crowded_rooms, planted)


def test_3_schemas_have_no_values():
    assert schemas_with_values(SOURCES) == []
    planted = '"""A planted file."""\n@dataclass\nclass PlantedConfig:\n    seed: int = 0\n'
    assert found(schemas_with_values, {"src/wotempo/config/planted.py": planted})


def test_4_batch_fields_are_named_once():
    assert unknown_batch_fields(SOURCES, set(Batch.__annotations__)) == []
    planted = {"src/wotempo/data/planted.py": '"""A planted file."""\nx = batch["lidr"]\n'}
    assert found(unknown_batch_fields, planted, set(Batch.__annotations__))


def test_5_train_val_and_test_are_splits():
    assert splits_called_stages(SOURCES) == []
    for line in (
        "for stage in ('train', 'val'): pass",
        "x = [stage for stage in ('val', 'test')]",
        "if stage == 'train': pass",
        "if self.stage in ('train', 'val'): pass",
        "STAGES = ('train', 'val', 'test')",
        "class C:\n    stage: str = 'test'",
        "def f(a, stage='test', b=1): pass",
        "def shape_contract(self, stage): pass",
    ):
        assert found(splits_called_stages, {"src/wotempo/data/planted.py": f'"""A planted file."""\n{line}\n'}), line


def _texts() -> dict[str, str]:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    wanted = (".py", ".md", ".yaml")
    files = [
        ROOT / name for name in listed.splitlines() if name.endswith(wanted) and not name.startswith("tests/project/")
    ]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in files if path.is_file()}


def test_6_criteria_are_named_not_numbered():
    assert numbered_criteria(_texts()) == []
    for text in ("see criterion 10", "Criteria 7 and 9 are skipped", "criterion no. 3"):
        assert numbered_criteria({"planted.md": text})
    assert numbered_criteria({"planted.md": "13 criteria, 94 faults over 13 criteria"}) == []


def test_7_the_first_sentence_says_what_the_thing_is():
    assert riddles(SOURCES) == []
    assert offered_without_words(SOURCES) == []
    for text in (
        '"""Do two boxes touch?"""',
        '"""How two boxes touch, by area."""',
        '"""What nobody asked for, kept here."""',
        '"""Riddles."""',
        "x = 1",
    ):
        assert found(riddles, {"src/wotempo/data/planted.py": text}), text
    assert found(riddles, {"src/wotempo/data/planted.py": '"""A planted file."""\nx = 1  # nobody waits for it\n'})
    offered = "from wotempo.data.planted.file import thing"
    planted = {
        "src/wotempo/data/planted/__init__.py": f'"""A planted sub-room."""\n{offered}\n',
        "src/wotempo/data/planted/file.py": '"""A planted file of it."""\ndef thing(): pass\n',
    }
    assert found(offered_without_words, planted)


def test_7_names_describe():
    python = {path: text for path, text in _texts().items() if path.endswith(".py")}
    assert vague_names(python) == []
    assert vague_names({"planted.py": "said = x.peers\n"}) == ["planted.py:1 said", "planted.py:1 peers"]
    assert vague_names({"planted.py": "# it is said\nx = 'peers'\n"}) == []


def test_8_wote_is_behind_the_seam():
    assert wote_leaks(SOURCES) == []
    for line in (
        "from wotempo.planners.wote.losses import x",
        "from wotempo.planners import wote",
        "import wotempo.planners.wote",
    ):
        for room in ("training", "evaluation", "streaming", "planners/transfuser", "planners", "report", "commands"):
            planted = {f"src/wotempo/{room}/planted.py": f'"""A planted file."""\n{line}\n'}
            assert found(wote_leaks, planted), (room, line)


# ---- geometry


def test_lengths_of_maps_live_in_the_grid_only():
    """Nothing outside geometry states the extents 32 and 64 m as numbers for a raster."""
    for source in SOURCES.below(
        *(f"src/wotempo/{room}" for room in ("fusion", "planners", "features", "targets", "data"))
    ):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                assert node.value not in (32.0, 64.0, -32.0, 0.25), f"{source.path}:{node.lineno} states {node.value}"
