"""CIFAR-10: ten kinds of objects in 32 x 32 photographs."""
