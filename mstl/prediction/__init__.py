"""Prediction: what trained models make of images; models that are exported, and those that were."""
