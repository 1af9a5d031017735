"""Forged pickles are refused by name: the reader neither crashes nor fills the memory, in no constructor of numpy's."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wotempo.errors import UserError
from wotempo.navsim.legacy_pickle import legacy_bytes
from wotempo.navsim.pickles.proof import NO, SHARED, TREE, proof
from wotempo.navsim.unpickle import load_pickle

MULTIARRAY, NUMERIC = b"cnumpy.core.multiarray\n", b"cnumpy.core.numeric\n"
NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
OBJECT = DTYPE + b"(X\x02\x00\x00\x00O8\x89\x88tR"
FLOAT = DTYPE + b"(X\x02\x00\x00\x00f8\x89\x88tR"
TEXT = DTYPE + b"(X\x02\x00\x00\x00U4\x89\x88tR"
EMPTY = MULTIARRAY + b"_reconstruct\n(" + NDARRAY + b"K\x00\x85C\x01btR"
MILLIONS = b"J\x00\x84\xd7\x17"
POINTERS = b"C\x10" + b"\x41" * 16
SIXTY = 60


def state(shape: bytes, kind: bytes, content: bytes) -> bytes:
    return b"(K\x01" + shape + kind + b"\x89" + content + b"tb"


HOSTILE = {
    "ndarray over raw bytes": (NDARRAY + b"(K\x02\x85" + OBJECT + POINTERS + b"tR", "it builds an array of another"),
    "objects from raw bytes": (EMPTY + state(b"K\x02\x85", OBJECT, POINTERS), "objects that are not a list of as many"),
    "forged flags": (
        EMPTY + state(b"K\x02\x85", FLOAT + b"(K\x03X\x01\x00\x00\x00<NNNK\x08K\x08K\x3ftb", b"](NNe"),
        "not made of bytes",
    ),
    "forged size": (EMPTY + state(b"K\x01\x85", TEXT + b"(K\x03X\x01\x00\x00\x00<NNNM\xff\x00K\x04K\x08tb", b"C\x00"),
                    "takes 255 bytes"),
    "a size below zero": (TEXT + b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x08tb",
                          "takes -1 bytes"),
    "records": (FLOAT + b"(K\x03X\x01\x00\x00\x00|N)}K\x08K\x08K\x00tb", "records, or of a forged type"),
    "scalar of objects": (MULTIARRAY + b"scalar\n(" + OBJECT + b"C\x08" + b"A" * 8 + b"tR", "not a list of as many"),
    "short scalar": (MULTIARRAY + b"scalar\n(" + FLOAT + b"C\x01AtR", "1 bytes for 1 elements of 8"),
    "buffer of objects": (NUMERIC + b"_frombuffer\n(" + POINTERS + OBJECT + b"K\x02\x85X\x01\x00\x00\x00CtR", "a list"),
    "an axis below zero": (EMPTY + state(b"J\xff\xff\xff\xffJ\xfe\xff\xff\xff\x86", FLOAT, POINTERS), "axis of -1"),
    "a billion elements": (EMPTY + state(MILLIONS + b"\x85", FLOAT, POINTERS), "16 bytes for 400000000 elements"),
    "a billion empty rows": (EMPTY + state(MILLIONS + b"K\x00\x86", FLOAT, b"C\x00"), "400000000 rows without"),
    "list of an integer": (b"c__builtin__\nlist\n(" + MILLIONS + b"tR", "builds list of other things"),
    "bytearray of an integer": (b"c__builtin__\nbytearray\n(" + MILLIONS + b"tR", "builds bytearray of other things"),
    "bytes of an integer": (b"cbuiltins\nbytes\n(" + MILLIONS + b"tR", "builds bytes of other things"),
    "set of a tuple": (b"cbuiltins\nset\n()tR", "byte 16 builds a tuple|other things"),
    "record type": (DTYPE + b"(X\x05\x00\x00\x00f8,O8\x89\x88tR", "array of 'f8,O8'"),
    "void type": (DTYPE + b"(X\x02\x00\x00\x00V8\x89\x88tR", "array of 'V8'"),
    "time type": (DTYPE + b"(X\x02\x00\x00\x00M8\x89\x88tR", "array of 'M8'"),
    "state of what is called": (DTYPE + b"}X\x06\x00\x00\x00_buildNsb", "changes what it calls"),
    "a type left over": (FLOAT, "it holds a (?:_Type|Float64DType)"),
    "a function left over": (DTYPE, "it holds a _Name"),
    "an array set twice": (EMPTY + 2 * state(b"K\x02\x85", FLOAT, POINTERS), "sets an array twice"),
    "an index of two billion": (b"Nr\xff\xff\xff\x7f0NNN", "memory of more than a million objects"),
    "a written index of two billion": (b"Np2000000000\n", "memory of more than a million objects"),
    "deep tuples as a key": (b"})" + b"\x85" * 300_000 + b"Ns", "builds a tuple of more than numbers"),
    "a tuple with itself twice, sixty times": (b"})" + b"2\x86" * SIXTY + b"Ns", "builds a tuple of more than numbers"),
    "a list with itself twice, sixty times": (
        b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(SIXTY)), "hold one another so often"),
    "a dict with itself twice, sixty times": (
        b"}q\x00" + b"".join(b"}(K\x00h%cK\x01h%cuq%c" % (i, i, i + 1) for i in range(SIXTY)), "hold one another"),
    "a list in itself": (b"]q\x00h\x00a", "nests more than 64 containers"),
    "deep lists": (b"]" * 300_000 + b"a" * 299_999, "nests more than 64 containers"),
    "a class made anew": (b"cbuiltins\ndict\n)\x81", "must be a type"),
    "an instance": (b"(cbuiltins\ndict\no", "instruction b'o'"),
    "an extension": (b"\x82\x01", "instruction b'\\\\x82'"),
    "bytes of another place": (b"\x97", "instruction b'\\\\x97'"),
    "more than there is": (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx", "truncated or corrupt"),
}  # fmt: skip


@pytest.fixture(scope="module")
def messages(tmp_path_factory) -> dict[str, str]:
    """What is message of each, in a process of its own with 3 GB and a minute: some of them kill an ordinary reader."""
    folder = tmp_path_factory.mktemp("hostile")
    for position, (body, _) in enumerate(HOSTILE.values()):
        (folder / f"{position}.pkl").write_bytes(b"\x80\x04" + body + b".")
    script = """
