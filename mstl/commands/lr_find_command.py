"""``mstl lr-find``: a curve of the loss over the learning rate, and a suggestion."""

from pathlib import Path

import click

from mstl.commands import shared
from mstl.config import TrainConfig

# what has no part in a search for the rate: it is short, tries all rates, and keeps nothing
NO_PART = (
    *("epochs", "lr", "schedule", "lr_step", "lr_gamma", "warmup", "unfreeze_at"),
    *("ema", "best", "patience", "tensorboard", "out"),
)


@shared.command
@shared.dataclass_options(TrainConfig, without=NO_PART)
@click.option("--steps", type=click.IntRange(10), default=60, show_default=True, help="Batches, at the most.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    default="lr-find.png",
    show_default=True,
    help="Where the curve is drawn.",
)
def main(steps, picture, **options):
    """Find a learning rate: train a few steps with a growing one, draw the loss, and suggest where it falls most.

    Takes the options of `mstl train` that bear on it, so that the rate is found for the run that you have in mind.
    """
    config = TrainConfig(**options)
    from mstl.files import make_folder
    from mstl.report import plots
    from mstl.training.lr_finder import lr_find

    make_folder(picture.parent)
    rates, losses, suggestion = lr_find(config, steps)
    plots.save(plots.lr_curve(rates, losses, suggestion), picture)
    print(f"suggested learning rate {suggestion:.2g} (--lr {suggestion:.2g}); curve in {picture}")
