"""Shares of the classes for each image, such as votes."""
