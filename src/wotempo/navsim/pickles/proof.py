"""The proof, in one pass and before anything is followed, that a pickle does only what numpy's own do.

The instructions are followed with kinds in place of objects: what they build, call and set the state of is known
without building it. So numpy's own constructors can read what was proved, as fast as they read without a check. What
is not proved is no fault: it is left to constructors that check their arguments (``pickles.scan``, ``unpickle``).
"""

from __future__ import annotations

import numpy as np
from numba import njit

helper = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, inline="always")

FRAME = b"\x95"
NO, TREE, SHARED = 0, 1, 2  # SHARED: proved but for containers that stand in more than one place

# Kinds, each with the value that is known of it: what may lie in a container ...
_NONE, _TRUTH, _INT, _NUMBER = 1, 2, 3, 4  # its value; of the last none
_TEXT, _BYTES = 5, 6  # where it begins and, below _LENGTH bits, its length; length
_FLAT, _EMPTY = 7, 8  # tuple of the kinds so far: how many elements an array of this shape has, -1 for no shape
_TYPE_ARGUMENTS, _TYPE_STATE = 9, 10  # tuples as well: (code, False, True) and a type; the state of one and its size
_LATIN = 11  # (text, "latin1"): the text
_BYTEARRAY, _ARRAY = 12, 13  # length; nothing
_LIST, _DICT = 14, 15  # how deep it nests
_LAST_KEY, _LAST_FLAT, _LAST_DATA = _LATIN, _BYTES, _DICT
# ... and what may not.
_MARK, _NDARRAY, _DTYPE, _RECONSTRUCT, _SCALAR, _FROM_BUFFER, _ENCODE, _NO_BYTES = 16, 17, 18, 19, 20, 21, 22, 23
_NEW_TYPE, _NEW_ARRAY, _TYPE = 24, 25, 26  # type and, above its bits, place in the memory + 1; this place; its bytes
_NEW_ARGUMENTS, _SCALAR_ARGUMENTS, _BUFFER_ARGUMENTS, _ARRAY_STATE = 27, 28, 29, 30
_UNKNOWN = 0


def _number(name: str) -> int:
    """The name as a number, as ``_number_of`` makes one of its letters."""
    number = int.from_bytes(name.encode(), "big") % (1 << 64)
    return number - (number >> 63 << 64)


_NDARRAY_NAME, _DTYPE_NAME, _RECONSTRUCT_NAME, _SCALAR_NAME, _FROM_BUFFER_NAME, _ENCODE_NAME, _BYTES_NAME = map(
    _number, ("ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer", "encode", "bytes")
)
_LATIN_NAME = _number("latin1")
_LENGTH = 24  # bits of the length of a text
_LONGEST_TEXT = (1 << _LENGTH) - 1
_IS_TEXT = 1 << 16  # of a type; below it the bytes of one element
_PLACE = 20  # bits of a type
_HEIGHT = 1 << 13  # picklers push a thousand elements at most before they append them
_DEPTH = 64  # containers within containers
_LONGEST_TUPLE = 64
_MOST = 1 << 31  # elements of an array
MOST_EMPTY = 1 << 16  # rows without elements: they take no byte of the file


def proof(data: bytes) -> int:
    """NO, TREE or SHARED of a pickle of protocol 2 and more."""
    most = len(data) // 2 + 1  # each object in the memory takes two bytes
    memory, known = np.zeros(most, np.uint8), np.empty(most, np.int64)
    stack = np.empty(_HEIGHT, np.uint8), np.empty(_HEIGHT, np.int64)
    return _proof(np.frombuffer(data, np.uint8), *stack, memory, known)


