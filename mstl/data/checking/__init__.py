"""Read every file of a dataset, and find what is wrong with it."""
