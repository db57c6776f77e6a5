"""Several runs on one page: which is best, whether significantly, and what was set differently."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mstl.files import write_text
from mstl.report import inline_images, verdict
from mstl.report.inline_images import Chart
from mstl.report.plots import charts
from mstl.report.plots.style import share
from mstl.report.rendering import render_page
from mstl.report.run_report import RunReport
from mstl.runtime.language import plural
from mstl.runtime.language import translated as _

SIGNIFICANT = 0.05  # p value below which a difference counts as one


def write_comparison(path: str | os.PathLike[str], runs: Sequence[RunReport]) -> None:
    """Write a page about several runs, the best first, atomically.

    Args:
        path: Where to.
        runs: At least two, with different names.
    """
    runs = sorted(runs, key=lambda run: -run.evaluation.accuracy)
    bounds = [bound for run in runs for bound in run.evaluation.interval]
    lowest, highest = min(bounds), max(bounds)
    values = {
        "verdict": sentence(runs),
        "runs": [row(run, runs[0]) for run in runs],
        "lowest": lowest,
        "highest": highest if highest > lowest else lowest + 1,
        "nan": float("nan"),
        "curves": curves(runs),
        "columns": [(_("Setting"), "text"), *((run.name, "text") for run in runs)],
        "differing": differing_settings(runs),
        "warnings": data_warnings(runs),
    }
    write_text(path, render_page("comparison.html", **values))


def sentence(runs: Sequence[RunReport]) -> str:
    """Which run is best, and how sure that is; the best comes first."""
    best, *others = runs
    low, high = best.evaluation.interval
    text = _(
        "“{name}” is best with {accuracy} (95% interval {low} to {high})",
        name=best.name,
        accuracy=share(best.evaluation.accuracy),
        low=share(low),
        high=share(high),
    )
    if not all(run.digests for run in runs):
        return text + _(", but it is not known whether all runs were validated on the same images.")
    if not all(comparable(best, other) for other in others):
        return text + _(", but not all runs were validated on the same images, so this does not show which is better.")
    worse = sum(against(best, other).p < SIGNIFICANT for other in others)
    if worse == len(others):
        return text + plural(
            ", significantly better than the other.", ", significantly better than all others.", len(others)
        )
    if worse == 0:
        return text + plural(
            ", but not significantly better than the other.",
            ", but not significantly better than any other.",
            len(others),
        )
    return text + _(", significantly better than {worse} of the {others} others.", worse=worse, others=len(others))


@dataclass(frozen=True)
class Difference:
    """A run beside the best one.

    Attributes:
        only_best: Images that only the best run got right.
        only_run: Images that only this run got right.
        p: McNemar's p value.
    """

    only_best: int
    only_run: int
    p: float


def against(best: RunReport, run: RunReport) -> Difference:
    """McNemar's test of two runs on the same images, in whatever order each has them."""
    first, second = (
        (each.evaluation.predictions == each.evaluation.labels)[[index for *_, index in labelled_contents(each)]]
        for each in (best, run)
    )
    return Difference(*verdict.mcnemar(first, second))


def comparable(first: RunReport, second: RunReport) -> bool:
    """Whether two runs were validated on the same images with the same labels, wherever the files were."""
    one, other = ([(digest, label) for digest, label, _ in labelled_contents(run)] for run in (first, second))
    return bool(one) and first.evaluation.classes == second.evaluation.classes and one == other


def labelled_contents(run: RunReport) -> list[tuple[str, int, int]]:
    """The digest, the label and the index of each validation image, sorted; none if the digests are unknown."""
    labels = run.evaluation.labels.tolist()
    return sorted(zip(run.digests, labels, range(len(labels)), strict=True)) if run.digests else []


def row(run: RunReport, best: RunReport) -> dict[str, Any]:
    """A run's row in the table."""
    low, high = run.evaluation.interval
    return {
        "name": run.name,
        "model": run.model,
        "accuracy": run.evaluation.accuracy,
        "low": low,
        "high": high,
        "macro_f1": run.evaluation.macro_f1,
        "ece": run.evaluation.ece(),
        "epochs": len(run.history),
        "seconds": run.seconds,
        "difference": against(best, run) if run is not best and comparable(best, run) else None,
    }


def curves(runs: Sequence[RunReport]) -> Chart | None:
    """Validation accuracy of the runs over their epochs; None if no history is known."""
    histories = {run.name: run.history for run in runs if run.history}
    if not histories:
        return None
    told = plural(
        "Validation accuracy of {count} run over its epochs",
        "Validation accuracy of {count} runs over their epochs",
        len(histories),
    )
    return inline_images.chart(charts.compare_accuracies(histories), "runs", told)


def differing_settings(runs: Sequence[RunReport]) -> list[tuple[str, list[Any]]]:
    """The settings that are not the same in all runs, each with its values."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    settings = [(key, [run.config.get(key) for run in runs]) for key in keys]
    return [(key, values) for key, values in settings if any(value != values[0] for value in values)]


def data_warnings(runs: Sequence[RunReport]) -> list[str]:
    """The data warnings, each with the runs that it is about."""
    names: dict[str, list[str]] = {}
    for run in runs:
        for warning in run.warnings:
            names.setdefault(warning, []).append(run.name)
    return [f"{warning} ({', '.join(runs_of)})" for warning, runs_of in names.items()]