@njit(cache=True, error_model="numpy", no_cfunc_wrapper=True)
def _proof(data, kind, value, memory, known):
    end, at, frame_end, height, kept, verdict = len(data), 0, 0, 0, 0, TREE
    while at < end and height < _HEIGHT - 1:
        code, left = np.int64(data[at]), end - at
        if at >= frame_end:
            frame_end = 0
        at += 1
        bottom = height  # what lies above it is taken from the stack
        what, worth = _UNKNOWN, np.int64(0)  # and this put in its place
        if code == 0x94 or code == 0x71 or code == 0x72:  # MEMOIZE, BINPUT, LONG_BINPUT
            width = 0 if code == 0x94 else (1 if code == 0x71 else 4)
            if left <= width or height == 0:
                return NO
            place = kept if width == 0 else _unsigned(data, at, width)
            at += width
            # Picklers count; a machine takes room for all places below.
            if place > kept or not _keep(kind, value, height - 1, memory, known, place):
                return NO
            kept += 1
        elif code == 0x68 or code == 0x6A:  # BINGET, LONG_BINGET
            width = 1 if code == 0x68 else 4
            if left <= width:
                return NO
            place = _unsigned(data, at, width)
            at += width
            if place >= len(memory) or memory[place] == _UNKNOWN:
                return NO
            what, worth = memory[place], known[place]
            if _NEW_TYPE <= what <= _NEW_ARRAY:
                return NO
            if _LIST <= what <= _DICT:
                verdict = SHARED
        elif code == 0x28:
            what = _MARK
        elif code == 0x4E:
            what = _NONE
        elif code == 0x88 or code == 0x89:
            what, worth = _TRUTH, np.int64(0x89 - code)
        elif code == 0x4B or code == 0x4D or code == 0x4A:  # BININT1, BININT2, BININT
            width = 1 if code == 0x4B else (2 if code == 0x4D else 4)
            if left <= width:
                return NO
            what, worth = _INT, _unsigned(data, at, width)
            if width == 4 and worth >= 1 << 31:
                worth -= 1 << 32
            at += width
        elif code == 0x47 or code == 0x8A:  # BINFLOAT, LONG1
            width = 8 if code == 0x47 else (1 + np.int64(data[at]) if left > 1 else end)
            if left <= width or width > 17:
                return NO
            what = _NUMBER
            at += width
        elif code == 0x5D:
            what = _LIST
        elif code == 0x7D:
            what = _DICT
        elif code == 0x29:
            what, worth = _EMPTY, np.int64(1)
        elif code == 0x85 or code == 0x86 or code == 0x87 or code == 0x74:  # TUPLE1, TUPLE2, TUPLE3, TUPLE
            bottom = _mark(kind, height) + 1 if code == 0x74 else height - (code - 0x84)
            if bottom < 0 or (bottom == 0 and code == 0x74):
                return NO
            what, worth = _tuple(data, kind, value, bottom, height)
            if what == _UNKNOWN:
                return NO
            if code == 0x74:
                bottom -= 1
        elif code == 0x65 or code == 0x61 or code == 0x75 or code == 0x73:  # APPENDS, APPEND, SETITEMS, SETITEM
            many, pairs = code == 0x65 or code == 0x75, code == 0x75 or code == 0x73
            bottom = _mark(kind, height) if many else height - (2 if pairs else 1)
            first = bottom + 1 if many else bottom
            if bottom < 1 or kind[bottom - 1] != (_DICT if pairs else _LIST) or (pairs and (height - first) % 2):
                return NO
            deepest = _held(kind, value, first, height, pairs)
            if deepest >= _DEPTH:
                return NO
            value[bottom - 1] = max(value[bottom - 1], deepest + 1)
        elif code == 0x52 or code == 0x62:  # REDUCE, BUILD
            bottom = height - 2
            if bottom < 0:
                return NO
            if code == 0x52:
                what, worth = _called(data, kind[bottom], kind[bottom + 1], value[bottom + 1])
            else:
                what, worth, place = _set(kind[bottom], value[bottom], kind[bottom + 1], value[bottom + 1])
                if place > 0 and what != _UNKNOWN:
                    memory[place - 1], known[place - 1] = what, worth
            if what == _UNKNOWN:
                return NO
        elif code == 0x63 or code == 0x93:  # GLOBAL, STACK_GLOBAL
            if code == 0x93:
                bottom = height - 2
                if bottom < 0 or kind[bottom] != _TEXT or kind[bottom + 1] != _TEXT:
                    return NO
                start, length = value[bottom + 1] >> _LENGTH, value[bottom + 1] & _LONGEST_TEXT
            else:
                start = _line_end(data, at) + 1
                at = _line_end(data, start) + 1
                length = at - 1 - start
            if at > end:
                return NO
            what = _name(data, start, length)
            if what == _UNKNOWN:
                return NO
        elif code == 0x95:  # FRAME: one that cuts an instruction would be read otherwise than it stands here
            if frame_end or left <= 8:
                return NO
            length = _unsigned(data, at, 8)
            at += 8
            if length < 1 or length > end - at:
                return NO
            frame_end = at + length
            continue
        elif code == 0x80:
            at += 1
        elif code == 0x2E:
            return verdict if height == 1 and kind[0] <= _LAST_DATA else NO
        else:  # text and bytes behind their length
            what, width = _counted(code)
            if what == _UNKNOWN or left <= width:
                return NO
            length = _unsigned(data, at, width)
            at += width
            if length < 0 or length > end - at:
                return NO
            worth = length
            if what == _TEXT:
                if length > _LONGEST_TEXT:
                    return NO
                worth = (at << _LENGTH) + length
            at += length
        if frame_end and at > frame_end:
            return NO
        height = bottom
        if what != _UNKNOWN:
            kind[height], value[height] = what, worth
            height += 1
            if at < end and data[at] == 0x94 and at != frame_end and what != _MARK:  # most often: a turn less
                if not _keep(kind, value, height - 1, memory, known, kept):
                    return NO
                at += 1
                kept += 1
    return NO


