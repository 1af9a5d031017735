r"""The check of a pickle's instructions before constructors that check their arguments follow them.

A pickle is a program. The machine of the standard library trusts two things that a forged one gets wrong: an index
of its memory (it takes room for all indices below: ``LONG_BINPUT`` of 2³¹ takes 34 GB), and tuples within tuples (the
hash of one that holds another twice, and so on forty times, never ends; deep ones overflow the C stack). So the
instructions must be those that picklers write for arrays and plain containers: found by regular expressions, since a
loop over them would take longer than reading. A log is hardly ever looked at here: ``pickles.proof`` knows it whole.
"""

from __future__ import annotations

import re
from typing import NoReturn

_COUNTED = {b"X": 4, b"B": 4, b"T": 4, b"\x8b": 4, b"\x8d": 8, b"\x8e": 8, b"\x96": 8}  # bytes of their length
_KNOWN = b"(.012BCFGIJKLMNRSTUVXabcdeghjlpqrstu})]\x80\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x93\x94\x96"
_LIKELY = (16, 2, 1, 8, 24)  # lengths of text and bytes, tried first


class Refused(ValueError):
    """What a pickle asks for and does not get; the message is the end of a sentence."""


def _counted(width: int, end: int) -> bytes:
    """Text or bytes of fewer than ``end`` letters behind their length in ``width`` bytes, the likely lengths first."""
    lengths = dict.fromkeys((*_LIKELY, *range(end)))
    return b"(?:%s)" % b"|".join(re.escape(n.to_bytes(width, "little")) + b".{%d}" % n for n in lengths if n < end)


_PUT = rb"(?:\x94|q.|r..[\x00-\x0f]\x00|)"  # into the memory, at an index below a million
_FLAG = rb"(?:[\x88\x89]|I0[01]\n)"
_NUMBER = rb"(?:K.|M..|J.{4}|[\x88\x89]|I[^\n]*\n|L[^\n]*\n|\x8a%s)" % _counted(1, 17)
_TUPLES = rb"(?:\x85|%s(?:\x86|%s\x87)|)" % (_NUMBER, _NUMBER)  # behind a number: tuples of numbers hold no tuple
# Instructions, and short sequences of them, the common ones first: so few looks decide. Any state may be set: what
# has one is of our classes.
_KINDS = (
    rb"%s(?:%s(?:%s(?:%s|)|)|)" % ((rb"\x8c\x10.{16}\x94",) * 4),
    rb"h.",
    rb"[}\]]\x94\(",
    rb"[\x94N}\]eusadl0128\x8f\x90\x91\x93]++",
    rb"G.{8}(?:G.{8}(?:G.{8}|)|)",
    rb"[Rb]",
    rb"\((?:%s{0,64}t|)" % _NUMBER,
    rb"\x8c%s%s(?:%s\x86|)" % (_counted(1, 256), _PUT, _FLAG),  # (name, flag)
    rb"K.%s" % _TUPLES,
    rb"[\x85\x86\x87t](?:%s|p\d{1,6}\n)[Rb]" % _PUT,  # arguments, which the callee checks one by one
    rb"\)\x81?",  # an object without arguments
    rb"X%s%s(?:%s\x86|)" % (_counted(4, 256), _PUT, _FLAG),
    rb"r..[\x00-\x0f]\x00",
    rb"q.",
    rb"[CU]%s" % _counted(1, 256),
    rb"[\x88\x89]%s" % _TUPLES,
    rb"M..%s" % _TUPLES,
    rb"J.{4}%s" % _TUPLES,
    rb"j.{4}",
    rb"[BT]%s" % _counted(4, 256),
    rb"\x8a%s%s" % (_counted(1, 17), _TUPLES),
    rb"[IL][^\n]*\n%s" % _TUPLES,
    rb"V[^\n]*\n(?:p\d{1,6}\n|)(?:%s\x86|)" % _FLAG,
    rb"p\d{1,6}\n",
    rb"g\d{1,9}\n",
    rb"[FS][^\n]*\n",
    rb"c[^\n]*\n[^\n]*\n",
    rb"\x80.",
)
# A run of instructions without danger. Possessive: what was taken as an instruction is never read as another.
_RUN = re.compile(b"(?:%s)*+" % b"|".join(_KINDS), re.DOTALL)
# Between two frames, where picklers write a text too long for one, and up to three bytes about it.
_UNFRAMED = re.compile(rb"(?:[(.02N}\]eustab\x85-\x89)R\x81\x8f-\x91\x93\x94]|[hqK].)*+", re.DOTALL)


def unframed(data: bytes) -> bytes:
    """The pickle without its frames: marks of protocol 4 that lie between any two instructions, for faster reading."""
    parts, position = [data[:2]], 2
    while position < len(data):
        start = position
        if data[start : start + 1] == b"\x95":
            start += 9
            position = start + int.from_bytes(data[start - 8 : start], "little")
        elif (width := _COUNTED.get(data[start : start + 1])) is not None:
            position += 1 + width
            position += int.from_bytes(data[start + 1 : position], "little")
        else:
            position = _UNFRAMED.match(data, start).end()  # type: ignore[union-attr]  # it matches nothing, too
            if position == start:
                position = len(data)
        parts.append(data[start:position])
    return b"".join(parts)


def check(data: bytes) -> None:
    """Raises Refused where a pickle without frames holds an instruction that is not followed here; ValueError where it
    is no pickle, or cut."""
    position = 0
    while True:
        position = _RUN.match(data, position).end()  # type: ignore[union-attr]
        code = data[position : position + 1]
        if code == b".":
            return
        width = _COUNTED.get(code)
        first = position + 1 + (width or 0)
        end = first + int.from_bytes(data[position + 1 : first], "little")
        if width is None or end > len(data):
            _refuse(data, position)
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
