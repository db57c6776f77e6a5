"""From a run to its RunReport: when it ends, or later from its folder."""

import dataclasses
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mstl.config import RECORD, EngineName, PrecisionName
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.errors import MstlError
from mstl.report.fold_files import read_folds
from mstl.report.odd_section import far_images, noted_images
from mstl.report.plots.grids import GREY
from mstl.report.quotable import Quotable, read_test
from mstl.report.run_facts import read_facts
from mstl.report.run_report import KEPT, WORST, RunReport, WorstImages, load_run_report, save_run_report

if TYPE_CHECKING:  # MindSpore is loaded only if something must be computed
    from mstl.data.dataset import ImageSet
    from mstl.evaluation.history import EpochRow
    from mstl.evaluation.metrics import Evaluation
    from mstl.evaluation.rejection import Rejector
    from mstl.models.contract import Classifier
    from mstl.predictor import Predictor
    from mstl.preprocessing import Preprocessing
    from mstl.training.record import RunRecord

logger = logging.getLogger("mstl")


def describe_run(
    folder: Path,
    *,
    model: "Classifier",
    preprocessing: "Preprocessing",
    train_set: "ImageSet | None",
    val_set: "ImageSet",
    evaluation: "Evaluation",
    config: dict[str, Any],
    history: "list[EpochRow]",
    rejector: "Rejector | None",
    seconds: float,
    record: "RunRecord",
    test: Quotable | None,
) -> RunReport:
    """What the page needs, with the images that the model gets most wrong, and where it looked in them.

    Args:
        folder: The run's.
        model: With the weights of the best epoch.
        preprocessing: How an image becomes the model's input.
        train_set: The images that it was trained on; None if unknown.
        val_set: Those that it was validated on.
        evaluation: Of ``val_set``.
        config: The run's settings.
        history: A row for each epoch.
        rejector: The one in best.ckpt; None if it has none.
        seconds: Duration of the run.
        record: What the run noted of what it used.
        test: The figures of its test images; None if there are none, or they have not been evaluated.
    """
    worst = evaluation.worst(WORST).tolist()
    missing = missing_images(val_set, worst)
    return RunReport(
        name=folder.name,
        evaluation=evaluation,
        config=config,
        history=history,
        model=model.architecture,
        checkpoint=folder / "best.ckpt",
        train_count=None if train_set is None else len(train_set),
        seconds=seconds,
        warnings=() if train_set is None else train_set.warnings,
        rejector=None if rejector is None else rejector.to_record(),
        worst=show_worst(model, val_set, worst, missing, preprocessing),
        digests=val_set.digests,
        missing=tuple(val_set.paths[index] for index in sorted(missing)),
        weights="" if record.weights is None else str(record.weights),
        validated_on=record.validated_on,
        test_images=record.test_images,
        test=test,
        trials=() if record.head is None else record.head.trials,
        cost=None if record.cost is None else record.cost.to_dict(),
        engine="" if record.engine is None else str(record.engine),
        image_size=preprocessing.image_size,
        noted=noted_images([val_set] if train_set is None else [train_set, val_set]),
        far=far_images(evaluation),
        facts=read_facts(folder, test),
        folds=read_folds(folder),
    )


def missing_images(images: "ImageSet", shown: Iterable[int]) -> set[int]:
    """The images whose files are gone by now, and those of the shown ones that cannot be read or have changed.

    If there are any, that is logged.
    """
    from mstl.data.checking.scan import examine

    gone = {index for index, path in enumerate(images.paths) if not os.path.isfile(path)}
    gone |= {index for index in shown if examine(images.paths[index]).digest != images.digests[index]}
    if gone:
        text = "report: %d of the %d validation images are gone, or have changed: they are counted, but not shown"
        logger.warning(text, len(gone), len(images))
    return gone


def show_worst(
    model: "Classifier",
    images: "ImageSet",
    worst: list[int],
    missing: set[int],
    preprocessing: "Preprocessing",
) -> WorstImages:
    """The worst images as the model sees them, and where it looked in them; the missing ones are grey."""
    from mstl.data.dataset import subset
    from mstl.data.loading.transforms import eval_transforms
    from mstl.report.gradcam import gradcam_images

    there = [index for index in worst if index not in missing]
    size = preprocessing.image_size
    pixels, heat_maps = np.full((len(worst), size, size, 3), GREY, np.uint8), np.zeros((len(worst), size, size))
    if there:
        places = [worst.index(index) for index in there]
        seen = gradcam_images(model, subset(images, there), eval_transforms(preprocessing))
        pixels[places], heat_maps[places] = seen
    return WorstImages.resized(worst, pixels, heat_maps.astype(np.float32))


def describe_folder(
    folder: Path,
    device: str = "auto",
    data: str | None = None,
    lists: ListOptions = FOUND,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
) -> RunReport:
    """What the page of a finished or stopped run needs.

    It is read from the folder. If the run was stopped before it wrote that, or has gone on since, the best checkpoint
    is evaluated on the validation images, and the result kept.

    Args:
        folder: The run's.
        device, engine, precision: What computes then; see :class:`mstl.Predictor`.
        data: Where the images are then; None for where they were in training.
        lists: How lists are to be read then; what it leaves open is as in training.

    Raises:
        MstlError: The folder holds no run, or what it holds is damaged.
    """
    if not (folder / "best.ckpt").exists() or not (folder / "history.json").exists():
        raise MstlError(f"{folder} holds no run (best.ckpt and history.json): give the folder that `mstl train` made")
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    if (folder / KEPT).exists():
        run = load_run_report(folder)
        if len(run.history) >= len(history):
            run = dataclasses.replace(run, facts=read_facts(folder, run.test), folds=read_folds(folder))
            return dataclasses.replace(run, cost=cost_of(folder) or run.cost)
    from mstl.predictor import Predictor

    run = evaluate_run(Predictor(folder / "best.ckpt", device, engine, precision), history, data, lists)
    run = dataclasses.replace(run, cost=cost_of(folder) or run.cost)
    save_run_report(folder, run)
    return run


def cost_of(folder: Path) -> dict[str, Any] | None:
    """What a run has cost in all, its page included, as its config.json has it; None if that is not known."""
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        cost: dict[str, Any] | None = settings[RECORD]["cost"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return cost


def evaluate_run(
    predictor: "Predictor", history: "list[EpochRow]", data: str | None = None, lists: ListOptions = FOUND
) -> RunReport:
    """A run's report, by evaluating its best checkpoint on the images that it was validated on.

    Raises:
        MstlError: These are unknown, or not where the run or ``data`` says.
    """
    from mstl.training.record import RunRecord

    folder = predictor.path.parent
    train_set, val_set = predictor.image_sets(data, lists)
    if any(sample.split != "val" for sample in val_set.samples):
        raise MstlError(f"{data} does not hold the images that {folder} was validated on: say where these are now")
    run = describe_run(
        folder,
        model=predictor.model,
        preprocessing=predictor.preprocessing,
        train_set=train_set,
        val_set=val_set,
        evaluation=predictor.evaluate(val_set),
        config=predictor.metadata["config"],
        history=history,
        rejector=predictor.rejector,
        seconds=sum(row["seconds"] for row in history),
        record=RunRecord.from_dict(predictor.metadata.get(RECORD)),
        test=read_test(folder, predictor.metadata.get("metrics", {}).get("epoch")),
    )
    manifest = predictor.run_data.manifest  # some of the training images may be gone by now
    trained_on = 0 if manifest is None else sum(row.split == "train" for row in manifest.used)
    return dataclasses.replace(run, train_count=trained_on or run.train_count)
