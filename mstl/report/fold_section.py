"""What the page about a run tells of its cross-validation: accuracy, its spread, confusions and calibration."""

from typing import Any

from mstl.evaluation.fold_evaluation import FoldEvaluation
from mstl.report import verdict
from mstl.report.calibration_section import calibration
from mstl.report.class_tables import matrix
from mstl.report.plots.style import share

CONFUSIONS = 10


def fold_section(folds: FoldEvaluation | None) -> dict[str, Any]:
    """The values of the section; ``folds`` is None if there was no cross-validation."""
    if folds is None:
        return {"folds": None}
    evaluation = folds.evaluation
    return {
        "folds": {
            "told": told(folds),
            "evaluation": evaluation,
            "interval": folds.interval,
            "by_fold": [(number, correct, total) for number, (correct, total) in enumerate(folds.by_fold, 1)],
            "matrix": matrix(evaluation),
            "confusions": verdict.most_confused(evaluation, CONFUSIONS),
            "calibration": calibration(evaluation, "folds-"),
        }
    }


def told(folds: FoldEvaluation) -> str:
    """How it was done, and how far the folds differ, in sentences."""
    evaluation, (low, high) = folds.evaluation, folds.interval
    shares = [correct / total for correct, total in folds.by_fold if total]
    text = (
        f"All {evaluation.total:,} training and validation images were dealt out to {folds.count} folds; about each "
        "fold, a head was asked that had been solved for on the features of the others. "
        f"Right are {evaluation.correct:,}, {share(evaluation.accuracy)} (95% interval {share(low)} to {share(high)}); "
        f"by fold {share(min(shares))} to {share(max(shares))}, with a standard deviation of "
        f"{100 * folds.spread:.1f} points. "
    )
    text += verdict.confused(evaluation)[0].upper() + verdict.confused(evaluation)[1:] + "."
    if folds.num_groups < evaluation.total:
        text += f" The images are {folds.num_groups:,} pictures or groups, none of which was divided."
    if folds.unlearnt:
        text += (
            f" {folds.unlearnt:,} of them are of a class that no other picture or group has, which their heads could "
            "not know."
        )
    if folds.doubt:
        text += f" The figures may flatter, as {folds.doubt}."
    return text
