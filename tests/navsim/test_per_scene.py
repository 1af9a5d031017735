"""One bad scene costs one scene: what is caught, what is not, and how equal causes are counted."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import shapely

from wotempo.errors import UserError
from wotempo.navsim.per_scene import SceneError, attempted, by_cause, each


def geos(_):
    raise shapely.errors.GEOSException("IllegalArgumentException: edges of 664321.25 3998765.5")


def singular(_):
    return np.linalg.inv(np.zeros((2, 2)))


def unusable(token):
    raise SceneError(token, "log", "a box is not finite")


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (geos, "GEOSException: IllegalArgumentException"),
        (singular, "LinAlgError: Singular matrix"),
        (lambda _: {}["lane 7"], "KeyError: 'lane 7'"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda _: shapely.box(0, 0, 1, 1).coords, "NotImplementedError"),  # of a geometry of another kind
        (lambda _: shapely.MultiPoint().exterior, "AttributeError"),
        (unusable, "^a box is not finite$"),
    ],
)
def test_whatever_a_library_raises_costs_one_scene(work, says):
    done, failed = each({"a": "a", "b": "b", "c": "c"}, lambda t: work(t) if t == "b" else t.upper())
    assert done == {"a": "A", "c": "C"}
    assert list(failed) == ["b"]
    assert re.search(says, failed["b"])


FULL = [MemoryError(), OSError(28, "No space left"), KeyboardInterrupt(), SystemExit(3)]
OURS = [NameError("name 'x' is not defined"), UnboundLocalError("x"), ImportError("shapely")]


@pytest.mark.parametrize("error", [*FULL, *OURS])
def test_a_full_machine_an_ended_process_and_a_fault_of_the_program_are_no_scene_that_failed(error):
    def work():
        raise error

    with pytest.raises(type(error)):
        attempted(work)


def test_a_scene_is_named_beside_its_reason_and_travels_between_processes():
    error = pickle.loads(pickle.dumps(SceneError("0123456789abcdef", "log_a", "no route")))
    assert isinstance(error, UserError)
    assert (str(error), error.reason) == ("scene 0123456789abcdef of log log_a: no route", "no route")


def test_reasons_that_differ_in_numbers_and_tracks_only_are_one_cause():
    reasons = [
        "only 3 of 8 future frames follow",
        "track 00aa11bb22cc33dd is not finite at 664.25 -3.5e+09",
        "only 7 of 8 future frames follow",
        "track ffaa11bb22cc33dd is not finite at 12.0 1",
        "only 5 of 8 future frames follow",
        "no route",
    ]
    causes = by_cause(zip("abcdef", reasons, strict=True))
    assert [(cause.count, cause.first, cause.reason) for cause in causes] == [
        (3, "a", reasons[0]),
        (2, "b", reasons[1]),
        (1, "f", "no route"),
    ]
    assert str(causes[0]) == "3, first a: only 3 of 8 future frames follow"
    assert by_cause([]) == []
