"""``python -m mstl.visualize best.ckpt``, also ``mstl visualize``: what a checkpoint says, as a picture."""

import json
import os
import sys
from pathlib import Path

import click

from mstl.commands import shared

MAPPED = 1000  # photos on a map of features, at the most


@shared.command
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(("grid", "worst", "confusion", "curves", "gradcam", "features")),
    default="grid",
    show_default=True,
    help="Which picture; see above.",
)
@click.option("--data", help="Photos to draw from; those held out of its training if not given.")
@click.option(
    "--n",
    "count",
    type=click.IntRange(1, 100),
    default=12,
    show_default=True,
    help="Photos in grid, worst, gradcam.",
)
@click.option("--seed", default=0, show_default=True, help="Of the choice of photos.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The PNG; predictions.png or KIND.png beside CHECKPOINT if not given.",
)
@click.option("--device", default="auto", show_default=True, help="What computes: auto, Ascend, GPU or CPU.")
@click.option("--show/--no-show", default=None, help="Open a window; by default where there is a display.")
def main(checkpoint, kind, data, count, seed, out, device, show):
    """Draw what CHECKPOINT says about photos.

    The kinds of picture:

    \b
    grid       photos with the predicted class: blue where it is right, red where it is wrong
    worst      the photos whose own class got the least probability
    confusion  how often each class was taken for which
    curves     losses and accuracy over the epochs, from history.json beside CHECKPOINT
    gradcam    where in a photo the net saw its answer, wrong answers first
    features   photos as points, those with alike features near each other (t-SNE with scikit-learn, else PCA)
    """
    from mstl.files import make_folder
    from mstl.report import plots

    out = out or checkpoint.parent / ("predictions.png" if kind == "grid" else f"{kind}.png")
    make_folder(out.parent)
    if kind == "curves":
        figure, text = draw_curves(checkpoint)
    else:
        figure, text = draw(kind, checkpoint, data, count, seed, device)
    plots.save(figure, out)
    print(f"{text}; picture in {out}")
    if show if show is not None else has_display():
        open_window(out)


def draw_curves(checkpoint):
    """A picture of the run that a checkpoint comes from, and what to say of it.

    Raises:
        MstlError: The run's history is not there, or is damaged.
    """
    from mstl.errors import MstlError
    from mstl.report import plots
    from mstl.report.run_report import KEPT, load_run_report

    folder = checkpoint.parent
    try:
        history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        photos = load_run_report(folder).evaluation.total if (folder / KEPT).exists() else None
        return plots.curves(history, photos), f"{len(history)} epochs"
    except OSError as error:
        raise MstlError(f"no history.json beside {checkpoint}: give a checkpoint in the folder of its run") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MstlError(f"{folder / 'history.json'} is damaged: `mstl train --resume` writes it anew") from error


def draw(kind, checkpoint, data, count, seed, device):
    """A picture of what a checkpoint says about photos, and what to say of it."""
    import numpy as np

    from mstl.data.dataset import subset
    from mstl.predictor import Predictor
    from mstl.report import plots
    from mstl.report.plots.projection import project

    predictor = Predictor(checkpoint, device)
    images = predictor.photos(data)[1]
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
        points, method = project(evaluation.features, seed=seed)
        figure = plots.feature_map(points, evaluation, method)
    return figure, f"{evaluation.correct} of {evaluation.total} right ({evaluation.accuracy:.3f})"


def draw_heat(predictor, images, evaluation, count, seed):
    """Photos as the net sees them beside what made it answer: wrong answers first, then others at random."""
    import numpy as np

    from mstl.data.dataset import subset
    from mstl.report import plots
    from mstl.report.gradcam import gradcam_images
    from mstl.report.plots.style import share

    wrong = evaluation.confident_wrong(count)
    right = np.flatnonzero(evaluation.predictions == evaluation.labels)
    chosen = np.concatenate([wrong, np.random.default_rng(seed).permutation(right)])[:count]
    seen = gradcam_images(predictor.model, subset(images, chosen), predictor.transforms, predictor.preprocessing)
    titles = []
    for index in chosen:
        predicted, own = evaluation.predictions[index], evaluation.labels[index]
        title = f"{evaluation.classes[predicted]} {share(evaluation.confidences[index])}"
        titles.append(title if predicted == own else f"{plots.MARK} {title} (is {evaluation.classes[own]})")
    return plots.heat_grid(*seen, titles)


def has_display():
    """Whether a person sits before this: a terminal, and a screen to open a window on."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and sys.stdout.isatty()


def open_window(path):
    """Show a picture with the system's viewer."""
    from PIL import Image

    with Image.open(path) as image:
        image.show()
