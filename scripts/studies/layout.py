"""The geometry of a checkpoint's BEV map: where objects land in it, and how well it can be moved with the ego.

    make study NAME=layout CKPT=runs/…/checkpoints/last.ckpt

What is measured stands in wotempo.evaluation.probes.layout_evidence.
"""

from __future__ import annotations

from wotempo.command_line.entry import run
from wotempo.evaluation.probes.layout_evidence import ProbeConfig, check, work

if __name__ == "__main__":
    run("probe_layout", ProbeConfig, check, work)
