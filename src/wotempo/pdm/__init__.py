"""Simulation and PDM scoring.

`context.SceneContext.build` gathers a scene; `score.score_trajectories` simulates and scores plans at it;
`label.label_scenes` does so for all anchors and many scenes; `anchors.cluster_anchors` makes anchors.
All of this is NAVSIM v1.1's score; `epdms` is v2.2's.
"""
