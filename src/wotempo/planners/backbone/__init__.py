"""The frame encoder that planners share: cameras and LiDAR of each frame -> one BEV map."""