@helper
def _keep(kind, value, top, memory, known, place):
    """Puts what is on top of the stack into the memory; whether it may lie in this place."""
    if place >= len(memory) or memory[place] != _UNKNOWN or kind[top] == _MARK:
        return False
    if kind[top] == _NEW_ARRAY:
        value[top] = place + 1
    elif kind[top] == _NEW_TYPE:
        value[top] = value[top] % (1 << _PLACE) + ((place + 1) << _PLACE)
    memory[place], known[place] = kind[top], value[top]
    return True


@helper
def _unsigned(data, at, width):
    number = np.int64(0)
    for i in range(width):
        number += np.int64(data[at + i]) << (8 * i)
    return number


@helper
def _line_end(data, at):
    while at < len(data) and data[at] != 0x0A:
        at += 1
    return at


@helper
def _mark(kind, height):
    """The uppermost mark of the stack, -1 for none."""
    at = height - 1
    while at >= 0 and kind[at] != _MARK:
        at -= 1
    return at


@helper
def _counted(code):
    """Kind, and how many bytes its length takes."""
    if code == 0x8C:
        return _TEXT, 1
    if code == 0x43:
        return _BYTES, 1
    if code == 0x58:
        return _TEXT, 4
    if code == 0x42:
        return _BYTES, 4
    if code == 0x8D:
        return _TEXT, 8
    if code == 0x8E:
        return _BYTES, 8
    if code == 0x96:
        return _BYTEARRAY, 8
    return _UNKNOWN, 0


@helper
def _number_of(data, start, length):
    number = np.int64(0)
    for at in range(start, start + length):
        number = number * 256 + data[at]
    return number


@helper
def _number_of_text(data, text):
    return _number_of(data, text >> _LENGTH, text & _LONGEST_TEXT)


@helper
def _name(data, start, length):
    number = _number_of(data, start, length)
    if number == _NDARRAY_NAME:
        return _NDARRAY
    if number == _DTYPE_NAME:
        return _DTYPE
    if number == _RECONSTRUCT_NAME:
        return _RECONSTRUCT
    if number == _SCALAR_NAME:
        return _SCALAR
    if number == _ENCODE_NAME:
        return _ENCODE
    if number == _BYTES_NAME:
        return _NO_BYTES
    return _FROM_BUFFER if number == _FROM_BUFFER_NAME else _UNKNOWN


@helper
def _element(data, text):
    """The type of a code like f8 or U14: bytes of an element, and _IS_TEXT; -1 for others."""
    start, length = text >> _LENGTH, text & _LONGEST_TEXT
    if length < 2 or length > 5:
        return -1
    letter, number = data[start], 0
    for i in range(start + 1, start + length):
        if data[i] < 0x30 or data[i] > 0x39:
            return -1
        number = number * 10 + data[i] - 0x30
    if number == 0:
        return -1
    if letter == 0x55:
        return _IS_TEXT + 4 * number
    if letter == 0x53:
        return _IS_TEXT + number
    is_number = letter == 0x62 or letter == 0x69 or letter == 0x75 or letter == 0x66
    return number if is_number and length == 2 and (number == 1 or number == 2 or number == 4 or number == 8) else -1


@helper
def _held(kind, value, first, height, pairs):
    """How deep the elements of a container nest; _DEPTH where one must not lie in it, or not as a key."""
    deepest = np.int64(0)
    for at in range(first, height):
        is_key = pairs and (at - first) % 2 == 0
        if kind[at] > (_LAST_KEY if is_key else _LAST_DATA):
            return np.int64(_DEPTH)
        if kind[at] >= _LIST:
            deepest = max(deepest, value[at])
    return deepest


