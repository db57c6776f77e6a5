"""All pictures in one place. Each function returns a matplotlib Figure; :func:`save` writes one, without a display."""

from mstl.report.plots.charts import compare_accuracies, curves, feature_map, lr_curve, reliability
from mstl.report.plots.grids import heat_grid, photo, prediction_grid, worst_grid
from mstl.report.plots.matrix import confusion
from mstl.report.plots.style import MARK, RIGHT, WRONG, new_figure, save

__all__ = [
    "MARK",
    "RIGHT",
    "WRONG",
    "compare_accuracies",
    "confusion",
    "curves",
    "feature_map",
    "heat_grid",
    "lr_curve",
    "new_figure",
    "photo",
    "prediction_grid",
    "reliability",
    "save",
    "worst_grid",
]
