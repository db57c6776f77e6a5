"""Evaluation: metrics, calibration, rejection of out-of-distribution images, and label errors."""