import json, resource, sys
from pathlib import Path
from wotempo.errors import UserError
from wotempo.navsim.unpickle import load_pickle
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000_000,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for position in range(int(sys.argv[2])):
    try:
        message = f"read as a {type(load_pickle(Path(sys.argv[1], f'{position}.pkl'))).__name__}"
    except UserError as error:
        message = str(error)
    print(json.dumps(message), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(len(HOSTILE))], capture_output=True, text=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    names = list(HOSTILE)
    assert len(found) == len(names), f"{names[len(found)]}: the reader died, {done.returncode}: {done.stderr[-400:]}"
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_by_name(messages, name: str):
    assert re.search(rf"\d\.pkl: .*(?:{HOSTILE[name][1]})", messages[name]), messages[name]


def test_a_forged_index_in_numpys_own_form_is_refused(tmp_path: Path):
    """As numpy writes it, but for a size of a text that its name does not have."""
    data = pickle.dumps({"names": np.array(["abcd"])}, 4)
    assert data.count(b"K\x10K\x04K\x08") == 1
    path = tmp_path / "x.pkl"
    path.write_bytes(data.replace(b"K\x10K\x04K\x08", b"K\x08K\x04K\x08"))
    with pytest.raises(UserError, match=r"x\.pkl: "):
        load_pickle(path)


def test_a_frame_that_cuts_an_instruction_hides_nothing(tmp_path: Path):
    """The machine of the standard library drops what is left of a frame, and goes on in the middle of the next text."""
    hidden = b"0cposix\nsystem\n0N."
    texts = b"x" * 40_000, b"a" * 200, b"b" * 47 + hidden + b"b" * 30
    head = b"](X" + len(texts[0]).to_bytes(4, "little") + texts[0]
    body = b"".join(b"\x8c" + len(text).to_bytes(1, "little") + text for text in texts[1:])
    frame = (len(head) + 52).to_bytes(8, "little")
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04N0\x95" + frame + head + body + b"e.")
    assert load_pickle(path) == [text.decode() for text in texts]
    path.write_bytes(b"\x80\x04(N\x95" + frame + b"1N\x95" + frame + head + body + b"e.")
    with pytest.raises(UserError, match=r"instruction b'\\x95'"):
        load_pickle(path)


