"""From a network and images to predictions."""
