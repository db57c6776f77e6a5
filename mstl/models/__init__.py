"""Architectures, and the weights that they are loaded with."""
