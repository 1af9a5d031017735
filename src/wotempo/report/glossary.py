"""The meaning of the short names on the pages, and the words that tables show for them."""

from __future__ import annotations

GLOSSARY = (
    "PDMS = NC · DAC · (5 EP + 5 TTC + 2 C) / 12. NC: no collision of its own fault; DAC: stays on drivable area; "
    "EP: progress; TTC: time to collision kept; C: comfort; DDC: keeps to the driving direction (not in PDMS). All are "
    "from 0 to 1, higher is better. ADE, FDE: distance from the expert's positions, mean over 4 s and at 4 s; "
    "lower is better. In twin scenes, pairs with one current frame and two histories: pair accuracy, how often a lost "
    "point is predicted in the right one of the two (0.5: not told apart); swap gain, the PDMS that is lost when both "
    "plans are exchanged; share, the part of what knowing the history is worth that the plans reach."
)
WORDS = {"comfort": "C", "ade": "ADE m", "fde": "FDE m", "seconds_per_step": "s/step", "memory": "memory GB",
         "pair_accuracy": "pair accuracy", "swap_gain": "swap gain", "chosen_share": "share, anchors chosen",
         "accuracy_nc": "pair accuracy NC", "accuracy_ttc": "pair accuracy TTC"}  # fmt: skip
PLAIN = ("pdms", "nc", "dac", "ep", "ttc", "ddc")


def word(name: str) -> str:
    """How a table calls a figure: short names in capitals, with their unit."""
    return name.upper() if name in PLAIN else WORDS.get(name, name)
