"""A run in a notebook: the verdict, the epochs as a table, and the curves."""

from collections.abc import Sequence

from mstl.evaluation.history import EpochRow, best_row
from mstl.evaluation.metrics import Evaluation
from mstl.report import verdict
from mstl.report.inline_images import figure_uri
from mstl.report.plots.charts import course
from mstl.report.rendering import render

ROWS = 12  # epochs that are shown: the last ones, and the best


def history_html(
    history: Sequence[EpochRow],
    evaluation: Evaluation | None,
    by: str | None = None,
    trials: Sequence[Sequence[float]] = (),
    chosen: float = 0.0,
) -> str:
    """A run as a piece of HTML without style sheet or script.

    Args:
        history: The rows so far.
        evaluation: The validation of the best epoch; None before the first.
        by: What the best epoch is best by, as in :func:`mstl.evaluation.history.best_row`.
        trials, chosen: Weight decays that were tried, as :func:`mstl.report.plots.course` takes them.
    """
    if not history or evaluation is None:
        return render("notebook.html", rows=[])
    best = best_row(history, by)
    recent = history[-ROWS + 1 :] if len(history) > ROWS else history
    return render(
        "notebook.html",
        verdict=verdict.verdict(evaluation),
        rows=[row for row in history if row is best or row in recent],
        best=best,
        course=figure_uri(course(history, evaluation.total, by, trials, chosen), dpi=90),
    )
