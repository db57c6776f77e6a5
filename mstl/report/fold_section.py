"""What the page about a run tells of its cross-validation: accuracy, its spread, confusions and calibration."""

from typing import Any

from mstl.evaluation.fold_evaluation import FoldEvaluation
from mstl.report import verdict
from mstl.report.calibration_section import calibration
from mstl.report.class_tables import matrix
from mstl.report.plots.style import share
from mstl.runtime.language import translated as _

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
    text = _(
        "All {total:,} training and validation images were dealt out to {folds} folds; about each fold, a head was "
        "asked that had been solved for on the features of the others. Right are {correct:,}, {accuracy} (95% interval "
        "{low} to {high}); by fold {least} to {most}, with a standard deviation of {spread:.1f} points. ",
        total=evaluation.total,
        folds=folds.count,
        correct=evaluation.correct,
        accuracy=share(evaluation.accuracy),
        low=share(low),
        high=share(high),
        least=share(min(shares)),
        most=share(max(shares)),
        spread=100 * folds.spread,
    )
    text += _("{sentence}.", sentence=verdict.confused(evaluation)[0].upper() + verdict.confused(evaluation)[1:])
    if folds.num_groups < evaluation.total:
        text += _(" The images are {count:,} pictures or groups, none of which was divided.", count=folds.num_groups)
    if folds.unlearnt:
        text += _(
            " {count:,} of them are of a class that no other picture or group has, which their heads could not know.",
            count=folds.unlearnt,
        )
    if folds.doubt:
        text += _(" The figures may flatter, as {doubt}.", doubt=folds.doubt)
    return text
