"""An image for each image, of the same size: denoising, restoring, translating."""
