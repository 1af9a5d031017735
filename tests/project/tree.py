"""The sources of the project as the rules of the house see them: files, their syntax trees, who imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPLITS = {"train", "val", "test"}


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@dataclass(frozen=True)
class Source:
    """A Python file. ``path``: below the root of the project, with slashes."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.text)

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def room(self) -> str:
        """``geometry``, ``planners/wote``, … below src/wotempo; ``callbacks``, ``scripts``; "": the package."""
        parts = self.path.removeprefix("src/wotempo/").split("/")[:-1]
        if not parts:
            return ""
        return "/".join(parts[:2]) if parts[0] == "planners" else parts[0]

    def imported(self) -> Iterator[tuple[str, str]]:
        """(module, "") of ``import module``; (module, name) of ``from module import name``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: relative imports hide the arrow"
                yield from ((node.module or "", alias.name) for alias in node.names)


class Tree:
    """All Python files of src/, callbacks/ and scripts/, or ``planted`` ones (path -> text) in their place."""

    def __init__(self, planted: dict[str, str] | None = None) -> None:
        self.planted = planted

    @cached_property
    def sources(self) -> list[Source]:
        if self.planted is not None:
            return [Source(path, text) for path, text in self.planted.items()]
        paths = (path for top in ("src/wotempo", "callbacks", "scripts") for path in sorted((ROOT / top).rglob("*.py")))
        return [Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]

    def below(self, *folders: str) -> list[Source]:
        return [s for s in self.sources if s.path.startswith(tuple(f"{folder}/" for folder in folders))]
