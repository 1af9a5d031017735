"""The command ``wotempo prepare``: whose share it makes."""

from __future__ import annotations

import pytest
from small_run import SMALL

from wotempo.commands.prepare import check
from wotempo.config.composition import compose_checked, loaded
from wotempo.errors import UserError
from wotempo.navsim.share import Share


def asked(*overrides: str):
    with loaded():
        return check(compose_checked("prepare", ["run_dir=unset", *SMALL, *overrides]))


def test_a_share_is_asked_for():
    config = asked("shards=8", "shard=3")
    assert Share.asked(config.shard, config.shards) == (3, 8)
    assert Share.asked(None, 1) == (0, 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("shards=2",), "shards=2 needs a shard from 0 to 1, or --multirun"),
        (("shards=2", "shard=2"), "shard=2 is none of shards=2; the first is 0"),
        (("shards=2", "shard=-1"), "shard=-1 is none of shards=2"),
        (("shards=0",), "shards is 0: set it to 1 or more"),
        (("shrads=2",), "did you mean 'shards'"),
    ],
)
def test_a_mistake_is_named(words, says):
    with pytest.raises(UserError, match=says):
        asked(*words)
