"""``mstl evaluate best.ckpt``: metrics, plots and probable label errors of a checkpoint."""

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from mstl.commands import completing, shared
from mstl.commands.predictions_file import NAME as PREDICTIONS
from mstl.commands.predictions_file import write_predictions

if TYPE_CHECKING:  # NumPy is loaded only when images are evaluated, and MindSpore only for a checkpoint
    from mstl.config import EngineName, PrecisionName
    from mstl.data.dataset import ImageSet
    from mstl.data.finding.lists.list_options import ListOptions
    from mstl.data.samples import Sample
    from mstl.evaluation.metrics import Evaluation
    from mstl.prediction.image_predictor import ImagePredictor
    from mstl.predictor import Predictor

logger = logging.getLogger("mstl")
ALL_CLASSES = 40  # up to so many classes, the table has all
WORST_CLASSES = 20  # rows of the table of more classes
IMAGES = 12  # in a picture


@shared.command
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", shell_complete=completing.data, help="Dataset to evaluate on; by default that of the training.")
@shared.grouped_list_options
@click.option(
    "--split",
    type=click.Choice(["val", "test", "train"]),
    default="val",
    show_default=True,
    help="Split of the data to evaluate on.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Cross-validation of the run in so many folds, on kept features: each image is held out once.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder; by default evaluation/ beside MODEL, evaluation-test/ of --split test, or evaluation-folds/.",
)
@click.option(
    "--suspects/--no-suspects",
    "wanted",
    default=True,
    show_default=True,
    help="Label errors: look for them, in the training images too.",
)
@shared.device_option()
@shared.engine_options
def main(
    model: Path,
    data: str | None,
    lists: "ListOptions",
    split: str,
    folds: int | None,
    out: Path | None,
    wanted: bool,
    device: str,
    engine: "EngineName",
    precision: "PrecisionName",
) -> None:
    """Evaluate MODEL: metrics, plots and probable label errors.

    MODEL is a checkpoint, such as best.ckpt, or the folder of a run that has one, or an .onnx file of `mstl export`,
    which needs no MindSpore; label errors are looked for with a checkpoint only.

    Without DATA, the images that the training held out are evaluated, as the manifest.csv beside MODEL lists them,
    also where the data has changed since; DATA may name the folder that they have moved to. Of other DATA, the
    validation split is evaluated, or all of it if it has no splits, without the images that the model was trained on.
    Its classes may be a subset of MODEL's, in any order. predictions.csv has a line for each image.

    With --folds, all training and validation images of a run with a frozen backbone are evaluated, each by a head that
    has not seen it, nor a version of it, nor another image of its group. The run's folder and report.html get the
    result, too.
    """
    from mstl.errors import MstlError
    from mstl.files import check_output_folder
    from mstl.prediction.any_predictor import load_predictor

    model = model / "best.ckpt" if model.is_dir() else model
    kind = "-folds" if folds else "" if split == "val" else f"-{split}"
    out = out or model.parent / f"evaluation{kind}"
    check_output_folder(out)
    predictor = load_predictor(model, device, engine, precision)
    splits = predictor.splits(data, lists)
    if folds:
        evaluate_folds(predictor, splits, split, folds, out, wanted)
        return
    if split not in splits:
        raise MstlError(f"{data or 'the data of the run'} has no {split} split: it has {', '.join(splits)}")
    if split == "train":
        logger.warning("these images were trained on: the figures tell nothing of how good it is on others")
    images = splits[split]
    evaluation = predictor.evaluate(images)
    print("\n".join([*summary(evaluation, predictor.can_reject), "", *table(evaluation)]), flush=True)
    written = write_all(out, images.samples, evaluation, predictor.rejections(evaluation), evaluation.to_dict())
    if wanted:
        print(suspects(predictor, splits, split, evaluation, out))
    print(written)


def evaluate_folds(
    predictor: "ImagePredictor", splits: "dict[str, ImageSet]", split: str, count: int, out: Path, wanted: bool
) -> None:
    """Cross-validate a run, as :func:`main` does what else it does.

    Raises:
        MstlError: That cannot be done.
    """
    from mstl.errors import MstlError
    from mstl.prediction.exported_predictor import ExportedPredictor

    if isinstance(predictor, ExportedPredictor):
        raise MstlError("--folds needs the checkpoint that the model was exported from: give the run's best.ckpt")
    if split != "val":
        raise MstlError("--folds is of all training and validation images: leave --split out")
    from mstl.report.cross_validated_run import cross_validate_run, keep
    from mstl.report.suspects import check_labels

    checkpoint = cast("Predictor", predictor)
    result, sets, parts = cross_validate_run(checkpoint, splits, count)
    evaluation = result.evaluation
    print("\n".join([*summary(evaluation, True, result.interval), "", *table(evaluation)]), flush=True)
    samples = [sample for images in sets for sample in images.samples]
    written = write_all(out, samples, evaluation, [None] * evaluation.total, result.to_dict())
    if wanted:
        print(check_labels(checkpoint, sets, parts, out))
    folder = checkpoint.path.parent
    print(f"{written}; {' and '.join(keep(folder, result))} in {folder}")


