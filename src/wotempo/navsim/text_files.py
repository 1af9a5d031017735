"""JSON and yaml files that are data: plain values, or a ValueError, whatever the file holds."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

LARGEST = 1 << 28  # bytes: a filter of all tokens of navtrain has 2e6
MOST_BRACKETS = 1000
_DEEP = re.compile(rb"^ {200}|(?:[-?:][ \t]+){50}", re.MULTILINE)


def parse_json(data: bytes) -> Any:
    """The value in a JSON file. ValueError where it is none."""
    try:
        return json.loads(_bounded(data))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_yaml(data: bytes) -> Any:
    """The value in a yaml file, everything in it as text: an unquoted token of digits is a number to other loaders.
    ValueError where it is none, or nested as no filter or list is: libyaml ends the process there."""
    if data.count(b"[") + data.count(b"{") > MOST_BRACKETS or _DEEP.search(_bounded(data)):
        raise ValueError("it is nested too deeply")
    try:
        return yaml.load(data, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _bounded(data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise ValueError(f"it has {len(data)} bytes")
    return data
