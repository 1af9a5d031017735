"""The keys of a configuration as a table: name, type, value, and what the comment beside it says.

Values are those of the composed yaml; types and comments those of the schema, a dataclass. Where the schema has no
comment, or a part of the configuration has no schema, the yaml's own comment and the type of its value stand in.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from omegaconf import OmegaConf

from wotempo.command_line.flags import read_line
from wotempo.config.composition import compose_checked, jobs_of, loaded
from wotempo.configs import FOLDER

BESIDE = re.compile(r"\s#\s+(.*)$")


def composed(config_name: str, words: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by key, interpolations as they are written, and the chosen option of every group, or "null". Of a sweep
    those of its first job."""
    line = read_line(words)
    with loaded(line.config_dir):
        chosen = jobs_of(line.overrides)[0]
        values: Any = OmegaConf.to_container(compose_checked(config_name, chosen, with_hydra=True))
    choices = values.pop("hydra")["runtime"]["choices"]
    return values, {group: choices[group] or "null" for group in sorted(choices) if not group.startswith("hydra/")}


def keys_of(
    values: Mapping[str, Any], schema: Any, comments: Mapping[str, str], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Of every leaf of ``values``: <dotted name>=<value as yaml writes it>, type, comment. ``schema``: the dataclass of
    their types; ``comments``: by dotted name."""
    hints, beside = (get_type_hints(schema), _field_comments(schema)) if is_dataclass(schema) else ({}, {})
    for name, value in values.items():
        full, hint = f"{prefix}{name}", hints.get(name)
        if isinstance(value, Mapping) and value:
            yield from keys_of(value, hint, comments, f"{full}.")
        else:
            yield f"{full}={_text(value)}", _kind(hint, value), beside.get(name) or comments.get(full, "")


def yaml_comments(config_name: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """Comments beside the keys of a command's yaml and of the chosen options."""
    found = _comments_in(FOLDER / f"{config_name}.yaml", "")
    for group, option in chosen.items():
        if (file := FOLDER / group / f"{option}.yaml").is_file():
            found |= _comments_in(file, f"{group.replace('/', '.')}.")
    return found


def _comments_in(file: Path, prefix: str) -> dict[str, str]:
    text = file.read_text()
    lines, found = text.splitlines(), dict[str, str]()
    if text.startswith("# @package _global_"):
        prefix = ""

    def visit(node: yaml.Node | None, path: str) -> None:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            line = lines[key.start_mark.line]
            if (comment := BESIDE.search(line)) and line.lstrip().startswith(key.value):
                found[path + key.value] = comment.group(1)
            visit(value, f"{path}{key.value}.")

    visit(yaml.compose(text, Loader=yaml.SafeLoader), prefix)
    return found


def _field_comments(schema: Any) -> dict[str, str]:
    """Comments beside the fields of a dataclass and of its bases, or the sentences on the lines before; a line that
    begins with a small letter is a heading."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__[:-1]):  # all but object
        above: list[str] = []
        for line in inspect.getsource(base).splitlines():
            if match := re.match(r"    (\w+):", line):
                comment = BESIDE.search(line)
                sentences = " ".join(above) if above and above[0][0].isupper() else ""
                found[match.group(1)] = comment.group(1) if comment else sentences
            above = [*above, line.strip().removeprefix("# ")] if line.startswith("    # ") else []
    return found


def _kind(hint: Any, value: Any) -> str:
    if hint is None or hint is Any:
        return "any" if value is None or isinstance(value, dict) else type(value).__name__
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)


def _text(value: Any) -> str:
    if isinstance(value, str) and value and "\n" not in value:
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
