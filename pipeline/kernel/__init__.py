"""The Kaggle kernel: a bundle ready to push, its rehearsal on this machine, and what runs inside it."""
