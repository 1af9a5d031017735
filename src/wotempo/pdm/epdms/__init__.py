"""The extended PDM score (EPDMS) of NAVSIM v2.2: one stage, log-replayed traffic.

`context.ExtendedContext.extend` gathers a scene; `score.extended_scores` scores simulated plans at it;
`human_filter.apply_human_filter` forgives what the human did too; `extended_comfort` compares with the frame before.
"""
