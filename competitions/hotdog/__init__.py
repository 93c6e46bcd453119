"""Hotdog or not: two kinds of photographs of food, few enough that pretrained weights decide."""
