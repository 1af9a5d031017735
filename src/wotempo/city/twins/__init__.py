"""Twin scenes: pairs of scenes with one current frame, which only their histories tell apart."""
