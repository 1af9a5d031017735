"""The pictures of a run report: which there are, and what is lacking."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wotempo.report.pictures.scene_card import moving_scene, scene_card


@dataclass(frozen=True)
class Card:
    image: bytes  # WebP
    caption: str


@dataclass
class Pictures:
    """``groups``: heading -> pictures. ``lacking``: what is not shown, and the command that makes it."""

    groups: dict[str, list[Card]] = field(default_factory=dict)
    lacking: list[tuple[str, str]] = field(default_factory=list)

    def add(self, heading: str, samples: list[dict[str, np.ndarray]], captions: list[str]) -> None:
        cards = [Card(scene_card(sample), caption) for sample, caption in zip(samples, captions, strict=True)]
        self.groups[heading] = cards

    def add_moving(self, heading: str, samples: list[dict[str, np.ndarray]], caption: str) -> None:
        self.groups[heading] = [Card(moving_scene(samples), caption)]
