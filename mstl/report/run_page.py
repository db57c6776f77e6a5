"""``report.html``: one file that tells what a run is worth, where it is wrong, and how to use it."""

import io
import math
import shlex
from pathlib import Path

import numpy as np

import mstl
from mstl.evaluation.metrics import wilson
from mstl.files import write_text
from mstl.report import markup, verdict
from mstl.report.markup import facts, name, section_list, table, text
from mstl.report.plots import charts
from mstl.report.plots.matrix import confusion
from mstl.report.plots.style import MARK, new_figure, share

READABLE = 40  # classes up to which the confusion matrix is a table; above, it is a picture
LONG = 25  # rows from which on a table scrolls by itself
SHOWN = 100  # data warnings that are shown
CORNER = "<td>is \N{DOWNWARDS ARROW}<br>called \N{RIGHTWARDS ARROW}</td>"  # of the matrix
ROWS = 12  # epochs that a notebook shows


def write_report(path, run):
    """Write the page about a run, atomically.

    Args:
        path: Where to, such as ``report.html`` in the run's folder.
        run: A :class:`mstl.report.run_report.RunReport`.
    """
    run = run.complete()
    body = headline(run) + section_list(
        ("curves", "Training", training(run)),
        ("confusion", "Which classes are confused", matrix(run.evaluation)),
        ("classes", "Each class", classes(run.evaluation)),
        ("photos", "The worst photos", photos(run)),
        ("calibration", "How far to trust its probabilities", calibration(run)),
        ("data", "Data warnings", data_warnings(run.warnings)),
        ("settings", "Settings", settings(run.config)),
        ("use", "How to use it", use(run)),
    )
    write_text(path, markup.page(f"{run.name}: report", body + footer()))


def headline(run):
    """The run's name, the verdict, and figures."""
    evaluation = run.evaluation
    low, high = evaluation.interval
    numbers = [
        ("Accuracy", f"{share(evaluation.accuracy)}<small>95% interval {share(low)} to {share(high)}</small>"),
        ("Balanced accuracy", f"{share(evaluation.balanced_accuracy)}<small>each class counts alike</small>"),
        ("Macro F1", f"{evaluation.macro_f1:.3f}"),
    ]
    if len(evaluation.classes) > 5:
        numbers.append(("Top 5", f"{share(evaluation.top(5))}<small>own class among the first five</small>"))
    trained = "unknown" if run.train_count is None else f"{run.train_count:,}"
    parts = "for training and for validation"
    numbers += [
        (f"Photos of {len(evaluation.classes):,} classes", f"{trained} + {evaluation.total:,}<small>{parts}</small>"),
        ("Net", f"{text(run.model).replace('_', '_<wbr>')}<small>{effort(run)}</small>"),  # where a line may end
    ]
    sentence = text(verdict.verdict(evaluation, run.warnings))
    return (
        f'<header>\n<h1>{text(run.name)}</h1>\n<p class="verdict">{sentence}</p>\n'
        f"<p>{text(verdict.against_guessing(evaluation))}</p>\n{facts(numbers)}\n</header>\n"
    )


def effort(run):
    """How long the training was."""
    epochs = f"{len(run.history)} epoch{'s' * (len(run.history) != 1)}"
    return epochs if run.seconds is None else f"{epochs} in {duration(run.seconds)}"


