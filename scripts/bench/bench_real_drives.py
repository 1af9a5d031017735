"""Real drives beside the devkit's results for them: what differs, over all scenes, and CPU time a scene.

make bench WHAT=real_drives                                     # the reference folder beside the checkout
make bench WHAT=real_drives ARGS="--shared folder --every 10"   # every tenth scene
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from real_drives import RealDrives

BESIDE = Path(__file__).resolve().parents[3] / "shared"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=BESIDE, help="folder with data/real_drives and golden/navsim")
    parser.add_argument("--every", type=int, default=1, help="compare every n-th scene")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        anchors = options.shared / "golden" / "navsim" / "anchors_256.npy"
        drives = RealDrives(options.shared / "data" / "real_drives", anchors, Path(folder))
        rows = range(0, len(drives), options.every)
        drives.compare(rows[:1])  # kernels and the first map are not the scenes' cost
        start = time.process_time()
        apart = drives.compare(rows)
        each = (time.process_time() - start) / len(rows)
    print(f"{len(rows)} scenes, {apart.proposals} proposals, {each * 1e3:.0f} ms of CPU a scene with its log and map")
    print(f"proposals with another sub-score: {apart.discrete}")
    print(
        f"proposals that move, with another progress or end: {apart.moving} of {apart.proposals - apart.still} "
        f"(largest difference: progress {apart.progress:.1e} m, end {apart.end:.1e} m)"
    )
    print(f"proposals that stand still, with another progress or end: {apart.still_apart} of {apart.still}")
    print(f"centre lines, PDM-Closed plans and rows of agents that differ: {len(apart.others)}")
    for other in apart.others:
        print(f"  {other}")


if __name__ == "__main__":
    main()
