"""Everything that a run needs on disk before its first step: scenes, anchors, labels, caches."""
