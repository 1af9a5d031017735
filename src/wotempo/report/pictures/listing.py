"""The pictures of a run report: which there are, and what is lacking."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Pictures:
    """``groups``: heading -> pictures (WebP) with their captions. ``lacking``: what is not shown, and the command that
    makes it."""

    groups: dict[str, list[tuple[bytes, str]]] = field(default_factory=dict)
    lacking: list[tuple[str, str]] = field(default_factory=list)
