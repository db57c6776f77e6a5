"""Measurements, run from a checkout: ``python -m benchmarks --help``; README.md says how each number is made."""
