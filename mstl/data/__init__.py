"""Data: find the samples of a dataset, read and check them, split them, and load them in batches."""
