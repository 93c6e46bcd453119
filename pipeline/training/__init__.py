"""One fold's training."""
