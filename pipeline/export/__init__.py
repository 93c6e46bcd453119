"""Trained networks for other programs, and for images that no competition knows."""
