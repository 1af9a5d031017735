"""The sensors of a town: camera images and LiDAR clouds of its frames."""
