"""Who runs the trials of an experiment: this machine, a Ray cluster, SLURM."""
