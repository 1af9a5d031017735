"""The plan of a town: streets, junctions, lanes, and the map that they make."""
