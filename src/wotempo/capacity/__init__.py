"""The size of a run: measured steps, projected hours and memory, the machine profile, the Slurm job."""
