"""The page about a run, ``report.html``: the values that its template shows."""

import os
import shlex
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.history import best_row
from mstl.evaluation.metrics import Evaluation
from mstl.files import write_text
from mstl.report import inline_images, verdict
from mstl.report.calibration_section import calibration
from mstl.report.class_tables import class_table, matrix
from mstl.report.fold_section import fold_section
from mstl.report.inline_images import Chart
from mstl.report.odd_section import odd_section
from mstl.report.plots import charts
from mstl.report.plots.style import MARK, new_figure
from mstl.report.quotable import SMALL, what_to_quote
from mstl.report.rendering import duration, render_page
from mstl.report.run_facts import about
from mstl.report.run_report import RunReport, WorstImages
from mstl.runtime.language import plural
from mstl.runtime.language import translated as _

PARTS = {  # of what a run costs, as the page calls them
    "scan": "Scan of the data",
    "features": "Features",
    "training": "Training",
    "evaluation": "Evaluation",
    "page": "This page",
    "other": "All else",
}


def write_report(path: str | os.PathLike[str], run: RunReport) -> None:
    """Write the page about a run, atomically.

    Args:
        path: Where to, such as ``report.html`` in the run's folder.
        run: What is told.
    """
    evaluation = run.evaluation
    values = {
        **headline(run),
        **fold_section(run.folds),
        "curves": training_curves(run),
        "matrix": matrix(evaluation),
        "confusions": verdict.most_confused(evaluation, 10),
        **class_table(evaluation),
        **worst_images(evaluation, run.worst_images(), set(run.missing)),
        "missing": run.missing,
        **calibration(run.evaluation),
        "rejector": run.rejector,
        "warnings": run.warnings,
        **odd_section(run.noted, run.far),
        "about": about(run),
        "settings": {key: value for key, value in run.config.items() if value is not None},
        "unset": [key for key, value in run.config.items() if value is None],
        **cost(run),
        **checkpoint_paths(run.checkpoint),
    }
    write_text(path, render_page("run.html", **values))


def headline(run: RunReport) -> dict[str, Any]:
    """The run's name, the verdict, and metrics."""
    effort = _("head solved for") if is_solved(run) else plural("{count} epoch", "{count} epochs", len(run.history))
    return {
        "name": run.name,
        "verdict": verdict.verdict(run.evaluation, run.warnings),
        "guessing": verdict.against_guessing(run.evaluation),
        "quote": what_to_quote(run.test, run.test_images, run.validated_on, is_solved(run), run.folds),
        "folds_first": run.folds is not None and run.evaluation.total < SMALL,
        **offer(run),
        "test": run.test,
        "quotes_test": run.test is not None and (run.folds is None or run.test.total >= SMALL),
        "test_images": run.test_images,
        "evaluation": run.evaluation,
        "train_count": _("unknown") if run.train_count is None else f"{run.train_count:,}",
        "model": run.model,
        "effort": effort if run.seconds is None else _("{effort} in {time}", effort=effort, time=duration(run.seconds)),
    }


def offer(run: RunReport) -> dict[str, Any]:
    """Whether the run could be cross-validated, and whether that is to be offered first of all."""
    is_frozen = run.config.get("freeze") in (None, "backbone") and not run.config.get("unfreeze_at")
    is_small = run.folds is None and run.evaluation.total < SMALL and (run.test is None or run.test.total < SMALL)
    known = run.train_count is not None
    return {
        "can_fold": is_frozen and known,
        "offers_folds": is_small,
        "all_count": f"{(run.train_count or 0) + run.evaluation.total:,}",
    }


def is_solved(run: RunReport) -> bool:
    """Whether the head was solved for, in no epochs."""
    return run.config.get("optimizer") == "lbfgs"


def weight_decays(run: RunReport) -> list[Chart]:
    """The loss on held-out images over the weight decays that were tried; none if the user has given one."""
    if not run.trials:
        return []
    figure, chosen = new_figure(4.6, 3.3), run.config["weight_decay"]
    charts.draw_weight_decays(figure.subplots(), run.trials, chosen)
    told = _(
        "Loss on held-out training images over {count} weight decays; chosen: {chosen:.2g}",
        count=len(run.trials),
        chosen=chosen,
    )
    return [inline_images.chart(figure, "decays", told)]


