"""A mask for each class, each by itself: masks may overlap."""
