"""Every reader of files against damaged files: how many end in a value, a clear sentence, or a fault.

make study NAME=fuzz                                           # 300 files of each reader, fewer of slow ones
make study NAME=fuzz ARGS="--inputs 1000 --begin 300"          # further ones
make study NAME=fuzz ARGS="--only map --keep folder"           # these alone; files that ended in a fault are kept

A file ends in a value or a sentence that names it; everything else is a fault: a sentence that names no file, another
exception, a signal, more than ten seconds of CPU, or more than one gigabyte of memory.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz_run import FAULTS, counted, fuzz, table
from fuzz_targets import TARGETS
from fuzz_worker import damaged, settled


def main() -> int:
    """-> the exit code: 1 where a file ended in a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=300, help="damaged files of each reader, times its pace")
    parser.add_argument("--begin", type=int, default=0, help="number of the first file")
    parser.add_argument("--only", default="", help="readers whose name begins so")
    parser.add_argument("--keep", type=Path, help="where files that ended in a fault are written")
    options = parser.parse_args()
    chosen = [target for target in TARGETS if target.name.startswith(options.only)]
    by_name, end = {target.name: target for target in chosen}, options.begin + options.inputs
    inputs = [(t.name, n) for t in chosen for n in range(int(options.begin * t.pace), int(end * t.pace))]
    with TemporaryDirectory() as folder:
        results = []
        for target, number, kind, detail in fuzz(Path(folder), inputs):
            results.append((target, number, kind, detail))
            if kind in FAULTS:
                print(f"{target} {number}: {kind}: {detail}", flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    home, name = settled(by_name[target], Path(folder))
                    file = options.keep / f"{home.name}-{number}{name.suffix}"
                    file.write_bytes(damaged(by_name[target], number, home / name))
    found = counted(results)
    print("\n".join(table(found)))
    return int(any(counts.faults for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
