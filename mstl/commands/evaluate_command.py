"""``mstl evaluate best.ckpt``: how good a checkpoint is, where it is wrong, and which labels look wrong."""

import math
from pathlib import Path

import click

from mstl.commands import shared

LISTED = 40  # classes up to which all are in the table
LEAST = 20  # those of many classes that are
SHOWN = 12  # photos in a picture
FIRST = 5  # suspects that are printed


@shared.command
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--data", help="Photos to evaluate on; those held out of its training if not given.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder for all files; evaluation/ beside CHECKPOINT.")
@click.option(
    "--suspects/--no-suspects",
    "wanted",
    default=True,
    show_default=True,
    help="Look for wrong labels, among the training photos too.",
)
@click.option("--device", default="auto", show_default=True, help="What computes: auto, Ascend, GPU or CPU.")
def main(checkpoint, data, out, wanted, device):
    """Print how good CHECKPOINT is, and write figures, pictures and a list of probably wrong labels.

    DATA's validation photos are evaluated, or all of it where it is not divided; its classes may be some of
    CHECKPOINT's, in any order.
    """
    from mstl.files import make_folder, write_json
    from mstl.predictor import Predictor

    predictor = Predictor(checkpoint, device)
    training, validation = predictor.photos(data)
    out = make_folder(out or checkpoint.parent / "evaluation")
    evaluation = predictor.evaluate(validation)
    print("\n".join([*summary(evaluation, predictor.rejector), "", *table(evaluation)]), flush=True)
    write_json(out / "evaluation.json", evaluation.to_dict())
    draw(evaluation, out)
    if wanted:
        print(find_suspects([evaluation] if training is None else [predictor.evaluate(training), evaluation], out))
    print(f"figures and pictures in {out}")


def summary(evaluation, rejector):
    """Lines with the figures of all photos together."""
    low, high = evaluation.interval
    yield f"accuracy           {evaluation.accuracy:.3f} (95% interval {low:.3f} to {high:.3f}), " + (
        f"{evaluation.correct:,} of {evaluation.total:,} photos"
    )
    if len(evaluation.classes) > 5:
        yield f"top-5              {evaluation.top(5):.3f}"
    yield f"balanced accuracy  {evaluation.balanced_accuracy:.3f}"
    if rejector is None:
        yield f"calibration error  {evaluation.ece():.3f} (the checkpoint has no temperature)"
    else:
        before, temperature = evaluation.calibrated(1.0).ece(), evaluation.temperature
        yield f"calibration error  {evaluation.ece():.3f} at temperature {temperature:.2f}, {before:.3f} without"


def table(evaluation):
    """Lines with the figures of each class; of many classes, the worst ones."""
    from mstl.data.checking.checks import shown
    from mstl.report.plots.style import columns

    figures = (evaluation.precision, evaluation.recall, evaluation.f1)
    rows = list(zip(evaluation.classes, *figures, evaluation.support.tolist(), strict=True))
    if len(rows) > LISTED:
        yield f"the {LEAST} of {len(rows)} classes with the lowest F1; all are in evaluation.json"
        rows = sorted(rows, key=lambda row: math.inf if math.isnan(row[3]) else row[3])[:LEAST]
    rows += [
        (name, *(mean(values) for values in figures), evaluation.total)
        for name, mean in (("macro average", evaluation.macro), ("weighted average", evaluation.weighted))
    ]
    rows = [(shown(name), *others) for name, *others in rows]
    width = max(columns(name) for name, *_ in rows)
    yield f"{'class':<{width}}  precision  recall     F1  photos"
    for name, precision, recall, f1, photos in rows:
        values = f"{figure(precision):>9}  {figure(recall):>6}  {figure(f1):>5}  {photos:>6,}"
        yield f"{name}{' ' * (width - columns(name))}  {values}"


def figure(value):
    """A figure with three digits; a dash where there is none, as for the recall of a class without photos."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def draw(evaluation, out):
    """Write all pictures."""
    from mstl.report import plots

    plots.save(plots.confusion(evaluation), out / "confusion.png")
    plots.save(plots.confusion(evaluation, normalize=True), out / "confusion_normalized.png")
    plots.save(plots.reliability(evaluation), out / "reliability.png")
    plots.save(plots.worst_grid(evaluation, SHOWN), out / "worst.png")
    mistakes = out / "confident_wrong.png"
    mistakes.unlink(missing_ok=True)  # of an evaluation before
    chosen = evaluation.confident_wrong(SHOWN)
    if len(chosen):
        grid = plots.worst_grid(evaluation.part(chosen), SHOWN)
        wrong = evaluation.total - evaluation.correct
        grid.suptitle(f"The {len(chosen)} most confident of {wrong:,} mistakes, with the probabilities of both classes")
        plots.save(grid, mistakes)


def find_suspects(evaluations, out):
    """Write suspects.csv about the photos of one or more evaluations; gives lines about it."""
    import numpy as np

    from mstl.data.checking.checks import shown
    from mstl.evaluation.label_errors import find_label_errors, write_label_errors

    total = sum(evaluation.total for evaluation in evaluations)
    if any(evaluation.features is None for evaluation in evaluations):
        return f"labels: not checked, as {total:,} photos are too many"
    features, labels = (
        np.concatenate([getattr(evaluation, name) for evaluation in evaluations]) for name in ("features", "labels")
    )
    paths = [path for evaluation in evaluations for path in evaluation.paths]
    found = find_label_errors(features, labels, evaluations[0].classes, paths)
    write_label_errors(out / "suspects.csv", found)
    lines = [f"labels: {len(found):,} of {total:,} look wrong (suspects.csv)" + (", most of all" if found else "")]
    for suspect in found[:FIRST]:
        lines.append(f"  {shown(suspect.path)}: {shown(suspect.label)}, looks like {shown(suspect.suggested)}")
    return "\n".join(lines)