def write_all(
    out: Path,
    samples: "Sequence[Sample]",
    evaluation: "Evaluation",
    rejections: Sequence[bool | None],
    figures: dict[str, Any],
) -> str:
    """Write figures, predictions and pictures; a line that says so."""
    from mstl.files import make_folder, write_json

    make_folder(out)
    write_json(out / "evaluation.json", figures)
    write_predictions(out / PREDICTIONS, samples, evaluation, rejections)
    drawn = draw_if_possible(evaluation, out)
    return f"figures{' and' if not drawn else ','} {PREDICTIONS}{' and pictures' * drawn} in {out}"


def suspects(
    predictor: "ImagePredictor", splits: "dict[str, ImageSet]", split: str, evaluation: "Evaluation", out: Path
) -> str:
    """Look for label errors among the evaluated split and the training images; lines that say what was found."""
    from mstl.prediction.exported_predictor import ExportedPredictor

    if isinstance(predictor, ExportedPredictor):
        return "labels: not checked, as that needs the checkpoint that the model was exported from"
    from mstl.report.suspects import check_labels

    others = [splits["train"]] if "train" in splits and split != "train" else []
    evaluations = [*map(predictor.evaluate, others), evaluation]
    return check_labels(cast("Predictor", predictor), [*others, splits[split]], evaluations, out)


def summary(evaluation: "Evaluation", calibrated: bool, interval: tuple[float, float] | None = None) -> Iterator[str]:
    """Lines with the metrics over all images; the interval of the accuracy is the evaluation's if it is not given."""
    low, high = interval or evaluation.interval
    yield f"accuracy           {evaluation.accuracy:.3f} (95% interval {low:.3f} to {high:.3f}), " + (
        f"{evaluation.correct:,} of {evaluation.total:,} images"
    )
    if len(evaluation.classes) > 5:
        yield f"top-5              {evaluation.top(5):.3f}"
    yield f"balanced accuracy  {evaluation.balanced_accuracy:.3f}"
    if not calibrated:
        yield f"calibration error  {evaluation.ece():.3f} (the checkpoint has no temperature)"
    else:
        before, temperature = evaluation.calibrated(1.0).ece(), evaluation.temperature
        yield f"calibration error  {evaluation.ece():.3f} at temperature {temperature:.2f}, {before:.3f} without"


def table(evaluation: "Evaluation") -> Iterator[str]:
    """Lines with the metrics of each class; of many classes, the worst ones."""
    from mstl.data.image_files import printable
    from mstl.runtime.wide_text import columns

    metrics = (evaluation.precision, evaluation.recall, evaluation.f1)
    rows = list(zip(evaluation.classes, *metrics, evaluation.support.tolist(), strict=True))
    if len(rows) > ALL_CLASSES:
        yield f"the {WORST_CLASSES} of {len(rows)} classes with the lowest F1; all are in evaluation.json"
        rows = sorted(rows, key=lambda row: math.inf if math.isnan(row[3]) else row[3])[:WORST_CLASSES]
    for name, mean in (("macro average", evaluation.macro), ("weighted average", evaluation.weighted)):
        precision, recall, f1 = map(mean, metrics)
        rows.append((name, precision, recall, f1, evaluation.total))
    width = max(columns(printable(name)) for name, *_ in rows)
    yield f"{'class':<{width}}  precision  recall     F1  images"
    for name, precision, recall, f1, images in rows:
        values = f"{decimal(precision):>9}  {decimal(recall):>6}  {decimal(f1):>5}  {images:>6,}"
        name = printable(name)
        yield f"{name}{' ' * (width - columns(name))}  {values}"


def decimal(value: float) -> str:
    """A number with three decimals; a dash for NaN, such as the recall of a class without images."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def draw_if_possible(evaluation: "Evaluation", out: Path) -> bool:
    """Write the plots, if matplotlib is installed; that it is not is logged."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        logger.info("no pictures, as matplotlib is not installed")
        return False
    draw(evaluation, out)
    return True


def draw(evaluation: "Evaluation", out: Path) -> None:
    """Write the plots."""
    from mstl.report import plots

    plots.save(plots.confusion(evaluation), out / "confusion.png")
    plots.save(plots.confusion(evaluation, normalize=True), out / "confusion_normalized.png")
    plots.save(plots.reliability(evaluation), out / "reliability.png")
    plots.save(plots.worst_grid(evaluation, IMAGES), out / "worst.png")
    mistakes = out / "confident_wrong.png"
    mistakes.unlink(missing_ok=True)  # of an earlier evaluation
    chosen = evaluation.confident_wrong(IMAGES)
    if len(chosen):
        grid = plots.worst_grid(evaluation.part(chosen), IMAGES)
        wrong = evaluation.total - evaluation.correct
        grid.suptitle(f"The {len(chosen)} most confident of {wrong:,} mistakes, with the probabilities of both classes")
        plots.save(grid, mistakes)
