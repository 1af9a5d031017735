"""Ways to damage what a file says: a well-formed file whose values, keys, columns or types are others."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import pickle
import sqlite3
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from fuzz_bytes import damage

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**63, -(2**63), 10**30, 0.5, 1e308, -1e308, math.nan, math.inf, -math.inf,
    "", "x", "\0", "nan", "2026", "../../../x", "/x", "a\nb", "${oc.env:HOME}", "x" * 100_000, [], {}, [None], [[]],
    [1, "x"], {"x": 1}, {"_target_": "os.system"}, list(range(1000)),
)  # fmt: skip


def another(rng: Random, value: Any) -> Any:
    """Some value in place of ``value``."""
    if isinstance(value, np.ndarray) and value.size and rng.random() < 0.8:
        return _array(rng, value)
    if isinstance(value, torch.Tensor) and value.numel() and rng.random() < 0.8:
        return _tensor(rng, value)
    if isinstance(value, list | tuple) and value and rng.random() < 0.5:
        items = list(value)
        return rng.choice((items[:-1], items * 2, [*items, rng.choice(HOSTILE)], items[::-1], [items]))
    if isinstance(value, str) and value and rng.random() < 0.4:
        return rng.choice((value[:-1], value * 2, value.upper(), f" {value}", value[::-1], value.encode()))
    if isinstance(value, int | float) and rng.random() < 0.4:
        return rng.choice((-value, value + 1, str(value), [value], value * 10**9, float(value)))
    return copy.deepcopy(rng.choice(HOSTILE))


def _array(rng: Random, value: np.ndarray) -> Any:
    changed = value.copy()
    one = tuple(rng.randrange(n) for n in changed.shape)
    if changed.dtype.kind in "fc" and rng.random() < 0.6:
        changed[one] = rng.choice((math.nan, math.inf, -math.inf, 1e300, -1.0, 0.0))
    elif changed.dtype.kind in "iu" and rng.random() < 0.6:
        changed[one] = rng.choice((0, 1, np.iinfo(changed.dtype).max, np.iinfo(changed.dtype).min))
    else:
        made = (
            lambda: changed[:0], lambda: changed[None], lambda: changed.ravel(), lambda: changed.T,
            lambda: changed.astype(object), lambda: changed.astype(str), lambda: np.repeat(changed, 3, 0),
            lambda: changed.tolist(), lambda: np.array(one), lambda: np.full(1, None),
            lambda: np.zeros(changed.shape, "V3"), lambda: np.full(changed.shape, "x" * 50),
        )  # fmt: skip
        try:
            return rng.choice(made)()
        except (ValueError, TypeError):
            return None
    return changed


def _tensor(rng: Random, value: torch.Tensor) -> Any:
    changed = value.detach().clone()
    one = tuple(rng.randrange(n) for n in changed.shape)
    if changed.is_floating_point() and rng.random() < 0.5:
        changed[one] = rng.choice((math.nan, math.inf, -3.5e36, 0.0))
        return changed
    return rng.choice(
        (changed[:0] if changed.ndim else changed[None], changed[None], changed.reshape(-1), changed.to(torch.int8),
         changed.double(), changed.tolist(), changed.to_sparse() if changed.ndim else None, changed.bool())
    )  # fmt: skip


def deep(rng: Random, value: Any) -> Any:
    """``value`` with one thing changed somewhere inside: a leaf or a branch, a key, the order, or one entry more."""
    if isinstance(value, dict) and value and rng.random() < 0.92:
        changed = type(value)(value) if type(value) in (dict, OrderedDict) else dict(value)
        key = rng.choice(list(changed))
        what = rng.random()
        if what < 0.12:
            del changed[key]
        elif what < 0.18:
            changed[rng.choice((f"{key}x", "", 7, None) if rng.random() < 0.5 else (f"{key}x",))] = changed.pop(key)
        elif what < 0.22:
            changed[f"{key} "] = copy.deepcopy(rng.choice(HOSTILE))
        else:
            changed[key] = deep(rng, changed[key])
        return changed
    if isinstance(value, list | tuple) and value and rng.random() < 0.92:
        items = list(value)
        at, what = rng.randrange(len(items)), rng.random()
        if what < 0.08:
            del items[at]
        elif what < 0.16:
            items.insert(at, items[rng.randrange(len(items))])
        elif what < 0.22:
            other = rng.randrange(len(items))
            items[at], items[other] = items[other], items[at]
        else:
            items[at] = deep(rng, items[at])
        return tuple(items) if isinstance(value, tuple) else items
    return another(rng, value)


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else str(value)


def json_values(rng: Random, data: bytes) -> bytes:
    changed = _with_text_keys(deep(rng, json.loads(data)))
    return json.dumps(changed, default=_plain).encode()


def _with_text_keys(value: Any) -> Any:
    """JSON has no other keys, and of two that read alike only one is written."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(inner) for key, inner in value.items()}
    return [_with_text_keys(inner) for inner in value] if isinstance(value, list | tuple) else value


