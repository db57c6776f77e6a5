"""All plots in one place. Each function returns a matplotlib Figure; :func:`save` writes one, without a display."""

from mstl.report.plots.charts import compare_accuracies, course, curves, lr_curve, reliability
from mstl.report.plots.grids import heat_grid, middle_square, prediction_grid, worst_grid
from mstl.report.plots.matrix import confusion
from mstl.report.plots.scatter import feature_map
from mstl.report.plots.style import MARK, RIGHT, WRONG, new_figure, save

__all__ = [
    "MARK",
    "RIGHT",
    "WRONG",
    "compare_accuracies",
    "confusion",
    "course",
    "curves",
    "feature_map",
    "heat_grid",
    "lr_curve",
    "middle_square",
    "new_figure",
    "prediction_grid",
    "reliability",
    "save",
    "worst_grid",
]
