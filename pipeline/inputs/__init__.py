"""From files to batches: preprocessing, augmentation, loading."""
