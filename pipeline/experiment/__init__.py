"""A run of folds, and blends of runs."""
