"""The measures that criteria use: trends of a loss, overlaps of maps, shape contracts, the re-run of a step."""