def training_curves(run: RunReport) -> list[Chart]:
    """Losses and accuracy over the epochs, or how the weight decay was chosen if there were none."""
    if is_solved(run):
        return weight_decays(run)
    best = best_row(run.history, run.config.get("best"))
    if best is None:
        return []
    losses, accuracy = new_figure(4.6, 3.3), new_figure(4.6, 3.3)
    charts.draw_losses(losses.subplots(), run.history)
    charts.draw_accuracy(accuracy.subplots(), run.history, run.evaluation.total, run.config.get("best"))
    last = run.history[-1]
    lost = _(
        "Loss over {epochs} epochs: at the end {train:.3f} in training, {val:.3f} in validation",
        epochs=len(run.history),
        train=last["train_loss"],
        val=last["val_loss"],
    )
    right = _("Accuracy: best {best:.3f} in epoch {epoch}", best=best["val_accuracy"], epoch=best["epoch"])
    return [inline_images.chart(losses, "loss", lost), inline_images.chart(accuracy, "accuracy", right)]


def worst_images(evaluation: Evaluation, worst: WorstImages, missing: Container[str]) -> dict[str, Any]:
    """The worst images, each with its heat map if there is one, unless it is missing."""
    probabilities = evaluation.probabilities
    images = []
    for place, index in enumerate(worst.indices):
        image, heat = worst.images[place], None if worst.heat_maps is None else worst.heat_maps[place]
        own, predicted = int(evaluation.labels[index]), int(evaluation.predictions[index])
        images.append(
            {
                "image": inline_images.image_uri(image),
                "heat": None if heat is None else inline_images.image_uri(heated(image, heat)),
                "own": evaluation.classes[own],
                "own_probability": float(probabilities[index, own]),
                "predicted": evaluation.classes[predicted],
                "probability": float(probabilities[index, predicted]),
                "right": own == predicted,
                "file": Path(evaluation.paths[index]).name,
                "is_missing": evaluation.paths[index] in missing,
            }
        )
    return {
        "images": sorted(images, key=lambda image: image["own_probability"]),
        "heat_maps": worst.heat_maps is not None,
        "side": worst.images.shape[1],
        "mark": MARK,
    }


def heated(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image under its heat map, which may have another size."""
    from PIL import Image

    from mstl.report.gradcam import overlay

    height, width = image.shape[:2]
    enlarged = Image.fromarray(np.asarray(heat, np.float32)).resize((width, height))
    return overlay(image, np.clip(np.asarray(enlarged), 0, 1))


def cost(run: RunReport) -> dict[str, Any]:
    """What the run has cost: what each part took, in words and in seconds, and a sentence about the rest.

    A page that a run writes at its end cannot tell what it takes itself.
    """
    if run.cost is None:
        return {"parts": [], "spent": ""}
    seconds = run.cost["seconds"]
    parts = [
        (_(name), duration(seconds[part], 1), seconds[part])
        if part in seconds
        else (_(name), _("not known yet"), np.nan)
        for part, name in PARTS.items()
    ]
    total = duration(sum(seconds.values()), 1)
    told = _("{time} in all", time=total) if "page" in seconds else _("{time} without this page", time=total)
    if run.cost["sessions"] > 1:
        told += _(", in {count} sessions", count=run.cost["sessions"])
    if run.cost["peak_memory_bytes"]:
        told += _("; at most {memory:.1f} GB of memory", memory=run.cost["peak_memory_bytes"] / 1e9)
    if run.cost["images_per_second"]:
        told += _("; features of {speed:,.0f} images a second", speed=run.cost["images_per_second"])
    told += _("; on {device}", device=run.cost["device"])
    if run.engine:
        told += _(", engine {engine}", engine=run.engine)
    return {"parts": parts, "spent": _("{sentence}.", sentence=told)}


def checkpoint_paths(checkpoint: str | os.PathLike[str]) -> dict[str, str]:
    """The checkpoint and its settings, as a shell and as Python take them."""
    path = Path(checkpoint).absolute()
    return {
        "checkpoint": shlex.quote(str(path)),
        "config_file": shlex.quote(str(path.with_name("config.json"))),
        "python_checkpoint": repr(str(path)),
    }
