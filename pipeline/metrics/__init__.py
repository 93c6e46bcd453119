"""How predictions are graded."""
