"""From a source (Kaggle, a mirror, a folder, the generated sample) to a checked manifest and packed
images."""