@helper
def _tuple(data, kind, value, bottom, height):
    """Kind and value of the tuple of what stands between; _UNKNOWN for one that nothing needs."""
    k, v, n = kind[bottom:height], value[bottom:height], height - bottom
    count, rows, flat, shape = np.int64(1), np.int64(1), n <= _LONGEST_TUPLE, True
    for i in range(n):
        flat = flat and k[i] <= _LAST_FLAT
        shape = shape and k[i] == _INT and 0 <= v[i] < 1 << 31
        if shape:
            count, rows = min(count * v[i], _MOST), min(rows * max(v[i], 1), _MOST)
    shape = shape and count < _MOST and (count > 0 or rows <= MOST_EMPTY)
    if flat:
        if n == 3 and k[0] == _TEXT and k[1] == _TRUTH and k[2] == _TRUTH and v[1] == 0 and v[2] == 1:
            element = _element(data, v[0])
            if element >= 0:
                return _TYPE_ARGUMENTS, np.int64(element)
        if n == 2 and k[0] == _TEXT and k[1] == _TEXT and _number_of_text(data, v[1]) == _LATIN_NAME:
            return _LATIN, v[0]
        if n == 8 and k[0] == _INT and v[0] == 3 and k[1] == _TEXT and v[1] & _LONGEST_TEXT == 1:
            ints = k[2] == _NONE and k[3] == _NONE and k[4] == _NONE and k[5] == _INT and k[6] == _INT and k[7] == _INT
            order = data[v[1] >> _LENGTH]
            if ints and (order == 0x3C or order == 0x3E or order == 0x3D or order == 0x7C):
                if v[5] == -1 and v[6] == -1 and v[7] == 0:
                    return _TYPE_STATE, np.int64(-1)
                if 0 <= v[5] < _IS_TEXT and (v[6] == 1 or v[6] == 4) and (v[7] == 0 or v[7] == 8):
                    return _TYPE_STATE, v[5]
        return _FLAT, count if shape else np.int64(-1)
    if n == 2 and k[0] == _TYPE and k[1] == _BYTES and v[0] == v[1]:
        return _SCALAR_ARGUMENTS, np.int64(0)
    if n == 3 and k[0] == _NDARRAY and k[1] == _FLAT and v[1] == 0 and k[2] == _BYTES:
        return _NEW_ARGUMENTS, np.int64(0)
    if n == 4 and (k[0] == _BYTES or k[0] == _BYTEARRAY) and k[1] == _TYPE and _is_shape(k[2]) and k[3] == _TEXT:
        letter = data[v[3] >> _LENGTH] if v[3] & _LONGEST_TEXT == 1 else 0
        if v[1] > 0 and v[2] >= 0 and v[1] * v[2] == v[0] and (letter == 0x43 or letter == 0x46):
            return _BUFFER_ARGUMENTS, np.int64(0)
    if n == 5 and k[0] == _INT and _is_shape(k[1]) and k[2] == _TYPE and k[3] == _TRUTH and k[4] == _BYTES:
        is_whole = v[0] == 1 and v[1] >= 0 and v[1] * v[2] == v[4]
        return _ARRAY_STATE if is_whole else _UNKNOWN, np.int64(0)
    return _UNKNOWN, np.int64(0)


@helper
def _is_shape(kind):
    return _FLAT <= kind <= _EMPTY


@helper
def _latin_length(data, text):
    """How many bytes the text is in latin-1; -1 where it is none, or not written as UTF-8 writes it."""
    at, number = text >> _LENGTH, np.int64(0)
    end = at + (text & _LONGEST_TEXT)
    while at < end:
        if data[at] >= 0x80:
            if (data[at] != 0xC2 and data[at] != 0xC3) or at + 1 == end or data[at + 1] & 0xC0 != 0x80:
                return np.int64(-1)
            at += 1
        at += 1
        number += 1
    return number


@helper
def _called(data, callee, arguments, worth):
    if callee == _RECONSTRUCT and arguments == _NEW_ARGUMENTS:
        return _NEW_ARRAY, np.int64(0)
    if callee == _DTYPE and arguments == _TYPE_ARGUMENTS:
        return _NEW_TYPE, worth
    if callee == _ENCODE and arguments == _LATIN:
        length = _latin_length(data, worth)
        return _BYTES if length >= 0 else _UNKNOWN, length
    if callee == _NO_BYTES and arguments == _EMPTY:
        return _BYTES, np.int64(0)
    if callee == _SCALAR and arguments == _SCALAR_ARGUMENTS:
        return _NUMBER, np.int64(0)
    if callee == _FROM_BUFFER and arguments == _BUFFER_ARGUMENTS:
        return _ARRAY, np.int64(0)
    return _UNKNOWN, np.int64(0)


@helper
def _set(kind, value, state, worth):
    """Kind and value of what gets the state, and its place in the memory + 1."""
    if kind == _NEW_ARRAY and state == _ARRAY_STATE:
        return _ARRAY, np.int64(0), value
    if kind == _NEW_TYPE and state == _TYPE_STATE:
        size = value % _IS_TEXT
        if worth == (size if value & _IS_TEXT else -1):
            return _TYPE, size, value >> _PLACE
    return _UNKNOWN, np.int64(0), np.int64(0)
