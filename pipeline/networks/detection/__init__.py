"""Networks that give boxes."""
