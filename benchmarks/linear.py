"""A linear classifier on frozen features, whole processes, against thirty lines with ONNX Runtime and scikit-learn.

mstl trains twice: the first time with nothing kept of any earlier run, the second time with its features cached. The
thirty lines begin anew each time.
"""

import json
import sys
from pathlib import Path

from benchmarks import setting as settings
from benchmarks.measure import interleave, largest, quickest
from benchmarks.photos import PARTS, listed, varied
from benchmarks.table import Row, not_lower, ratio_at_most

FIRST, SECOND, LINES, LIMITS = "mstl, first run", "mstl, second run", "thirty lines", "limits"
SIZE = (500, 375)
AIMED_AT = 2400  # photos of that size, for which the targets are meant
WITH_HEAD = {FIRST: 1.25, SECOND: 0.35}
WITHOUT_HEAD = {FIRST: 1.1}


def add_arguments(parser):
    """Add the case's options."""
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/ and val/")
    parser.add_argument(
        "--photos",
        type=settings.positive,
        help=f"so many, {SIZE[0]} x {SIZE[1]} px, made of those in --data, which are taken as they are if not given",
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of mstl")
    settings.add_output_options(parser, repeats=2)


def run(options):
    """Measure all sides in turn, print the table, write the JSON."""
    options.model = settings.LITE0
    with settings.opened(options) as setting:
        weights, graph, data = setting.weights(options.model), setting.folder / "features.onnx", setting.data
        if options.photos:
            data = varied(setting.data, options.photos, setting.new_folder("many"), SIZE)
        setting.run_own("graph", "--model", options.model, "--weights", weights, "--out", graph)
        homes, heads = {}, {FIRST: [], SECOND: []}

        def mstl(number, which):
            if which == FIRST:
                homes[number] = setting.new_folder("home")
            done, out = settings.mstl_training(
                setting, data, weights, homes[number], options.model, recipe="linear", precision=options.precision
            )
            heads[which].append(head_of(out))
            return done

        command = [sys.executable, "-m", "benchmarks.thirty_lines", graph, data]
        sides = {
            LIMITS: setting.limits,
            FIRST: lambda number: mstl(number, FIRST),
            SECOND: lambda number: mstl(number, SECOND),
            LINES: lambda _: setting.run(command),
        }
        runs = interleave(sides, options.repeats)
        count = sum(len(listed(data / part)[0]) for part in PARTS)
    limits = settings.best_limits(runs.pop(LIMITS))
    heads[LINES] = [done.answer for done in runs[LINES]]
    settings.report(options, compare(count, runs, heads), limits, {**runs, "heads": [heads]})


def head_of(folder):
    """What a run says of its head: the seconds of its epochs, the best accuracy, and who computed the features."""
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    engine = json.loads((folder / "config.json").read_text(encoding="utf-8"))["record"]["engine"]
    return {
        "head_seconds": sum(row["seconds"] for row in history),
        "accuracy": max(row["val_accuracy"] for row in history),
        "engine": f"{engine['engine']} {engine['precision']}",
    }


def compare(count, runs, heads):
    """The table of what was measured.

    Args:
        count: Photos, of both parts together.
        runs: A dict from each side to its runs.
        heads: A dict from each side to what each run says of its head: ``head_seconds`` and ``accuracy``.
    """
    aimed_at = count == AIMED_AT
    rows = []
    for ours in (FIRST, SECOND):
        what = f"linear, {count:,} photos: {ours} ({heads[ours][0]['engine']}) / {LINES}"
        limit = WITH_HEAD.get(ours) if aimed_at else None
        rows.append(ratio_at_most(limit, what, "s", quickest(runs[ours]), quickest(runs[LINES])))
        limit = WITHOUT_HEAD.get(ours) if aimed_at else None
        pair = (without_head(runs[side], heads[side]) for side in (ours, LINES))
        rows.append(ratio_at_most(limit, f"{what}, without the head's training", "s", *pair))
        accuracies = (sum(head["accuracy"] for head in heads[side]) / len(heads[side]) for side in (ours, LINES))
        rows.append(not_lower(f"{what}, accuracy", *accuracies))
        rows.append(Row(f"{what}, peak memory", "MB", largest(runs[ours]), largest(runs[LINES])))
    return rows


def without_head(runs, heads):
    """Seconds of the quickest run, without the time that its head took."""
    return min(done.seconds - head["head_seconds"] for done, head in zip(runs, heads, strict=True))
