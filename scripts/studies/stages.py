"""Parameters and multiply-accumulates of every fusion stage, at every level and both sizes.

make study NAME=stages
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from wotempo.configs import option_names, values

from wotempo.command_line.entry import command
from wotempo.errors import UserError
from wotempo.fusion import can_sit
from wotempo.planners.config import ALL_LEVELS, ModelConfig, sizes
from wotempo.planners.stage_cost import Cost, cost

SIZES = ("wote_tiny", "wote")


def costs(config: ModelConfig, level: str) -> Iterator[Cost]:
    """Of every yaml of configs/fusion that can sit at a level of a model."""
    channels, grid = config.level(level)
    for name in option_names("fusion"):
        options = values(f"fusion/{name}")
        if can_sit(options, level):
            yield cost(name, channels, grid, {**options, "level": level})


@command("")
def main(arguments: list[str]) -> int:
    """-> the exit code."""
    if arguments:
        raise UserError(f"'{arguments[0]}' is too much: the command takes no words")
    for size in SIZES:
        config = sizes(size)
        for level in ALL_LEVELS:
            channels, grid = config.level(level)
            print(f"\n{size}, level {level}: {channels} channels on {grid.rows}×{grid.cols} cells, batch 1")
            print(f"{'fusion':22}{'parameters':>14}{'GMAC':>9}")
            for row in sorted(costs(config, level), key=lambda row: row.parameters):
                print(f"{row.stage:22}{row.parameters:14,}{row.macs / 1e9:9.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
