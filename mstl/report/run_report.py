"""RunReport: what the page about a run needs, and how it is kept in the run's folder."""

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.errors import MstlError
from mstl.evaluation.fold_evaluation import FoldEvaluation
from mstl.evaluation.history import EpochRow
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import RejectorRecord
from mstl.files import atomic_path
from mstl.report.plots.grids import image_or_grey
from mstl.report.quotable import Quotable
from mstl.report.run_facts import RunFacts

KEPT = "report.npz"
FORMAT = 4  # of that file
PLAIN = (
    *("config", "history", "model", "train_count", "seconds", "rejector"),
    *("weights", "validated_on", "test_images", "trials", "cost", "engine", "image_size"),
    *("noted", "far"),
)
TUPLES = ("warnings", "digests", "missing")  # of texts, which JSON has as lists
WORST = 12  # images that a page shows
SIDE = 192  # of these images, in pixels


@dataclass(frozen=True)
class WorstImages:
    """The images that a page shows.

    Attributes:
        indices: Their places in the evaluation.
        images: (n, S, S, 3).
        heat_maps: (n, H, W) from 0 to 1, by Grad-CAM; None for none.
    """

    indices: tuple[int, ...]
    images: NDArray[np.uint8]
    heat_maps: NDArray[np.float32] | None = None

    @classmethod
    def resized(
        cls,
        indices: Sequence[int] | NDArray[np.int64],
        images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
        heat_maps: NDArray[np.float32] | None = None,
    ) -> "WorstImages":
        """The same of images of any size, made small enough for a page.

        Args:
            indices: n places in the evaluation.
            images: n of (H, W, 3).
            heat_maps: (n, H, W) from 0 to 1.
        """
        from PIL import Image

        small = [np.asarray(Image.fromarray(image).resize((SIDE, SIDE))) for image in images]
        stacked = np.stack(small) if small else np.zeros((0, SIDE, SIDE, 3), np.uint8)
        return cls(tuple(int(index) for index in indices), stacked, heat_maps)


@dataclass(frozen=True)
class RunReport:
    """A run as its page tells it.

    Attributes:
        name: Of the run.
        evaluation: Of the validation images, at the temperature that is used.
        config: The settings.
        history: A row for each epoch.
        model: The architecture's name.
        checkpoint: The path of the best checkpoint.
        train_count: Number of training images; None if unknown.
        seconds: Duration of the run; None if unknown.
        warnings: What is wrong with the data, one text each.
        rejector: The rejector in the checkpoint, as :meth:`mstl.evaluation.rejection.Rejector.to_record` gives it;
            None if there is none.
        worst: The images that are shown; None for those of ``evaluation.worst``, read from their files.
        digests: The SHA-256 of each validation image's content, in the order of the evaluation; empty if unknown.
        weights: The pretrained weights that were loaded, as a text; "" if unknown.
        validated_on: What the validation images were; see :class:`mstl.data.load_data.DataSplits`; None if unknown.
        test_images: Number of images of the test split; None if unknown.
        test: The figures of the test images; None if there are none, or they have not been evaluated.
        missing: Paths of validation images that could not be read any more when this was made.
        trials: Pairs of a weight decay and the loss on held-out training images, where that was so chosen.
        cost: What the run has cost, as :meth:`mstl.training.run_cost.RunCost.to_dict` gives it; None if unknown.
        engine: What computed the frozen layers and the validation, as a text; "" if unknown.
        image_size: Side of the images as the model gets them, in pixels; None if unknown.
        noted: What is odd about training and validation images; see :func:`mstl.report.odd_section.noted_images`.
        far: Validation images that are far from their own class; see :func:`mstl.report.odd_section.far_images`.
        facts: What is recorded of it besides; it is read from the run's folder, not kept in ``report.npz``.
        folds: The cross-validation of it; so. None if there is none.
    """

    name: str
    evaluation: Evaluation
    config: dict[str, Any]
    history: list[EpochRow]
    model: str
    checkpoint: str | os.PathLike[str]
    train_count: int | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    rejector: RejectorRecord | None = None
    worst: WorstImages | None = None
    digests: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    weights: str = ""
    validated_on: str | None = None
    test_images: int | None = None
    test: Quotable | None = None
    trials: Sequence[Sequence[float]] = ()
    cost: dict[str, Any] | None = None
    engine: str = ""
    image_size: int | None = None
    noted: Sequence[Sequence[Any]] = ()
    far: Sequence[Sequence[Any]] = ()
    facts: RunFacts = field(default_factory=RunFacts)
    folds: FoldEvaluation | None = None

    def worst_images(self) -> WorstImages:
        """The images that are shown, read from their files if they are not given."""
        if self.worst is not None:
            return self.worst
        indices = self.evaluation.worst(WORST)
        return WorstImages.resized(indices, [image_or_grey(self.evaluation.paths[index], SIDE) for index in indices])


def save_run_report(folder: str | os.PathLike[str], run: RunReport) -> None:
    """Keep what a page needs as ``report.npz`` in the run's folder: the page can be written again without the data."""
    evaluation, worst = run.evaluation, run.worst_images()
    record = {
        "format": FORMAT,
        "classes": list(evaluation.classes),
        "paths": [str(path) for path in evaluation.paths],
        "temperature": evaluation.temperature,
        "checkpoint": Path(run.checkpoint).name,
        "worst": list(worst.indices),
        **{key: getattr(run, key) for key in PLAIN},
        "test": None if run.test is None else run.test.to_dict(),
        **{key: list(getattr(run, key)) for key in TUPLES},
    }
    arrays: dict[str, NDArray[Any]] = {
        "record": np.array(json.dumps(record)),
        "logits": evaluation.logits,
        "labels": evaluation.labels,
        "images": worst.images,
    }
    if worst.heat_maps is not None:
        arrays["heat_maps"] = np.rint(255 * np.asarray(worst.heat_maps)).astype(np.uint8)
    with atomic_path(Path(folder) / KEPT) as temporary:
        np.savez_compressed(temporary, **arrays)


def load_run_report(folder: str | os.PathLike[str]) -> RunReport:
    """Read what :func:`save_run_report` kept; the run's name and checkpoint are the folder's, wherever it is now.

    Raises:
        MstlError: There is none, or it is damaged or of another version.
    """
    folder = Path(folder)
    path = folder / KEPT
    try:
        with np.load(path, allow_pickle=False) as kept:
            record = json.loads(str(kept["record"]))
            arrays = {name: kept[name] for name in kept.files if name != "record"}
        if record.pop("format") != FORMAT:
            raise MstlError(f"{path} was written by another version of mstl: remove it, and it is made anew")
    except FileNotFoundError as error:
        raise MstlError(f"{folder} has no {KEPT}, which a run writes at its end") from error
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise MstlError(f"{path} is damaged: remove it, and it is made anew") from error
    classes, paths, temperature = (record.pop(key) for key in ("classes", "paths", "temperature"))
    evaluation = Evaluation(arrays["logits"], arrays["labels"], tuple(classes), tuple(paths), temperature=temperature)
    heat_maps = arrays["heat_maps"] / np.float32(255) if "heat_maps" in arrays else None
    record["worst"] = WorstImages(tuple(record["worst"]), arrays["images"], heat_maps)
    record["checkpoint"] = folder / record["checkpoint"]
    record.update({key: tuple(record[key]) for key in TUPLES})
    record["test"] = None if record["test"] is None else Quotable.from_dict(record["test"])
    return RunReport(name=folder.resolve().name, evaluation=evaluation, **record)
