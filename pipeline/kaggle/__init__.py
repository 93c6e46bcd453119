"""Kaggle's own client, and what is asked of it."""
