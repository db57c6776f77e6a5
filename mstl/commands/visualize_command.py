"""``mstl visualize best.ckpt``, also ``python -m mstl.visualize best.ckpt``: plot a checkpoint's predictions."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mstl.commands import completing, shared

if TYPE_CHECKING:  # MindSpore and matplotlib are loaded only when something is drawn
    from matplotlib.figure import Figure

    from mstl.config import EngineName, PrecisionName
    from mstl.data.dataset import ImageSet
    from mstl.data.finding.lists.list_options import ListOptions
    from mstl.evaluation.metrics import Evaluation
    from mstl.predictor import Predictor

MAPPED = 1000  # images on a feature map, at most


@shared.command
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(("grid", "worst", "confusion", "curves", "gradcam", "features")),
    default="grid",
    show_default=True,
    help="Kind of plot; see above.",
)
@click.option(
    "--data",
    shell_complete=completing.data,
    help="Dataset to draw from; by default the validation split of the training.",
)
@shared.list_options
@click.option(
    "--n",
    "count",
    type=click.IntRange(1, 100),
    default=12,
    show_default=True,
    help="Number of images in grid, worst and gradcam.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the choice of images.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file (PNG); by default predictions.png or KIND.png beside CHECKPOINT.",
)
@shared.device_option()
@shared.engine_options
@click.option("--show/--no-show", default=None, help="Open a window; by default where there is a display.")
def main(
    checkpoint: Path,
    kind: str,
    data: str | None,
    lists: "ListOptions",
    count: int,
    seed: int,
    out: Path | None,
    device: str,
    engine: "EngineName",
    precision: "PrecisionName",
    show: bool | None,
) -> None:
    """Plot the predictions of CHECKPOINT.

    The kinds of plot:

    \b
    grid       images with the predicted class: blue where it is right, red where it is wrong
    worst      the images whose own class got the lowest probability
    confusion  confusion matrix: how often each class was taken for which
    curves     losses and accuracy over the epochs, from history.json beside CHECKPOINT
    gradcam    where in an image the model saw the predicted class (Grad-CAM), wrong predictions first
    features   images as points, similar features near each other (t-SNE with scikit-learn, else PCA)
    """
    from mstl.files import check_output_file, make_folder
    from mstl.report import plots

    out = out or checkpoint.parent / ("predictions.png" if kind == "grid" else f"{kind}.png")
    check_output_file(out)
    if kind == "curves":
        figure, text = draw_curves(checkpoint)
    else:
        from mstl.predictor import Predictor

        predictor = Predictor(checkpoint, device, engine, precision)
        figure, text = draw(kind, predictor, predictor.image_sets(data, lists)[1], count, seed)
    make_folder(out.parent)
    plots.save(figure, out)
    print(f"{text}; picture in {out}")
    if show if show is not None else has_display():
        open_window(out)


def draw_curves(checkpoint: Path) -> tuple["Figure", str]:
    """A plot of the run that a checkpoint comes from, and a text about it.

    Raises:
        MstlError: The run's history is missing or damaged.
    """
    from mstl.config import RECORD, read_config
    from mstl.errors import MstlError
    from mstl.report import plots
    from mstl.report.run_report import KEPT, load_run_report

    folder = checkpoint.parent
    settings = folder / "config.json"
    best = read_config(settings).get("best") if settings.exists() else None  # which also checks the file
    config = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    head = (config.get(RECORD) or {}).get("head")
    trials, chosen = (head["trials"], config["weight_decay"]) if head else ((), 0.0)
    try:
        history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        images = load_run_report(folder).evaluation.total if (folder / KEPT).exists() else None
        text = f"{len(trials)} weight decays" if trials else f"{len(history)} epoch{'s' * (len(history) != 1)}"
        return plots.course(history, images, best, trials, chosen), text
    except OSError as error:
        raise MstlError(f"no history.json beside {checkpoint}: give a checkpoint in the folder of its run") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MstlError(f"{folder / 'history.json'} is damaged: `mstl train --resume` writes it anew") from error


def draw(kind: str, predictor: "Predictor", images: "ImageSet", count: int, seed: int) -> tuple["Figure", str]:
    """A plot of a checkpoint's predictions for images, and a text about them."""
    import numpy as np

    from mstl.data.dataset import subset
    from mstl.report import plots
    from mstl.report.plots.projection import project

    if kind == "features" and len(images) > MAPPED:
        images = subset(images, np.sort(np.random.default_rng(seed).permutation(len(images))[:MAPPED]))
    evaluation = predictor.evaluate(images)
    if kind == "grid":
        figure = plots.prediction_grid(evaluation, count, seed)
    elif kind == "worst":
        figure = plots.worst_grid(evaluation, count)
    elif kind == "confusion":
        figure = plots.confusion(evaluation)
    elif kind == "gradcam":
        figure = draw_heat(predictor, images, evaluation, count, seed)
    else:
        points, method = project(np.asarray(evaluation.features), seed=seed)  # kept, for so few images
        figure = plots.feature_map(points, evaluation, method)
    return figure, f"{evaluation.correct} of {evaluation.total} right ({evaluation.accuracy:.3f})"


def draw_heat(predictor: "Predictor", images: "ImageSet", evaluation: "Evaluation", count: int, seed: int) -> "Figure":
    """Images as the model sees them, beside their Grad-CAM: wrong predictions first, then others at random."""
    import numpy as np

    from mstl.data.dataset import subset
    from mstl.data.loading.transforms import eval_transforms
    from mstl.report import plots
    from mstl.report.gradcam import gradcam_images
    from mstl.report.plots.style import share

    wrong = evaluation.confident_wrong(count)
    right = np.flatnonzero(evaluation.predictions == evaluation.labels)
    chosen = np.concatenate([wrong, np.random.default_rng(seed).permutation(right)])[:count]
    pictures, heat_maps = gradcam_images(
        predictor.model, subset(images, chosen), eval_transforms(predictor.preprocessing)
    )
    titles = []
    for index in chosen:
        predicted, own = evaluation.predictions[index], evaluation.labels[index]
        title = f"{evaluation.classes[predicted]} {share(evaluation.confidences[index])}"
        titles.append(title if predicted == own else f"{plots.MARK} {title} (is {evaluation.classes[own]})")
    return plots.heat_grid(pictures, heat_maps, titles)


def has_display() -> bool:
    """Whether someone can see a window: stdout is a terminal, and there is a screen."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and sys.stdout.isatty()


def open_window(path: Path) -> None:
    """Show a picture in the system's viewer."""
    from PIL import Image

    with Image.open(path) as image:
        image.show()
