"""Measurements; each module runs by ``python -m benchmarks.<name>``."""
