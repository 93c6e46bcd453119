"""Networks by timm name, their weights, and what the optimiser does to each part of them."""
