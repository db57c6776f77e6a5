"""Curves and diagrams. Each function returns a matplotlib Figure, or draws into Axes that it is given."""

import numpy as np

from mstl.evaluation.metrics import wilson
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import MARKERS, PALETTE, RIGHT, WRONG, columns, label, new_figure

TRAINING, VALIDATION = PALETTE[0], PALETTE[1]
LARGE = 50  # classes from which on a map is larger
LISTED = 120  # classes up to which a map has a legend of them
CROWDED = 40  # epochs from which on a curve has no marks of its own


def curves(history, photos=None):
    """Losses and validation accuracy over the epochs.

    Args:
        history: Dicts with epoch, train_loss, val_loss and val_accuracy.
        photos: Number of validation photos; where it is given, the accuracy's 95 % interval is drawn too.

    Returns:
        A matplotlib Figure.
    """
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    draw_losses(left, history)
    draw_accuracy(right, history, photos)
    return figure


def draw_losses(axes, history):
    """Training and validation loss over the epochs."""
    epochs = [row["epoch"] for row in history]
    mark = marks(history)
    axes.plot(epochs, [row["train_loss"] for row in history], mark("o") + "-", color=TRAINING, label="training")
    axes.plot(epochs, [row["val_loss"] for row in history], mark("s") + "--", color=VALIDATION, label="validation")
    axes.set(ylabel="cross entropy (nats)", title="Loss")
    axes.legend(frameon=False)
    over_epochs(axes)


def draw_accuracy(axes, history, photos=None):
    """Validation accuracy over the epochs, with its interval where the number of photos is known."""
    epochs = [row["epoch"] for row in history]
    accuracies = np.array([row["val_accuracy"] for row in history])
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    axes.axhline(best["val_accuracy"], color="0.6", linewidth=0.8, zorder=0)
    if photos:
        bounds = np.array([wilson(round(value * photos), photos) for value in accuracies]).T
        lengths = np.abs(bounds - accuracies)
        axes.errorbar(epochs, accuracies, lengths, fmt="none", color=VALIDATION, alpha=0.5, label="95% interval")
        axes.legend(frameon=False, loc="lower right")
    axes.plot(epochs, accuracies, marks(history)("s") + "--", color=VALIDATION)
    axes.set(ylabel="share of photos right")
    axes.set_title(f"Validation accuracy (best {best['val_accuracy']:.3f}, epoch {best['epoch']})")
    over_epochs(axes)


def marks(history):
    """A function from a mark to itself, or to none where there are too many epochs for marks."""
    return lambda mark: mark if len(history) < CROWDED else ""


