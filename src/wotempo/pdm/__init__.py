"""Simulation and PDM scoring.

`context.SceneContext.build` gathers a scene; `score.score_trajectories` simulates and scores plans at it (v1.1);
`closed.plan.plan_closed` is the rule-based planner that official results compare progress with; `epdms` is the extended
score of v2.2; `evaluation.evaluate_scenes` scores drivers as the leaderboard does; `labels.label.label_shard` scores
all anchors at many scenes; `anchors.cluster_anchors` makes anchors.
"""
