"""Pictures. Each function returns a matplotlib Figure; :func:`save` writes one, without a display."""

import numpy as np

from mstl.files import atomic_path

RIGHT, WRONG = "tab:blue", "tab:red"


def new_figure(width, height):
    """A Figure of its own, outside pyplot's global state, so that nothing is left open."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure, path):
    """Write a figure as a PNG, atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def curves(history):
    """Losses and validation accuracy over the epochs.

    Args:
        history: Dicts with epoch, train_loss, val_loss and val_accuracy.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row["train_loss"] for row in history], "o-", label="training")
    left.plot(epochs, [row["val_loss"] for row in history], "s--", label="validation")
    left.set(xlabel="epoch", ylabel="cross entropy (nats)", title="Loss")
    left.legend()
    right.plot(epochs, [row["val_accuracy"] for row in history], "s--", color="tab:green")
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    title = f"Validation accuracy (best {best['val_accuracy']:.3f}, epoch {best['epoch']})"
    right.set(xlabel="epoch", ylabel="share of photos right", title=title)
    right.axhline(best["val_accuracy"], color="0.8", zorder=0)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return figure


def lr_curve(rates, losses, suggestion):
    """The loss over a growing learning rate.

    Args:
        rates: Learning rates.
        losses: The smoothed loss at each, in nats.
        suggestion: The rate that is marked.
    """
    figure = new_figure(6, 3.8)
    axes = figure.subplots()
    axes.plot(rates, losses)
    low, start = min(losses), losses[0]  # where the loss breaks away is above the picture
    axes.set_ylim(low - 0.2 * (start - low) - 0.05, start + 0.5 * (start - low) + 0.05)
    axes.axvline(suggestion, color=WRONG, linestyle="--", label=f"suggested: {suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="cross entropy, smoothed (nats)", title="Learning rate")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def prediction_grid(evaluation, count=12, seed=0):
    """Photos with the predicted class above: blue where it is right, red where it is wrong.

    Args:
        evaluation: An :class:`mstl.metrics.Evaluation`.
        count: Photos, drawn at random from the set.
        seed: Of the draw.
    """
    chosen = np.random.default_rng(seed).permutation(evaluation.total)[:count]
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(2.6 * columns, 2.8 * rows + 0.5)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    probabilities, predictions = evaluation.probabilities, evaluation.predictions
    for place, index in zip(axes, chosen, strict=False):
        predicted, label = predictions[index], evaluation.labels[index]
        right = predicted == label
        title = f"{evaluation.classes[predicted]} {probabilities[index, predicted]:.0%}"
        if not right:
            title += f"\n(is {evaluation.classes[label]})"
        place.imshow(photo(evaluation.paths[index]))
        place.set_title(title, color=RIGHT if right else WRONG, fontsize=11)
    for place in axes:
        place.axis("off")
    figure.suptitle(
        f"{evaluation.correct} of {evaluation.total} validation photos right ({evaluation.accuracy:.3f}); "
        "blue is right, red is wrong",
        fontsize=11,
    )
    return figure


def photo(path, side=256):
    """A photo as an array for drawing, its middle square, ``side`` pixels wide."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        return np.asarray(ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (side, side)))
