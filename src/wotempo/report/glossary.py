"""The meaning of the short names on the pages, and the words that tables show for them."""

from __future__ import annotations

GLOSSARY = (
    "PDMS = NC · DAC · (5 EP + 5 TTC + 2 C) / 12. NC: no collision of its own fault; DAC: stays on drivable area; "
    "EP: progress; TTC: time to collision kept; C: comfort; DDC: keeps to the driving direction (not in PDMS). All are "
    "from 0 to 1, higher is better. ADE, FDE: distance from the expert's positions, mean over 4 s and at 4 s; "
    "lower is better."
)
WORDS = {"comfort": "C", "ade": "ADE m", "fde": "FDE m", "seconds_per_step": "s/step", "memory": "memory GB"}
PLAIN = ("pdms", "nc", "dac", "ep", "ttc", "ddc")


def word(name: str) -> str:
    """How a table calls a figure: short names in capitals, with their unit."""
    return name.upper() if name in PLAIN else WORDS.get(name, name)
