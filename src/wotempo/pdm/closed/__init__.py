"""PDM-Closed: the rule-based planner whose progress NAVSIM compares every agent's with.

`plan.plan_closed` plans for one scene; the masked progress of `plan.closed_states` is what `wotempo.pdm.score.score`
takes as its ``reference_progress``. Facts: the PDM paper (Dauner et al., 2023) and NAVSIM v1.1.
"""