YAML_TEXTS = (
    b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 9)) for i in range(9)),
    b"&a [*a]\n", b"a: &a {b: *a}\n", b"? [1, 2]\n: 3\n", b"!!python/object/apply:os.system ['true']\n",
    b"a: !!binary x\n", b"- - - - -\n", b"---\na: 1\n---\nb: 2\n", b"a: 1\na: 2\n", b"\xfe\xff\0a", b"%YAML 9\n---\n",
    b"a: 2026-13-45\n", b"a: 1_000:60\n", b"<<: [1]\n", b"{" * 3000, b"- " * 3000, b"a: ${b}\nb: ${a}\n",
    b"a: ${x.y.z}\n",    b"a: ${oc.env:NO_SUCH}\n", b"a: ???\n", b"3\n", b"null\n", b"\t\n", b"a:\n  - b\n c\n",
)  # fmt: skip


def yaml_values(rng: Random, data: bytes) -> bytes:
    if rng.random() < 0.25:
        text = rng.choice(YAML_TEXTS)
        return rng.choice((text, data + b"\n" + text, text + data))
    return yaml.safe_dump(_for_yaml(deep(rng, yaml.safe_load(data))), sort_keys=False).encode()


def _for_yaml(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_yaml(inner) for key, inner in value.items()}
    return [_for_yaml(inner) for inner in value] if isinstance(value, list | tuple) else value


