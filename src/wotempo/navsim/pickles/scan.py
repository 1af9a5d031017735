r"""The check of a pickle's instructions before any of them is followed.

A pickle is a program. The machine of the standard library trusts three things that a forged one gets wrong: an index
of its memory (it takes room for all indices below: ``LONG_BINPUT`` of 2³¹ takes 34 GB), tuples within tuples (the hash
of one that holds another twice, and so on forty times, never ends; deep ones overflow the C stack), and ``BUILD``,
which hands numpy a forged type or shape. So the instructions must be those that picklers write for arrays and plain
containers: found by regular expressions, since a loop over them would take longer than reading.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NoReturn

_COUNTED = {b"X": 4, b"B": 4, b"T": 4, b"\x8b": 4, b"\x8d": 8, b"\x8e": 8, b"\x96": 8}  # bytes of their length
_KNOWN = (
    b"(.012BCFGIJKLMNRSTUVXabcdeghjlpqrstu})]\x80\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x93\x94\x95\x96"
)
_LIKELY = (16, 2, 1, 8, 24)  # lengths of text and bytes, tried first


class Refused(ValueError):
    """What a pickle asks for and does not get; the message is the end of a sentence."""


def _counted(width: int, end: int) -> bytes:
    """Text or bytes of fewer than ``end`` letters behind their length in ``width`` bytes, the likely lengths first."""
    lengths = dict.fromkeys((*_LIKELY, *range(end)))
    return b"(?:%s)" % b"|".join(re.escape(n.to_bytes(width, "little")) + b".{%d}" % n for n in lengths if n < end)


_PUT = rb"(?:\x94|q.|r..[\x00-\x0f]\x00|)"  # into the memory, at an index below a million
_GET = rb"(?:h.|j.{4})"
_SIZE = rb"(?:K.|M..|J...[\x00-\x7f])"
_FLAG = rb"(?:[\x88\x89]|I0[01]\n)"
_NUMBER = rb"(?:K.|M..|J.{4}|[\x88\x89]|I[^\n]*\n|L[^\n]*\n|\x8a%s)" % _counted(1, 17)
_TUPLES = rb"(?:\x85|%s(?:\x86|%s\x87)|)" % (_NUMBER, _NUMBER)  # behind a number: tuples of numbers hold no tuple
_CODED = rb"%s(?:%s|\x8c\x06latin1%s|X\x06\x00\x00\x00latin1%s)\x86%s?R" % (_PUT, _GET, _PUT, _PUT, _PUT)

# numpy.dtype(code, False, True), and its state: as numpy writes both, one behind the other.
_HOME = rb"(?:%s|cnumpy\ndtype\n%s|(?:%s|\x8c\x05numpy%s)\x8c\x05dtype%s\x93%s)" % (_GET, _PUT, _GET, _PUT, _PUT, _PUT)
_ORDER = rb"(?:%s|\x8c\x01[<>|=]%s|X\x01\x00\x00\x00[<>|=]%s)" % (_GET, _PUT, _PUT)
_TYPE = b"(?:%s)" % b"|".join(
    rb"%s%s\x89\x88\x87%sR%s\(K\x03%sNNN%st%sb" % (code, _PUT, _PUT, _PUT, _ORDER, rest, _PUT)
    for code, rest in (
        (rb"[biuf][1248]", rb"J\xff{4}J\xff{4}K\x00"),
        (rb"[SU]\d{1,4}", rb"%sK[\x01\x04]K[\x00\x08]" % _SIZE),
    )
)
_SHAPE = rb"(?:%s(?:\x85|%s(?:\x86|%s\x87))%s|\))" % (_SIZE, _SIZE, _SIZE, _PUT)
# The state of an array up to its bytes, and what follows them.
_CODE = rb"(?:\x8c[\x02-\x05]|X[\x02-\x05]\x00\x00\x00)%s" % _TYPE
_OPEN = rb"\(K\x01%s(?:%s|%s%s)[\x88\x89]" % (_SHAPE, _GET, _HOME, _CODE)
_ENCODE = rb"(?:%s|c_codecs\nencode\n%s)" % (_GET, _PUT)
_CLOSE = rb"%st%sb" % (_PUT, _PUT)
_ARRAY = rb"%s(?:C%s|%sX%s%s)%s" % (_OPEN, _counted(1, 256), _ENCODE, _counted(4, 256), _CODED, _CLOSE)

_STATE = rb"\(K\x01K.(?:\x85|K.\x86)\x94%s\x89C%s\x94t\x94b" % (_GET, _counted(1, 256))
_COMMON = rb"h.K\x00\x85\x94h.\x87\x94R\x94(?:%s|)" % _STATE  # the commonest array behind its function
_TOKEN = rb"\x8c\x10.{16}\x94"


def _kinds(own: bool) -> tuple[bytes, ...]:
    """Instructions, and short sequences of them, the common ones first: so few looks decide. ``own``: only with states
    as numpy writes them; else with any state, for machines in which all that has a state is of our classes."""
    return (
        rb"%s(?:%s(?:%s(?:%s|)|)|)" % (_TOKEN, _TOKEN, _TOKEN, _TOKEN),
        rb"h.(?:(?:h.|)%s|h.|)" % _COMMON if own else rb"h.",
        rb"[}\]]\x94\((?!K\x01)",
        rb"[}\]]\x94\((?!K\x01)",
        rb"[\x94N}\]eusadl0128\x8f\x90\x91\x93]++",
        rb"G.{8}(?:G.{8}(?:G.{8}|)|)",
        _ARRAY if own else rb"[Rb]",
        rb"\((?:%s{0,64}t|(?!K\x01))" % _NUMBER,  # K\x01 may open an array
        rb"\x8c[\x02-\x05]%s" % _TYPE if own else rb"(?!)",
        rb"\x8c%s%s(?:%s\x86|)" % (_counted(1, 256), _PUT, _FLAG),  # (name, flag)
        rb"K.%s" % _TUPLES,
        # Tuples of more than numbers are arguments, which the callee checks one by one.
        rb"[\x85\x86\x87t)]%sR" % _PUT if own else rb"[\x85\x86\x87t](?:%s|p\d{1,6}\n)[Rb]" % _PUT,
        rb"\)" if own else rb"\)\x81?",  # an object without arguments
        rb"X[\x02-\x05]\x00\x00\x00%s" % _TYPE if own else rb"(?!)",
        rb"X%s%s(?:%s\x86|)" % (_counted(4, 256), _PUT, _FLAG),
        rb"r..[\x00-\x0f]\x00",
        rb"q.",
        rb"C%s" % _counted(1, 256),
        rb"[\x88\x89]%s" % _TUPLES,
        rb"M..%s" % _TUPLES,
        rb"J.{4}%s" % _TUPLES,
        rb"j.{4}(?:h.%s|)" % _COMMON if own else rb"j.{4}",
        rb"B%s" % _counted(4, 256),
        rb"\x8a%s%s" % (_counted(1, 17), _TUPLES),
        rb"[IL][^\n]*\n%s" % _TUPLES,
        rb"V[^\n]*\n(?:p\d{1,6}\n|)(?:%s\x86|)" % _FLAG,
        rb"U%s" % _counted(1, 256),
        rb"T%s" % _counted(4, 256),
        rb"p\d{1,6}\n",
        rb"g\d{1,9}\n",
        rb"[FS][^\n]*\n",
        rb"c[^\n]*\n[^\n]*\n",
        rb"\x80.",
        rb"\x95.{8}",
    )


@cache
def _run(own: bool) -> re.Pattern[bytes]:
    """A run of instructions without danger. Possessive: what was taken as an instruction is never read as another."""
    return re.compile(b"(?:%s)*+" % b"|".join(_kinds(own)), re.DOTALL)


_LONG = re.compile(rb"%s(?:(?=B)|%s(?=X))" % (_OPEN, _ENCODE), re.DOTALL)  # an array of 256 bytes and more
_LONG_END = {b"B": re.compile(_CLOSE, re.DOTALL), b"X": re.compile(_CODED + _CLOSE, re.DOTALL)}


def unframed(data: bytes) -> bytes:
    """The pickle without its frames: marks of protocol 4 that lie between any two instructions, for faster reading."""
    parts, position = [data[:2]], 2
    while data[position : position + 1] == b"\x95":
        start = position + 9
        position = start + int.from_bytes(data[position + 1 : start], "little")
        parts.append(data[start:position])
        width = _COUNTED.get(data[position : position + 1])
        if width is not None:  # too long for a frame
            start = position + 1 + width
            end = start + int.from_bytes(data[position + 1 : start], "little")
            parts.append(data[position:end])
            position = end
    return data if len(parts) == 1 else b"".join([*parts, data[position:]])


def is_numpys_own(data: bytes) -> bool:
    """Whether the pickle sets the state of arrays and types as numpy writes it, and holds no other danger. Raises
    Refused where it holds an instruction that is not followed here at all."""
    if _end(data, own=True) is None:
        return True
    stopped = _end(data, own=False)
    if stopped is not None:
        _refuse(data, stopped)
    return False


def _end(data: bytes, own: bool) -> int | None:
    """Where the pickle is left; None where its end is reached."""
    run, position = _run(own), 0
    while True:
        position = run.match(data, position).end()  # type: ignore[union-attr]  # it matches nothing, too
        code = data[position : position + 1]
        if code == b".":
            return None
        opened = None
        if code == b"(":
            opened = _LONG.match(data, position) if own else None
            if opened is None:
                position += 1
                continue
        start = opened.end() if opened else position
        width = _COUNTED.get(data[start : start + 1])
        if width is None:
            return position
        first = start + 1 + width
        end = first + int.from_bytes(data[start + 1 : first], "little")
        if end > len(data):
            return position
        if opened:
            closed = _LONG_END[data[start : start + 1]].match(data, end)
            if closed is None:
                return position
            end = closed.end()
        position = end


def _refuse(data: bytes, position: int) -> NoReturn:
    code = data[position : position + 1]
    if code not in _KNOWN or not code:
        if not code:
            raise ValueError("it ends in the middle")
        if position == 0:
            raise ValueError("it begins like no pickle")
        raise Refused(f"byte {position} holds the instruction {code!r}, which no array or plain container needs")
    cut = len(data) - position <= 6  # of the longest that may follow a tuple
    if code in b"\x85\x86\x87t" and not cut:
        raise Refused(f"byte {position} builds a tuple of more than numbers")
    if code in b"rp" and not cut:
        raise Refused(f"byte {position} asks for a memory of more than a million objects")
    raise ValueError(f"byte {position} holds the instruction {code!r} without what belongs to it")
