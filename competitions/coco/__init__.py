"""COCO: eighty kinds of things in everyday scenes, each with a box around it."""
