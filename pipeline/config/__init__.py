"""The choices that every experiment makes, as data; what one task alone can choose is in its folder."""
