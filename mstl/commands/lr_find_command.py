"""``mstl lr-find``: suggest a learning rate, and plot the loss over it."""

from pathlib import Path
from typing import Any

import click

from mstl.commands import shared
from mstl.config import TrainConfig

# Settings without effect on a search that is short, tries all learning rates and saves no checkpoint
WITHOUT = (
    *("epochs", "lr", "schedule", "lr_step", "lr_gamma", "warmup", "unfreeze_at"),
    *("ema", "best", "patience", "tensorboard", "tracker", "report", "out", "time_limit", "folds"),
)


@shared.grouped_command
@shared.dataclass_options(TrainConfig, without=WITHOUT)
@shared.grouped_option(
    "Training", "--steps", type=click.IntRange(10), default=60, show_default=True, help="Training steps, at most."
)
@shared.grouped_option(
    "Output",
    "--picture",
    type=click.Path(path_type=Path),
    default="lr-find.png",
    show_default=True,
    help="File for the plot.",
)
def main(steps: int, picture: Path, **options: Any) -> None:
    """Find a learning rate, and plot the loss over it.

    Trains a few steps while the learning rate grows, and suggests the one at which the loss falls fastest. Takes the
    options of `mstl train` that matter here, so that the learning rate suits the run you have in mind.
    """
    config = TrainConfig(**options)
    from mstl.files import check_output_file, make_folder
    from mstl.report import plots
    from mstl.training.lr_finder import lr_find

    check_output_file(picture)
    learning_rates, losses, suggestion = lr_find(config, steps)
    make_folder(picture.parent)
    plots.save(plots.lr_curve(learning_rates.tolist(), losses.tolist(), suggestion), picture)
    print(f"suggested learning rate {suggestion:.2g} (--lr {suggestion:.2g}); curve in {picture}")
