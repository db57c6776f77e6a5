"""Datasets of Hugging Face's library `datasets`, exported once as class folders."""
