"""Masks: their encodings and files, what they are scored and trained by, tiled prediction, pictures."""
