"""Padding: the two ways to pad, as data that is known without loading MindSpore."""

from typing import Literal

Padding = Literal["symmetric", "same"]
SYMMETRIC: Padding = "symmetric"
SAME: Padding = "same"
