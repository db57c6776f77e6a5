"""``python -m mstl.visualize best.ckpt``, also ``mstl visualize``: what a checkpoint says, as a picture."""

import os
import sys
from pathlib import Path

import click

from mstl import cli


@cli.command
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--data", help="Photos to draw from; those that it was trained on if not given.")
@click.option("--n", "count", type=click.IntRange(1, 100), default=12, show_default=True, help="Photos in the grid.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of photos.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The PNG; predictions.png beside the checkpoint if not given."
)
@click.option("--device", default="auto", show_default=True, help="What computes: auto, Ascend, GPU or CPU.")
@click.option("--show/--no-show", default=None, help="Open a window; by default where there is a display.")
def main(checkpoint, data, count, seed, out, device, show):
    """Draw validation photos with the class that CHECKPOINT predicts: blue where it is right, red where it is wrong."""
    from mstl.files import make_folder
    from mstl.predictor import Predictor
    from mstl.report import plots

    evaluation = Predictor(checkpoint, device).evaluate(data)
    out = out or checkpoint.parent / "predictions.png"
    make_folder(out.parent)
    plots.save(plots.prediction_grid(evaluation, count, seed), out)
    print(f"{evaluation.correct} of {evaluation.total} right ({evaluation.accuracy:.3f}); picture in {out}")
    if show if show is not None else has_display():
        open_window(out)


def has_display():
    """Whether a person sits before this: a terminal, and a screen to open a window on."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and sys.stdout.isatty()


def open_window(path):
    """Show a picture with the system's viewer."""
    from PIL import Image

    with Image.open(path) as image:
        image.show()


if __name__ == "__main__":
    main(prog_name="python -m mstl.visualize")
