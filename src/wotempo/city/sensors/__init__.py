"""What cameras and LiDAR see of a town."""
