"""Curves and diagrams. Each function returns a matplotlib Figure, or draws into Axes that it is given."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from mstl.evaluation.history import EpochRow, best_row
from mstl.evaluation.metrics import Evaluation, wilson
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import MARKERS, PALETTE, RIGHT, WRONG, label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAINING, VALIDATION = PALETTE[0], PALETTE[1]
CROWDED = 40  # epochs from which on a curve has no markers


def curves(history: Sequence[EpochRow], images: int | None = None, best: str | None = None) -> "Figure":
    """Losses and validation accuracy over the epochs.

    Args:
        history: A row for each epoch; at least one.
        images: Number of validation images; if given, the accuracy's 95 % interval is drawn.
        best: What the best epoch is best by, as in :func:`mstl.evaluation.history.best_row`.
    """
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    draw_losses(left, history)
    draw_accuracy(right, history, images, best)
    return figure


def course(
    history: Sequence[EpochRow],
    images: int | None = None,
    best: str | None = None,
    trials: Sequence[Sequence[float]] = (),
    chosen: float = 0.0,
) -> "Figure":
    """How a run came to its weights: its :func:`curves`, or the weight decays that were tried for a head solved for.

    Args:
        history, images, best: As for the curves.
        trials, chosen: As for :func:`draw_weight_decays`; no trials if there were epochs.
    """
    if not trials:
        return curves(history, images, best)
    figure = new_figure(6, 3.6)
    draw_weight_decays(figure.subplots(), trials, chosen)
    return figure


def draw_losses(axes: "Axes", history: Sequence[EpochRow]) -> None:
    """Training and validation loss over the epochs."""
    epochs = [row["epoch"] for row in history]
    mark = marker(history)
    axes.plot(epochs, [row["train_loss"] for row in history], mark("o") + "-", color=TRAINING, label="training")
    axes.plot(epochs, [row["val_loss"] for row in history], mark("s") + "--", color=VALIDATION, label="validation")
    axes.set(ylabel="cross entropy (nats)", title="Loss")
    axes.legend(frameon=False)
    over_epochs(axes)


def draw_accuracy(
    axes: "Axes", history: Sequence[EpochRow], images: int | None = None, best: str | None = None
) -> None:
    """Validation accuracy over the epochs, with its interval if the number of images is given; see :func:`curves`."""
    epochs = [row["epoch"] for row in history]
    accuracies = np.array([row["val_accuracy"] for row in history])
    best_epoch = best_row(history, best)
    if best_epoch is None:
        raise ValueError("an empty history has no best epoch")
    axes.axhline(best_epoch["val_accuracy"], color="0.6", linewidth=0.8, zorder=0)
    if images:
        bounds = np.array([wilson(round(value * images), images) for value in accuracies]).T
        lengths = np.abs(bounds - accuracies)
        axes.errorbar(epochs, accuracies, lengths, fmt="none", color=VALIDATION, alpha=0.5, label="95% interval")
        axes.legend(frameon=False, loc="lower right")
    axes.plot(epochs, accuracies, marker(history)("s") + "--", color=VALIDATION)
    axes.set(ylabel="share of images right")
    axes.set_title(f"Validation accuracy (best {best_epoch['val_accuracy']:.3f}, epoch {best_epoch['epoch']})")
    over_epochs(axes)


def draw_weight_decays(axes: "Axes", trials: Sequence[Sequence[float]], chosen: float) -> None:
    """The loss on held-out images over the weight decay.

    Args:
        axes: Where to.
        trials: Pairs of the two.
        chosen: The weight decay that is marked.
    """
    decays, losses = zip(*trials, strict=True)
    axes.plot(decays, losses, "s--", color=VALIDATION)
    axes.axvline(chosen, color=RIGHT, label=f"chosen: {chosen:.2g}")
    axes.set(
        xscale="log", xlabel="weight decay", ylabel="cross entropy (nats)", title="Loss on held-out training images"
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def marker(history: Sequence[EpochRow]) -> Callable[[str], str]:
    """A function from a marker to itself, or to none if there are too many epochs for markers."""
    return lambda mark: mark if len(history) < CROWDED else ""


def over_epochs(axes: "Axes") -> None:
    """Whole epochs from left to right, and a light grid."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)


def lr_curve(learning_rates: Sequence[float], losses: Sequence[float], suggestion: float) -> "Figure":
    """The loss over a growing learning rate.

    Args:
        learning_rates: In growing order.
        losses: The smoothed loss at each, in nats.
        suggestion: The learning rate that is marked.
    """
    figure = new_figure(6, 3.8)
    axes = figure.subplots()
    axes.plot(learning_rates, losses, color=RIGHT)
    low, start = min(losses), losses[0]  # a diverging loss is cut off
    axes.set_ylim(low - 0.2 * (start - low) - 0.05, start + 0.5 * (start - low) + 0.05)
    axes.axvline(suggestion, color=WRONG, linestyle="--", label=f"suggested: {suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="cross entropy, smoothed (nats)", title="Learning rate")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def compare_accuracies(histories: Mapping[str, Sequence[EpochRow]]) -> "Figure":
    """Validation accuracy over the epochs, of several runs.

    Args:
        histories: From a run's name to its history.
    """
    figure = new_figure(5.2, 3.6 + 0.2 * len(histories))
    axes = figure.subplots()
    for number, (name, history) in enumerate(histories.items()):
        epochs, accuracies = zip(*[(row["epoch"], row["val_accuracy"]) for row in history], strict=True)
        axes.plot(epochs, accuracies, "-", **sign(number), markersize=5, label=label(name, 60))
    axes.set(ylabel="share of images right", title="Validation accuracy")
    over_epochs(axes)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return legible(figure)


def reliability(evaluation: Evaluation, bins: int = 15) -> "Figure":
    """Reliability diagram: how often the model is right over its confidence; calibrated is the diagonal.

    After Guo et al., "On Calibration of Modern Neural Networks", 2017.

    Args:
        evaluation: At the temperature that is used.
        bins: Equal parts of the range from 0 to 1.
    """
    figure = new_figure(4.6, 4.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    found = evaluation.reliability(bins)
    counts, accuracy, edges, width = found.counts, found.accuracy, found.edges[:-1], 1 / bins
    filled = counts > 0
    bars = {"color": PALETTE[5], "edgecolor": RIGHT, "label": "this model"}
    upper.bar(edges[filled], accuracy[filled], width, align="edge", **bars)
    upper.plot([0, 1], [0, 1], "--", color="0.5", label="perfectly calibrated")
    upper.plot(found.confidence[filled], accuracy[filled], "o", color=RIGHT, markersize=4)
    for number in np.flatnonzero(filled):
        place = (edges[number] + width / 2, counts[number])
        lower.annotate(f"{counts[number]:,}", place, fontsize=7, ha="center", va="bottom")
    lower.bar(edges, counts, width, align="edge", color="0.75", edgecolor="0.4")
    lower.margins(y=0.25)
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of images right")
    upper.set_title(f"Calibration (ECE {found.ece:.3f}, temperature {evaluation.temperature:.2f})")
    lower.set(xlabel="probability of the predicted class", ylabel="images")
    upper.legend(frameon=False, loc="upper left", fontsize=9)
    return figure


class Sign(TypedDict):
    """How the points of a class, or of a run, look."""

    color: str
    marker: str


def sign(number: int) -> Sign:
    """Colour and marker of the class or run of this number; 84 different ones."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}
