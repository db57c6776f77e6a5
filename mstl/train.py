"""``python -m mstl.train``, also ``mstl train``: fine-tune a pretrained net on a folder of photos."""

import sys

from mstl import cli
from mstl.config import TrainConfig


@cli.command
@cli.dataclass_options(TrainConfig)
def main(**options):
    """Fine-tune a pretrained net on a folder of photos.

    The run's folder gets best.ckpt, last.ckpt, config.json, history.csv, curves.png and predictions.png.
    """
    config = TrainConfig(**options)
    from mstl.training.loop import fit

    state = fit(config)
    if state.best:
        print(
            f"best validation accuracy {state.best['val_accuracy']:.3f} (epoch {state.best['epoch']}), kept in "
            f"{state.folder / 'best.ckpt'}"
        )
    if state.interrupted:
        sys.exit(130)


if __name__ == "__main__":
    main(prog_name="python -m mstl.train")
