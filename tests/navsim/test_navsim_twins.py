"""``twins.json``: written, read, and refused where it is damaged or of another town."""

from __future__ import annotations

import json

import pytest

from wotempo.errors import UserError
from wotempo.navsim.twins import FILE, TOWN, Pair, Twins, own_twins, read_twins, write_twins

PAIRS = (
    Pair("left", "crossing", "train", 0, ("a", "b"), (("t1",), ("t1",))),
    Pair("right", "permanence", "test", 4, ("c", "d"), (("t2",), ())),
)
TWINS = Twins("0123456789ab", 4, PAIRS)


def changed(root, **changes):
    write_twins(root, TWINS)
    content = json.loads((root / FILE).read_text())
    pair = {name: changes.pop(name) for name in list(changes) if name in content["pairs"][0]}
    content["pairs"][0] |= pair
    (root / FILE).write_text(json.dumps(content | changes))
    return root


def test_what_is_written_is_read(tmp_path):
    assert read_twins(tmp_path) is None
    write_twins(tmp_path, TWINS)
    assert read_twins(tmp_path) == TWINS
    assert [pair.name for pair in TWINS.of("test")] == ["right"]


@pytest.mark.parametrize(
    "changes",
    [
        {"split": "validation"}, {"split": None}, {"agents": [["t1"], [], ["t1"]]}, {"agents": [["t1"]]},
        {"agents": ["t1", "t2"]}, {"agents": [[1], []]}, {"tokens": ["a"]}, {"tokens": ["a", "b", "e"]},
        {"tokens": ["a", "a"]}, {"tokens": ["a", "c"]}, {"tokens": "ab3"}, {"name": "right"}, {"district": "0"},
        {"kind": 3}, {"pairs": []}, {"pairs": {}}, {"pairs": None}, {"num_frames": 0}, {"num_frames": "4"}, {"town": 3},
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_by_its_name(tmp_path, changes):
    with pytest.raises(UserError, match=r"twins\.json: not a list of twin scenes.*generate the town again"):
        read_twins(changed(tmp_path, **changes))


def test_no_json_is_refused_by_its_name(tmp_path):
    for content in (b"", b"[]", b"{", b'{"town": "x"}', b"\xff"):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(UserError, match=r"twins\.json"):
            read_twins(tmp_path)


def test_the_file_of_another_town_is_refused(tmp_path):
    write_twins(tmp_path, TWINS)
    assert own_twins(tmp_path) == TWINS, "logs of real drives have no fingerprint"
    (tmp_path / TOWN).write_text(json.dumps({"fingerprint": TWINS.town}))
    assert own_twins(tmp_path) == TWINS
    (tmp_path / TOWN).write_text(json.dumps({"fingerprint": "ba9876543210"}))
    with pytest.raises(UserError, match="is of the town 0123456789ab, and this one is ba9876543210"):
        own_twins(tmp_path)
    (tmp_path / TOWN).write_text("[]")
    with pytest.raises(UserError, match="does not say which town this is"):
        own_twins(tmp_path)
