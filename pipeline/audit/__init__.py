"""Leaks and label problems in a competition's images: copies, near copies, and what straddles folds."""
