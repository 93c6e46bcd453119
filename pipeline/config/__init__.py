"""The choices of an experiment."""
