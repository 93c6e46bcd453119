"""PASCAL VOC: which pixels of a photograph belong to which of twenty kinds of objects."""