def over_epochs(axes):
    """Whole epochs from left to right, and a light grid."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)


def lr_curve(rates, losses, suggestion):
    """The loss over a growing learning rate.

    Args:
        rates: Learning rates.
        losses: The smoothed loss at each, in nats.
        suggestion: The rate that is marked.
    """
    figure = new_figure(6, 3.8)
    axes = figure.subplots()
    axes.plot(rates, losses, color=RIGHT)
    low, start = min(losses), losses[0]  # where the loss breaks away is above the picture
    axes.set_ylim(low - 0.2 * (start - low) - 0.05, start + 0.5 * (start - low) + 0.05)
    axes.axvline(suggestion, color=WRONG, linestyle="--", label=f"suggested: {suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="cross entropy, smoothed (nats)", title="Learning rate")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def compare_accuracies(histories):
    """Validation accuracy over the epochs, of several runs.

    Args:
        histories: A dict from a run's name to its history, as :func:`curves` takes.

    Returns:
        A matplotlib Figure.
    """
    figure = new_figure(5.2, 3.6 + 0.2 * len(histories))
    axes = figure.subplots()
    for number, (name, history) in enumerate(histories.items()):
        epochs, accuracies = zip(*[(row["epoch"], row["val_accuracy"]) for row in history], strict=True)
        axes.plot(epochs, accuracies, "-", **sign(number), markersize=5, label=label(name, 60))
    axes.set(ylabel="share of photos right", title="Validation accuracy")
    over_epochs(axes)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return legible(figure)


def reliability(evaluation, bins=15):
    """How often the net is right over how sure it says it is; on the diagonal, it is right as often as it says.

    Args:
        evaluation: An :class:`mstl.evaluation.metrics.Evaluation`.
        bins: Equal parts of the range from 0 to 1.

    Returns:
        A matplotlib Figure.
    """
    figure = new_figure(4.6, 4.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    found = evaluation.reliability(bins)
    counts, accuracy, edges, width = found.counts, found.accuracy, found.edges[:-1], 1 / bins
    filled = counts > 0
    upper.bar(edges[filled], accuracy[filled], width, align="edge", color=PALETTE[5], edgecolor=RIGHT, label="this net")
    upper.plot([0, 1], [0, 1], "--", color="0.5", label="perfectly calibrated")
    upper.plot(found.confidence[filled], accuracy[filled], "o", color=RIGHT, markersize=4)
    for number in np.flatnonzero(filled):
        lower.annotate(
            f"{counts[number]:,}", (edges[number] + width / 2, counts[number]), fontsize=7, ha="center", va="bottom"
        )
    lower.bar(edges, counts, width, align="edge", color="0.75", edgecolor="0.4")
    lower.margins(y=0.25)
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of photos right")
    upper.set_title(f"Calibration (ECE {found.ece:.3f}, temperature {evaluation.temperature:.2f})")
    lower.set(xlabel="probability of the predicted class", ylabel="photos")
    upper.legend(frameon=False, loc="upper left", fontsize=9)
    return figure


def feature_map(points, evaluation, method="pca"):
    """Photos as points in the plane: those of a class alike, wrongly predicted ones ringed.

    Args:
        points: (N, 2), as :func:`mstl.report.plots.projection.project` gives.
        evaluation: The :class:`mstl.evaluation.metrics.Evaluation` of the same N photos.
        method: What made the points, ``"pca"`` or ``"tsne"``.

    Returns:
        A matplotlib Figure.
    """
    names = [label(name, 28) for name in evaluation.classes]
    side = 6 if len(names) < LARGE else 8.5  # inches
    if len(names) > LISTED:
        names = [None] * len(names)
    rows = int(4 * side)
    legend_columns = -(-(sum(name is not None for name in names) + 1) // rows)
    legend_width = legend_columns * (0.45 + 0.075 * max(columns(name or "wrongly predicted") for name in names))
    figure = new_figure(side + 0.5 + legend_width, side)
    axes = figure.subplots()
    size = np.clip(500 / evaluation.total**0.5, 9, 30)  # points, squared
    for number, name in enumerate(names):
        x, y = points[evaluation.labels == number].T
        axes.scatter(x, y, s=size, alpha=0.8, linewidths=0.3, edgecolors="white", label=name, **sign(number))
    wrong = evaluation.predictions != evaluation.labels
    ring = {"s": 4 * size, "facecolors": "none", "edgecolors": WRONG, "linewidths": size / 25}
    axes.scatter(*points[wrong].T, **ring, label="wrongly predicted")
    axes.set_title(f"Features of {evaluation.total:,} photos, {wrong.sum():,} wrongly predicted")
    axes.set_aspect("equal", adjustable="datalim")
    if method == "pca":
        axes.set(xlabel="first principal component", ylabel="second principal component")
        axes.grid(alpha=0.3)
    else:
        axes.set(xlabel="t-SNE: near means alike, far means little", xticks=[], yticks=[])
    figure.legend(loc="outside right upper", ncols=legend_columns, frameon=False, fontsize=9, markerscale=1.3)
    return legible(figure)


def sign(number):
    """Colour and marker of the class or run of this number: 84 different ones."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}