def training(run):
    """Curves of losses and accuracy."""
    if not run.history:
        return ""
    best = max(run.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    losses, accuracy = new_figure(4.6, 3.3), new_figure(4.6, 3.3)
    charts.draw_losses(losses.subplots(), run.history)
    charts.draw_accuracy(accuracy.subplots(), run.history, run.evaluation.total)
    last = run.history[-1]
    told = (
        f"Loss over {len(run.history)} epochs: at the end {last['train_loss']:.3f} in training, "
        f"{last['val_loss']:.3f} in validation"
    )
    return (
        f'<div class="charts">{markup.chart(losses, "loss", told)}'
        + markup.chart(accuracy, "accuracy", f"Accuracy: best {best['val_accuracy']:.3f} in epoch {best['epoch']}")
        + "</div>"
    )


def matrix(evaluation):
    """The confusion matrix, and the most frequent confusions."""
    pairs = [
        (name(own), name(predicted), (f"{count:,} of {photos:,}", count), (share(count / photos), count / photos))
        for own, predicted, count, photos in verdict.most_confused(evaluation, 10)
    ]
    columns = [("Own class", "text"), ("Taken for", "text"), ("Photos", "number"), ("Share", "number")]
    listed = f"<h3>Most frequent confusions</h3>\n{table(columns, pairs, 'Most frequent confusions')}" if pairs else ""
    whole = matrix_table(evaluation) if len(evaluation.classes) <= READABLE else matrix_picture(evaluation)
    return whole + listed


def matrix_table(evaluation):
    """The confusion matrix as a table, whose cells are the darker, the larger their share of the row is."""
    counts = evaluation.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    head = "".join(
        f'<th scope="col"><span title="{text(each)}">{text(each)}</span></th>' for each in evaluation.classes
    )
    lines = []
    for row, own in enumerate(evaluation.classes):
        cells = "".join(
            matrix_cell(counts[row, column], shares[row, column], row == column) for column in range(len(counts))
        )
        lines.append(f'<tr><th scope="row" title="{text(own)}">{text(own)}</th>{cells}</tr>')
    few = " few" if len(counts) <= 5 and max(map(len, evaluation.classes)) <= 12 else ""
    caption = "Confusion matrix: photos by their own class (rows) and the predicted class (columns)"
    inner = (
        f'<table class="matrix{few}">\n<caption class="unseen">{caption}</caption>\n'
        f"<thead><tr>{CORNER}{head}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table>"
    )
    note = "Rows: own class. Columns: predicted class. The stronger the colour, the larger the share of the row."
    return f'<p class="note">{note}</p>\n{markup.scrolling(inner, caption)}\n'


def matrix_cell(count, share_of_row, diagonal):
    """A cell of the matrix: empty for 0, and in one of ten strengths of colour."""
    own = "own" if diagonal else ""
    if not count:
        return f'<td class="{own}"></td>' if own else "<td></td>"
    level = max(1, round(10 * share_of_row))
    return f'<td class="{own} h{level}{" h" if level > 5 else ""}">{count}</td>'


def matrix_picture(evaluation):
    """The confusion matrix as a picture, for many classes."""
    data = io.BytesIO()
    confusion(evaluation).savefig(data, format="png", dpi=100, bbox_inches="tight", pad_inches=0.1)
    alt = f"Confusion matrix of {len(evaluation.classes)} classes; the most frequent confusions are listed below"
    image = f'<img class="plot wide" src="{markup.data_uri(data.getvalue(), "png")}" alt="{alt}">'
    return markup.scrolling(image, "Confusion matrix") + "\n"


def classes(evaluation):
    """A row for each class."""
    counts, support = evaluation.confusion, evaluation.support
    errors = counts - np.diag(np.diag(counts))
    bounds = [
        wilson(right, photos) if photos else (1, 1) for right, photos in zip(np.diag(counts), support, strict=True)
    ]
    start = math.floor(10 * min(low for low, _ in bounds)) / 10
    rows = []
    for index, each in enumerate(evaluation.classes):
        precision, recall, f1 = (float(getattr(evaluation, key)[index]) for key in ("precision", "recall", "f1"))
        drawn = markup.interval(recall, *bounds[index], start) if support[index] else ""
        other = errors[index].argmax()
        confused = f"{name(evaluation.classes[other])} ({errors[index, other]:,})" if errors[index].any() else ""
        rows.append(
            [
                text(each),
                (f"{support[index]:,}", support[index]),
                (share(precision), precision),
                (share(recall) + drawn, recall),
                (number(f1), f1),
                confused,
            ]
        )
    columns = [
        *(("Class", "text"), ("Photos", "number"), ("Precision", "number"), ("Recall, 95% interval", "number")),
        *(("F1", "number"), ("Mostly taken for", "text")),
    ]
    note = (
        "Precision: how many of the photos called so are so. Recall: how many of the class’s photos are recognised; "
        f"the line, from {start:.0%} to 100%, shows its 95% interval, which is long where there are few photos. "
        "F1: their harmonic mean."
    )
    sortable = table(columns, rows, "Each class", sortable=True)
    if len(rows) > LONG:
        sortable = sortable.replace('class="scroll"', 'class="scroll tall"', 1)
    return f'<p class="note">{note}</p>\n{sortable}'


def photos(run):
    """The worst photos, each with its heat map where there is one."""
    evaluation, probabilities = run.evaluation, run.evaluation.probabilities
    figures = []
    shown = sorted(enumerate(run.worst), key=lambda pair: probabilities[pair[1], evaluation.labels[pair[1]]])
    for place, index in shown:
        own, predicted = int(evaluation.labels[index]), int(evaluation.predictions[index])
        called, right = evaluation.classes[predicted], own == predicted
        images = markup.picture(run.photos[place], f"a photo of {evaluation.classes[own]}, called {called}")
        if run.heat_maps is not None:
            images += markup.picture(heated(run, place), f"the same, with the places that speak for {called} in colour")
        answer = (
            "also called so" if right else f"{MARK} called {name(called)} ({share(probabilities[index, predicted])})"
        )
        figures.append(
            f"<figure><div>{images}</div><figcaption>is <b>{name(evaluation.classes[own])}</b> "
            f'({share(probabilities[index, own])})<br><span class="{"right" if right else "wrong"}">{answer}</span>'
            f'<span class="file">{name(Path(evaluation.paths[index]).name)}</span></figcaption></figure>'
        )
    note = (
        "Photos whose own class was given the least probability. Look for wrong labels first, then for what they share."
    )
    if run.heat_maps is not None:
        note += " Beside each, Grad-CAM: the brighter a place, the more it speaks for the predicted class."
    pairs = "" if run.heat_maps is None else " pairs"
    return (
        f'<p class="note">{note}</p>\n<div class="photos{pairs}">\n' + "\n".join(figures) + "\n</div>"
        if figures
        else ""
    )


def heated(run, place):
    """A worst photo with its heat map over it."""
    from PIL import Image

    from mstl.report.gradcam import overlay

    side = run.photos.shape[1]
    heat = Image.fromarray(np.asarray(run.heat_maps[place], np.float32)).resize((side, side))
    return overlay(run.photos[place], np.clip(np.asarray(heat), 0, 1))


def calibration(run):
    """How sure the net is, and how often it is right then; before and after the temperature was fitted."""
    after = run.evaluation
    before = after.calibrated(1.0)
    drawings = [(after, "after", "Reliability")]
    story = text(verdict.about_calibration(after))
    if after.temperature != 1:
        drawings.insert(0, (before, "before", "Reliability before"))
        story += (
            f" A temperature of {after.temperature:.2f}, fitted on these photos, takes the expected calibration error "
            f"(ECE) from {before.ece():.3f} to {after.ece():.3f}."
        )
    else:
        story += f" The expected calibration error (ECE) is {after.ece():.3f}."
    shown = "".join(
        markup.chart(charts.reliability(each), key, f"{title}: expected calibration error {each.ece():.3f}")
        for each, key, title in drawings
    )
    return f'<p>{story}</p>\n<div class="charts">{shown}</div>\n{limits(run.rejector)}'


def limits(rejector):
    """When ``--reject`` answers "none of these"."""
    if not rejector:
        return ""
    return (
        "<p>With <code>--reject</code>, a photo is “none of these” where its answer has a probability below "
        f"{share(rejector['probability_limit'])}, or where its features lie farther than {rejector['distance_limit']:.3f} "
        f"from those of the {rejector['neighbours']} most similar known photos (0 is the same, 2 the farthest).</p>"
    )


def data_warnings(warnings):
    """What the check of the data has found."""
    if not warnings:
        return "<p>The check of the data found nothing that needs a look.</p>"
    items = "".join(f"<li>{text(warning)}</li>" for warning in warnings[:SHOWN])
    more = f"<li>... and {len(warnings) - SHOWN:,} more</li>" if len(warnings) > SHOWN else ""
    return f'<ul class="doubt">{items}{more}</ul>'


def settings(config):
    """The settings of the run."""
    given = {key: value for key, value in config.items() if value is not None}
    left = ", ".join(key for key in config if key not in given)
    items = "".join(f"<div><dt>{text(key)}</dt><dd>{plain(value)}</dd></div>" for key, value in given.items())
    return f'<dl class="settings">{items}</dl>' + (f'<p class="note">Not set: {text(left)}.</p>' if left else "")


def use(run):
    """Commands and Python lines, with the checkpoint's path."""
    path = Path(run.checkpoint).absolute()
    shell = shlex.quote(str(path))
    blocks = [
        ("Ask it about photos", f"mstl predict {shell} photo.jpg"),
        ("See what it looks at", f"mstl visualize {shell} --kind gradcam"),
        ("Test it on other photos, in a folder for each class", f"mstl evaluate {shell} --data FOLDER"),
        (
            "Train again with the same settings",
            f"mstl train --config {shlex.quote(str(path.with_name('config.json')))}",
        ),
        ("In Python", f"import mstl\n\npredictor = mstl.Predictor({str(path)!r})\nprint(predictor(['photo.jpg']))"),
    ]
    return "\n".join(f"<h3>{title}</h3>\n{markup.code(lines)}" for title, lines in blocks)


def footer():
    """Who wrote the page."""
    return f"\n<footer>Written by mstl {text(mstl.__version__)}.</footer>"


def history_html(history, evaluation):
    """A run in a notebook: the verdict, the epochs as a table, and the curves; without style sheet or script.

    Args:
        history: A dict an epoch.
        evaluation: The :class:`mstl.evaluation.metrics.Evaluation` of the best epoch; None before the first.

    Returns:
        A piece of HTML.
    """
    if not history or evaluation is None:
        return "<p>No epoch is finished yet.</p>"
    best = min(history, key=lambda row: abs(row["val_loss"] - evaluation.loss))
    rows = history if len(history) <= ROWS else [row for row in history if row is best or row in history[-ROWS + 1 :]]
    lines = "".join(
        f"<tr><td>{row['epoch']}{' (best)' if row is best else ''}</td><td>{number(row['train_loss'])}</td>"
        f"<td>{number(row['val_loss'])}</td><td>{share(row['val_accuracy'])}</td><td>{number(row['val_macro_f1'])}</td>"
        f"<td>{row['seconds']:.1f}</td></tr>"
        for row in rows
    )
    titles = ("epoch", "training loss", "validation loss", "accuracy", "macro F1", "seconds")
    head = "".join(f"<th>{title}</th>" for title in titles)
    data = io.BytesIO()
    charts.curves(history, evaluation.total).savefig(data, format="png", dpi=90)
    return (
        f"<p><b>{text(verdict.verdict(evaluation))}</b></p>\n<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>\n"
        f'<img alt="Loss and accuracy over the epochs" src="{markup.data_uri(data.getvalue(), "png")}">'
    )


def plain(value):
    """A value of a setting."""
    if value is None or value == "":
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return text(f"{value:.4g}" if isinstance(value, float) else value)


def number(value):
    """Three decimals; a dash for what is not a number."""
    return "\N{EN DASH}" if value != value else f"{value:.3f}"


def duration(seconds):
    """A time for people."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
