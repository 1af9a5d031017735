"""What BEV maps hold, measured: where objects land in them, and what they tell of velocities."""
