"""What each file is, and what is wrong with a dataset."""
