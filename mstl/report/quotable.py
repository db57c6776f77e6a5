"""Quotable: the figure of a run that may be quoted, from its test images, or why its accuracy flatters a little."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstl.errors import MstlError
from mstl.evaluation.metrics import Evaluation
from mstl.files import write_json
from mstl.report.plots.style import share
from mstl.runtime.language import translated as _

if TYPE_CHECKING:
    from mstl.evaluation.fold_evaluation import FoldEvaluation

NAME = "test.json"
SMALL = 200  # images, with fewer of which a part of the data tells less than a cross-validation of all images


@dataclass(frozen=True)
class Quotable:
    """How good the best epoch of a run is on test images, by which nothing was chosen.

    Attributes:
        epoch: The epoch.
        correct: Images that were classified correctly.
        total: Images.
        accuracy: Their share.
        interval: The 95 % confidence interval of that, (low, high).
    """

    epoch: int
    correct: int
    total: int
    accuracy: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, evaluation: Evaluation, epoch: int) -> "Quotable":
        """The figures of an evaluation of the test images."""
        return cls(epoch, evaluation.correct, evaluation.total, evaluation.accuracy, evaluation.interval)

    def line(self) -> str:
        """A line for the terminal."""
        low, high = self.interval
        return f"test accuracy {self.accuracy:.3f} ({low:.2f} to {high:.2f}), n = {self.total}: the figure to quote"

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "interval": list(self.interval)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Quotable":
        """The inverse of :meth:`to_dict`; unknown keys do no harm."""
        low, high = values["interval"]
        return cls(values["epoch"], values["correct"], values["total"], values["accuracy"], (low, high))


def write_test(folder: Path, evaluation: Evaluation, epoch: int) -> None:
    """Write all metrics of an evaluation of the test images as ``test.json`` into the folder of a run."""
    write_json(folder / NAME, {"epoch": epoch, **evaluation.to_dict()})


def read_test(folder: str | os.PathLike[str], epoch: int | None) -> Quotable | None:
    """Read the figures of what :func:`write_test` wrote; None if there is none, or it is about another epoch.

    Raises:
        MstlError: The file is damaged.
    """
    path = Path(folder) / NAME
    values = read_values(path, epoch)
    try:
        return None if values is None else Quotable.from_dict(values)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error


@dataclass(frozen=True)
class TestDetails:
    """What is known of the test images of a run besides :class:`Quotable`.

    Attributes:
        classes: For each class, how many of its images were recognised, and how many there are.
        ece: The expected calibration error on them, from 0 to 1; None if it is not finite.
    """

    classes: Mapping[str, tuple[int, int]]
    ece: float | None


def read_details(folder: str | os.PathLike[str], epoch: int | None) -> TestDetails | None:
    """The same as :func:`read_test`, of each class.

    Raises:
        MstlError: The file is damaged.
    """
    path = Path(folder) / NAME
    values = read_values(path, epoch)
    try:
        if values is None:
            return None
        classes = {
            each["name"]: (round((each["recall"] or 0) * each["support"]), int(each["support"]))
            for each in values["classes"]
        }
        return TestDetails(classes, values["ece"]["calibrated"])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error


def read_values(path: Path, epoch: int | None) -> dict[str, Any] | None:
    """What a test.json holds; None if there is none, or it is about another epoch.

    Raises:
        MstlError: It is damaged.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return values if values["epoch"] == epoch else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error


def damaged(path: Path) -> MstlError:
    """What is said of a test.json that cannot be read."""
    return MstlError(f"{path} is damaged: remove it; `mstl evaluate --split test` gives its figures")


def quote_of_folds(folds: "FoldEvaluation", is_solved: bool) -> str:
    """The accuracy of a cross-validation as the figure to quote, and of which heads it is."""
    low, high = folds.interval
    correct, total = folds.evaluation.correct, folds.evaluation.total
    text = _(
        "Right on {correct:,} of all {total:,} training and validation images, each by a head that has seen neither it "
        "nor a version of it: {accuracy} (95% interval {low} to {high})",
        correct=correct,
        total=total,
        accuracy=share(correct / total),
        low=share(low),
        high=share(high),
    )
    text += _(" may flatter, as {doubt}.", doubt=folds.doubt) if folds.doubt else _(" is the figure to quote.")
    return text if is_solved else text + _(" These heads are solved for; the one of this run was trained in steps.")


def what_to_quote(
    test: Quotable | None,
    test_images: int | None,
    validated_on: str | None,
    is_solved: bool = False,
    folds: "FoldEvaluation | None" = None,
) -> str:
    """One sentence: the figure to quote, or how the accuracy on the validation images came about.

    Args:
        test: The figures of the test images; None if they have not been evaluated, or there are none.
        test_images: How many there are; None if unknown.
        validated_on: As :class:`mstl.training.record.RunRecord` has it; None if unknown.
        is_solved: Whether the head was solved for, so that there was no epoch to choose.
        folds: The cross-validation; None if there is none.
    """
    if folds is not None and (test is None or test.total < SMALL):
        return quote_of_folds(folds, is_solved)
    if test is not None:
        low, high = test.interval
        return _(
            "Right on {correct:,} of {total:,} test images, by which nothing was chosen: {accuracy} (95% interval "
            "{low} to {high}) is the figure to quote.",
            correct=test.correct,
            total=test.total,
            accuracy=share(test.accuracy),
            low=share(low),
            high=share(high),
        )
    if is_solved:
        chosen = _(
            "Of the model, only the temperature was fitted on these same images, which leaves this figure as it is"
        )
    else:
        chosen = _(
            "The best epoch and the temperature were chosen on these same images, so that this figure flatters a little"
        )
    if test_images:
        return chosen + _(
            "; the {count:,} test images have not been evaluated: `mstl evaluate --split test` does so.",
            count=test_images,
        )
    if validated_on == "test":
        return chosen + _(": they are the test images, as the data has no others to validate on.")
    if is_solved:
        return _("{sentence}.", sentence=chosen)
    return chosen + _("; with a test part (test/ beside train/ and val/), there would be one to quote.")
