"""Evidence for the acceptance criteria that only the data can give: simple drivers, scores, labels, splits, sensors.

``callbacks/base/protocol.py`` says what each method returns; ``RunEvidence`` is the attribute ``evidence`` of a run's
data module. It measures, and judges nothing.
"""
