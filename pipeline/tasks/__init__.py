"""What differs between tasks, and nothing else."""
