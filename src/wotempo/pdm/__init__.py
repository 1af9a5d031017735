"""Simulation and PDM scoring.

`context.SceneContext.build` gathers a scene; `score.score_trajectories` simulates and scores plans at it;
`label.label_scenes` does so for all anchors and many scenes; `anchors.cluster_anchors` makes anchors; `closed` plans as
NAVSIM's reference planner does, whose progress official scores are relative to.
"""
