"""The frames: their schema, how they are joined, split and read from annotation files."""