ARRAY = pickle.dumps([np.arange(6.0).reshape(2, 3)], 4)
FORGED = {
    "as it is": (b"", b"", TREE),
    "a size that is not there": (b"K\x02K\x03\x86", b"K\x02K\x04\x86", NO),
    "a negative size": (b"K\x02K\x03\x86", b"J\xfa\xff\xff\xffJ\xff\xff\xff\xff\x86", NO),
    "a type of numpy's own, changed": (b"\x89\x88\x87", b"\x89\x89\x87", NO),
    "objects": (b"\x8c\x02f8", b"\x8c\x02O8", NO),
    "flags": (b"J\xff\xff\xff\xffK\x00t", b"J\xff\xff\xff\xffK\x3ft", NO),
    "a state of another array": (b"t\x94b", b"t\x940]b", NO),
    "a place taken twice": (b"R\x94(K\x01", b"Rq\x00(K\x01", NO),
    "a place far away": (b"R\x94(K\x01", b"Rr\xff\xff\xff\x7f(K\x01", NO),
    "a list in two places": (b"t\x94ba", b"t\x94bah\x00a", SHARED),
    "a type among the values": (b"t\x94ba", b"t\x94bah\x10a", NO),
    "what is called among the values": (b"t\x94ba", b"t\x94bah\x03a", NO),
}


OLD = pickle.dumps([np.array([1.5, -0.1])], 2)  # bytes as text in latin-1
FORGED_OLD = {
    "as it is": (b"", b"", TREE),
    "text of two bytes a letter that is none of latin-1": (b"\xc2\x9a", b"\xc4\x9a", NO),
    "a letter more": (b"\xc2\x9a", b"ab", NO),
    "a letter cut off": (b"\xc2\x9a", b"a\xc2", NO),
    "in another way of writing": (b"latin1", b"utf-16", NO),
    "what is called among the values": (b"tq\x15ba", b"tq\x15bah\x04a", NO),
}


@pytest.mark.parametrize("name", FORGED_OLD)
def test_so_of_a_protocol_without_bytes(name: str):
    old, new, verdict = FORGED_OLD[name]
    assert old in OLD
    assert proof(OLD.replace(old, new, 1)) == verdict


@pytest.mark.parametrize("name", FORGED)
def test_numpys_constructors_follow_only_what_is_proved(name: str):
    old, new, verdict = FORGED[name]
    assert old in ARRAY
    data = ARRAY.replace(old, new, 1)
    assert proof(data[:3] + (len(data) - 11).to_bytes(8, "little") + data[11:]) == verdict


def test_logs_of_all_protocols_are_proved(golden_log_path: Path):
    """Without the proof they are read, but at half the speed."""
    assert proof(golden_log_path.read_bytes()) != NO
    frames = load_pickle(golden_log_path)
    assert proof(legacy_bytes(frames)) != NO
    assert all(proof(pickle.dumps(frames, protocol)) != NO for protocol in (2, 3, 4, 5))


def test_arrays_of_other_byte_order_keep_their_values(tmp_path: Path):
    values = {"big": np.arange(3, dtype=">f8"), "text": np.array(["ä"], ">U1"), "little": np.arange(3, dtype="<i4")}
    for protocol in range(6):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(values, protocol))
        loaded = load_pickle(tmp_path / "x.pkl")
        for key, value in values.items():
            np.testing.assert_array_equal(loaded[key], value)
            assert loaded[key].dtype.kind == value.dtype.kind


def test_frames_between_any_two_instructions_change_nothing(tmp_path: Path):
    """Pickles of more than 64 kB are cut into frames, in the middle of an array, too."""
    content = [{"pose": np.full(3, float(i)), "name": f"frame {i}", "big": np.zeros(i % 7 * 20)} for i in range(4000)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, 4))
    loaded = load_pickle(tmp_path / "x.pkl")
    assert [frame["name"] for frame in loaded] == [frame["name"] for frame in content]
    assert all(
        (a["pose"] == b["pose"]).all() and len(a["big"]) == len(b["big"]) for a, b in zip(loaded, content, strict=True)
    )
