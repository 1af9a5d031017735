"""What a checkpoint plans for the scenes of a split, and how well."""
