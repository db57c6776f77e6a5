"""From image files to batches of pixels: transforms, sampling, loading, mixing."""