def pickle_values(rng: Random, data: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old names of numpy's modules
        content = pickle.loads(data)
    return pickle.dumps(deep(rng, content), protocol=rng.choice((2, 4, 5)))


def community_values(rng: Random, data: bytes) -> bytes:
    """A pickled object behind the header of a .npy file."""
    array = np.load(io.BytesIO(data), allow_pickle=True)
    content = np.empty((), object)
    content[()] = deep(rng, array.item())
    return npy_bytes(content)


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_values(rng: Random, data: bytes) -> bytes:
    """Another array, or another header before the same bytes."""
    if rng.random() < 0.5:
        changed = another(rng, np.load(io.BytesIO(data)))
        try:
            return npy_bytes(np.asarray(changed))
        except (ValueError, OverflowError):
            return data[:10]
    start = 10 + int.from_bytes(data[8:10], "little")
    rows = rng.choice((0, -1, 1, 10**6, 10**9, 10**12, 2**63, True, "4"))
    kind = rng.choice(
        ("|O", "<f8", "<f4", "|u1", "|S0", "<U1000000000", "|V0", ">i8", "<M8[ns]", "x", 3, [("a", "<f4")])
    )
    shape = rng.choice(((rows,), (rows, 8, 3), (rows, rows), (), [rows], None, (2,) * 70))
    head = repr({"descr": kind, "fortran_order": rng.choice((True, False, None)), "shape": shape}).encode()
    head = head if rng.random() < 0.9 else b"(" * 3000
    return data[:8] + len(head).to_bytes(2, "little") + head + data[start:]


def npz_values(rng: Random, data: bytes) -> bytes:
    """Arrays missing, more, or others."""
    with np.load(io.BytesIO(data)) as file:
        arrays = deep(rng, dict(file))
    buffer = io.BytesIO()
    arrays = arrays if isinstance(arrays, dict) else {"x": np.zeros(3)}
    np.savez(buffer, **{str(name) or "x": _as_array(value) for name, value in arrays.items() if name != "file"})
    return buffer.getvalue()


def _as_array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:
        return np.zeros(0)


def csv_cells(rng: Random, data: bytes) -> bytes:
    rows = list(csv.reader(io.StringIO(data.decode())))
    row = rng.choice((0, rng.randrange(len(rows))))
    column, what = rng.randrange(len(rows[row])), rng.random()
    if what < 0.5:
        rows[row][column] = str(rng.choice((*HOSTILE[:20], "1,2", '"', "1;2", "0x10", "1e5", "- 1")))
    elif what < 0.6:
        rows[row].append("1")
    elif what < 0.7:
        del rows[row][column]
    elif what < 0.8:
        rows = [[cell for k, cell in enumerate(cells) if k != column] for cells in rows]
    elif what < 0.9:
        rows.insert(row, list(rows[row]))
    else:
        rows = rows[: rng.choice((0, 1, 2))]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def parquet_cells(rng: Random, data: bytes) -> bytes:
    """Columns missing, renamed, of another type or with gaps; rows missing or twice."""
    rows = pd.read_parquet(io.BytesIO(data))
    column, what = rng.choice(list(rows.columns)), rng.random()
    if what < 0.25:
        rows = rows.drop(columns=column)
    elif what < 0.35:
        rows = rows.rename(columns={column: f"{column}x"})
    elif what < 0.45:
        rows = rng.choice((rows[:0], rows[:1], pd.concat((rows, rows)), rows[::-1]))
    else:
        value = rng.choice((*HOSTILE[:20], [1.0, 2.0], {"a": 1}))
        values = rows[column].astype(object)
        everywhere = rng.random() < 0.5
        values = pd.Series([value if everywhere or k == 1 else old for k, old in enumerate(values)], dtype=object)
        kinds = {type(v) for v in values}
        if len(kinds) > 1 and not kinds <= {int, float, type(None)}:  # a column has one type
            values = values.map(str)
        rows = rows.reset_index(drop=True).assign(**{column: values})
    buffer = io.BytesIO()
    try:
        rows.to_parquet(buffer, index=False)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        rows.assign(**{column: values.map(str)}).to_parquet(buffer, index=False)
    return buffer.getvalue()


def sqlite_cells(rng: Random, data: bytes) -> bytes:
    """Cells, columns, rows and tables of a database changed by its own language."""
    with tempfile.NamedTemporaryFile(suffix=".gpkg") as file:
        Path(file.name).write_bytes(data)
        connection = sqlite3.connect(file.name)
        connection.create_function("RTreeAlign", -1, lambda *_: None)
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type='table'")]
        table = rng.choice([name for name in tables if not name.startswith(("sqlite_", "rtree_"))])
        columns = [row[1] for row in connection.execute(f'pragma table_info("{table}")')]
        column, what = rng.choice(columns), rng.random()
        where = rng.choice(("", f' where rowid = (select rowid from "{table}" limit 1 offset {rng.randrange(5)})'))
        for (trigger,) in connection.execute("select name from sqlite_master where type='trigger'").fetchall():
            connection.execute(f'drop trigger "{trigger}"')
        try:
            if what < 0.1:
                connection.execute(f'delete from "{table}"{where}')
            elif what < 0.15:
                connection.execute(f'drop table "{table}"')
            elif what < 0.25:
                connection.execute(f'alter table "{table}" rename column "{column}" to "{column}x"')
            else:
                (old,) = connection.execute(f'select "{column}" from "{table}"').fetchone() or (None,)
                new = damage(rng, old) if isinstance(old, bytes) else another(rng, old)
                new = new if isinstance(new, None | int | float | str | bytes) else str(new)
                new = max(-(2**63), min(2**63 - 1, new)) if isinstance(new, int) else new
                connection.execute(f'update "{table}" set "{column}" = ?{where}', (new,))
            connection.commit()
        except sqlite3.Error:
            connection.rollback()
        connection.close()
        return Path(file.name).read_bytes()


def checkpoint_values(rng: Random, data: bytes) -> bytes:
    content = deep(rng, torch.load(io.BytesIO(data), weights_only=True))
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def safetensors_header(rng: Random, data: bytes) -> bytes:
    end = 8 + int.from_bytes(data[:8], "little")
    head = json_values(rng, data[8:end])
    return len(head).to_bytes(8, "little") + head + data[end:]
