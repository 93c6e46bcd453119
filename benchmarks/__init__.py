"""Our operators and detectors timed against those of torchvision and ensemble-boxes, in one run each."""
