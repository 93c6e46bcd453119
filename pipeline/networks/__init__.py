"""Networks: builders, weights, frozen stages, parameter groups."""
