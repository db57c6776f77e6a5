"""From a run to its RunReport: when it ends, or later from its folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstl.errors import MstlError
from mstl.report.run_report import KEPT, WORST, RunReport, WorstImages, load_run_report, save_run_report

if TYPE_CHECKING:  # MindSpore is loaded only if something must be computed
    from mindspore import nn

    from mstl.config import Preprocessing
    from mstl.data.dataset import ImageSet
    from mstl.evaluation.history import EpochRow
    from mstl.evaluation.metrics import Evaluation
    from mstl.evaluation.rejection import Rejector


def describe_run(
    folder: Path,
    *,
    model: "nn.Cell",
    preprocessing: "Preprocessing",
    train_set: "ImageSet | None",
    val_set: "ImageSet",
    evaluation: "Evaluation",
    config: dict[str, Any],
    history: "list[EpochRow]",
    rejector: "Rejector | None",
    seconds: float,
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
    """
    from mstl.data.dataset import subset
    from mstl.data.loading.transforms import eval_transforms
    from mstl.report.gradcam import gradcam_images

    worst = evaluation.worst(WORST)
    transforms = eval_transforms(preprocessing, config["augment"])
    images, heat_maps = gradcam_images(model, subset(val_set, worst), transforms, preprocessing)
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
        worst=WorstImages.resized(worst, images, heat_maps),
    )


def describe_folder(folder: Path, device: str = "auto") -> RunReport:
    """What the page of a finished or stopped run needs.

    It is read from the folder. If the run was stopped before it wrote that, or has gone on since, the best checkpoint
    is evaluated on the validation images, and the result kept.

    Args:
        folder: The run's.
        device: What computes then; see :class:`mstl.Predictor`.

    Raises:
        MstlError: The folder holds no run, or what it holds is damaged.
    """
    if not (folder / "best.ckpt").exists() or not (folder / "history.json").exists():
        raise MstlError(f"{folder} holds no run (best.ckpt and history.json): give the folder that `mstl train` made")
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    if (folder / KEPT).exists():
        run = load_run_report(folder)
        if len(run.history) >= len(history):
            return run
    run = evaluate_run(folder, history, device)
    save_run_report(folder, run)
    return run


def evaluate_run(folder: Path, history: "list[EpochRow]", device: str) -> RunReport:
    """A run's report, by evaluating its best checkpoint on the images that it was validated on."""
    from mstl.predictor import Predictor

    predictor = Predictor(folder / "best.ckpt", device)
    train_set, val_set = predictor.image_sets()
    return describe_run(
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
    )
