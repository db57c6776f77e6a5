"""The end of a run: its pictures and its page, written by a callback."""

import contextlib

import mindspore as ms
import numpy as np

from mstl.checkpoint import read_checkpoint
from mstl.data.dataset import subset
from mstl.data.loading.transforms import eval_transforms
from mstl.models import layers
from mstl.report import plots
from mstl.report.gradcam import gradcam_images
from mstl.report.run_page import history_html, write_report
from mstl.report.run_report import WORST, RunReport, save_run_report


class RunPages:
    """Writes curves.png, predictions.png and, unless the settings say otherwise, report.html at the end of a run."""

    def on_start(self, state):
        """Show the run in a notebook as its history so far."""
        state.to_html = lambda state: history_html(state.history, state.best_evaluation or state.evaluation)

    def on_end(self, state):
        """Write them, where the run has finished an epoch."""
        if state.evaluation is None:
            return
        evaluation = state.best_evaluation or state.evaluation
        if state.rejector is not None:
            evaluation = evaluation.calibrated(state.rejector.temperature)
        plots.save(plots.curves(state.history, evaluation.total), state.folder / "curves.png")
        plots.save(plots.prediction_grid(evaluation), state.folder / "predictions.png")
        if state.config.report:
            run = describe(state, evaluation)
            save_run_report(state.folder, run)
            write_report(state.folder / "report.html", run)


def describe(state, evaluation):
    """What the page needs, with the photos that the best net gets most wrong, and where it looked in them."""
    worst = evaluation.worst(WORST)
    transforms = eval_transforms(state.preprocessing, state.config.augment)
    with best_weights(state):
        photos, heat_maps = gradcam_images(state.model, subset(state.val_set, worst), transforms, state.preprocessing)
    return RunReport(
        name=state.folder.name,
        evaluation=evaluation,
        config=state.config.to_dict(),
        history=state.history,
        model=state.model.architecture,
        checkpoint=state.folder / "best.ckpt",
        train_count=len(state.train_set),
        seconds=state.seconds,
        warnings=state.train_set.warnings,
        rejector=None if state.rejector is None else state.rejector.to_record(),
        worst=tuple(worst),
        photos=photos,
        heat_maps=heat_maps,
    )


@contextlib.contextmanager
def best_weights(state):
    """While the block runs, the net is the best one of the run."""
    if state.best is state.history[-1] and state.ema is None:
        yield
        return
    best = state.best_parameters or read_checkpoint(state.folder / "best.ckpt")[0]
    differing = [
        (parameter, best[parameter.name], parameter.value().copy())
        for parameter in state.model.get_parameters()
        if parameter.name in best and not np.array_equal(parameter.asnumpy(), best[parameter.name])
    ]
    del best
    try:
        for parameter, value, _ in differing:
            layers.assign(parameter, ms.Tensor(value))
        yield
    finally:
        for parameter, _, own in differing:
            layers.assign(parameter, own)
