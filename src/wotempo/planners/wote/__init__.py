"""WoTE (Li et al., ICCV 2025): anchors are imagined forward on a BEV map, scored, refined; the best one is driven."""
