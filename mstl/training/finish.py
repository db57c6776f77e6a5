"""The end of a run: its pictures and its page."""

import contextlib

import mindspore as ms
import numpy as np

from mstl import compat
from mstl.checkpoint import read_checkpoint
from mstl.data.datasets import subset
from mstl.data.transforms import eval_transforms
from mstl.report import plots
from mstl.report.gradcam import gradcam_photos
from mstl.report.html import write_report
from mstl.report.run import WORST, RunReport, save_run_report


def finish(session, seconds):
    """Write curves.png, predictions.png and, unless the settings say otherwise, report.html.

    Args:
        session: The :class:`mstl.training.session.Session` of a run that has ended.
        seconds: What it took.
    """
    state = session.state
    evaluation = state.best_evaluation or state.evaluation
    if state.trust is not None:
        evaluation = evaluation.calibrated(state.trust.temperature)
    plots.save(plots.curves(state.history, evaluation.total), state.folder / "curves.png")
    plots.save(plots.prediction_grid(evaluation), state.folder / "predictions.png")
    if state.config.report:
        run = describe(session, evaluation, seconds)
        save_run_report(state.folder, run)
        write_report(state.folder / "report.html", run)


def describe(session, evaluation, seconds):
    """What the page needs, with the photos that the best net gets most wrong, and where it looked in them."""
    state, images = session.state, session.val_loader.images
    worst = evaluation.worst(WORST)
    transforms = eval_transforms(state.preprocessing, state.config.augment)
    with best_weights(state):
        photos, heat_maps = gradcam_photos(state.net, subset(images, worst), transforms, state.preprocessing)
    return RunReport(
        name=state.folder.name,
        evaluation=evaluation,
        config=state.config.to_dict(),
        history=state.history,
        model=state.net.model,
        checkpoint=state.folder / "best.ckpt",
        train_count=len(session.train_loader.images),
        seconds=seconds,
        warnings=session.train_loader.images.warnings,
        trust=None if state.trust is None else state.trust.to_record(),
        worst=tuple(worst),
        photos=photos,
        heat_maps=heat_maps,
    )


@contextlib.contextmanager
def best_weights(state):
    """While the block runs, the net is the best one of the run."""
    if state.best is state.history[-1] and state.average is None:
        yield
        return
    best = state.best_values or read_checkpoint(state.folder / "best.ckpt")[0]
    differing = [
        (parameter, best[parameter.name], parameter.value().copy())
        for parameter in state.net.get_parameters()
        if parameter.name in best and not np.array_equal(parameter.asnumpy(), best[parameter.name])
    ]
    del best
    try:
        for parameter, value, _ in differing:
            compat.assign(parameter, ms.Tensor(value))
        yield
    finally:
        for parameter, _, own in differing:
            compat.assign(parameter, own)
