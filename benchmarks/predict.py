"""``mstl predict`` on a folder of photos, the whole process, against PyTorch eager doing the same."""

import json
import sys
from pathlib import Path

from benchmarks import setting as settings
from benchmarks.measure import interleave, largest, quickest
from benchmarks.photos import one_folder
from benchmarks.table import Row, not_lower, ratio_at_most

LIMIT = 0.55  # for ResNet-50


def add_arguments(parser):
    """Add the case's options."""
    settings.add_options(parser)
    parser.add_argument("--photos", type=settings.positive, default=500, help="in the folder, repeated where too few")
    parser.add_argument("--batch-size", type=settings.positive, default=32, help="of PyTorch's side")


def run(options):
    """Train a head, predict with it on both sides in turn, print the table, write the JSON."""
    with settings.opened(options) as setting:
        weights = setting.weights(options.model)
        truth = one_folder(setting.data, options.photos, setting.folder / "photos")
        _, trained = settings.mstl_training(
            setting, setting.data, weights, setting.new_folder("home"), options.model, epochs=5
        )
        best, head = trained / "best.ckpt", setting.folder / "head.npz"
        setting.run_own("head", "--weights", best, "--out", head)
        shared = ["--model", options.model, "--weights", weights, "--head", head, "--data", setting.folder / "photos"]
        ours = ["predict", best, setting.folder / "photos", "--format", "jsonl"]
        sides = {
            "limits": setting.limits,
            "mstl": lambda _: setting.run_mstl(*ours, home=setting.new_folder("home")),
        }
        if "torch" in options.against:
            sides["PyTorch"] = lambda _: setting.run_torch("predict", *shared, "--batch-size", options.batch_size)
        runs = interleave(sides, options.repeats)
    limits = settings.best_limits(runs.pop("limits"))
    labels = {side: predicted(several[0].output, truth) for side, several in runs.items()}
    what = f"predict, {options.photos} photos, {options.model}"
    ours, right = quickest(runs["mstl"]), share(labels["mstl"], truth)
    if "PyTorch" in runs:
        limit = LIMIT if options.model == "resnet50" else None
        rows = [
            ratio_at_most(limit, f"{what} / PyTorch eager", "s", ours, quickest(runs["PyTorch"])),
            not_lower("accuracy on these photos / PyTorch", right, share(labels["PyTorch"], truth)),
            Row("share of photos with the label that PyTorch gives", "", share(labels["mstl"], labels["PyTorch"])),
            Row("peak memory / PyTorch", "MB", largest(runs["mstl"]), largest(runs["PyTorch"])),
        ]
    else:
        rows = [
            Row(what, "s", ours),
            Row("accuracy on these photos", "", right),
            Row("peak memory", "MB", largest(runs["mstl"])),
        ]
    times = {side: [{"seconds": done.seconds, "peak_mb": done.peak_mb} for done in runs[side]] for side in runs}
    settings.report(options, rows, limits, times)


def predicted(output, truth):
    """The labels in JSON lines: a dict from file name to label.

    Raises:
        SystemExit: Not every photo has one.
    """
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    labels = {Path(line["path"]).name: line["label"] for line in lines}
    if labels.keys() != truth.keys():
        sys.exit(f"{len(labels)} labels for {len(truth)} photos: {sorted(labels.keys() ^ truth.keys())[:3]}")
    return labels


def share(labels, others):
    """The share of photos that two dicts agree on."""
    return sum(labels[name] == others[name] for name in labels) / len(labels)
