"""Labelling: accuracy by the number of labels, given in the order of `mstl label` and in random order."""

import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import t

from benchmarks import table

COUNTS = (20, 40, 80, 160)  # labels at which heads are compared
START, ROUND = 10, 10  # random images that have a label at first, and labels between two orders


def add_arguments(parser):
    """Add the case's options."""
    parser.add_argument("--data", nargs="+", required=True, help="datasets whose labels are given step by step")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--seeds", type=int, default=5, help="random images at first, and random orders")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/label.json"))


def run(options):
    """Label the training images of each dataset in both ways, print a table, and write it."""
    rows, runs = [], {}
    for data in options.data:
        name = Path(data).name
        sets = features(data, options.model)
        runs[name] = {
            kind: [accuracies(*sets, kind, seed) for seed in range(options.seeds)] for kind in ("ordered", "random")
        }
        rows += compare(name, runs[name]["ordered"], runs[name]["random"])
    print(table.markdown(rows))
    table.write(options.out, {"case": "label", "runs": runs}, rows)


def features(data, model):
    """Kept features and labels of a dataset's training and validation images."""
    import mstl
    from mstl.predictor import Predictor
    from mstl.report.cross_validated_run import kept_features

    with tempfile.TemporaryDirectory() as folder:
        mstl.fit(data=data, model=model, recipe="linear", views=1, report=False, out=folder)
        predictor = Predictor(Path(folder) / "best.ckpt")
        train, val = predictor.image_sets()
        return kept_features(predictor, train), train.labels, kept_features(predictor, val), val.labels


def accuracies(points, labels, val_points, val_labels, kind, seed):
    """The accuracy on validation images of the heads that `mstl label` fits to 20, 40, 80 and 160 labels."""
    from mstl.evaluation.acquisition import labelling_order
    from mstl.evaluation.label_rounds import learn
    from mstl.evaluation.rejection import normalised

    units, val_units, classes = normalised(points), normalised(val_points), labels.max() + 1
    order = np.random.default_rng(seed).permutation(len(points))
    known, rest, found = order[:START], order[START:], []
    while len(found) < len(COUNTS):
        head = learn(units[known], labels[known], np.arange(len(known)), units[:0], labels[:0]).head
        if len(known) in COUNTS:
            found.append(float((head.probabilities(val_units, classes).argmax(1) == val_labels).mean()))
        chosen = np.arange(ROUND)  # the next of a random order
        if kind == "ordered":
            chosen = labelling_order(units[rest], head.probabilities(units[rest], classes), units[known])[:ROUND]
        known, rest = np.concatenate([known, rest[chosen]]), np.delete(rest, chosen)
    return found


def compare(name, ordered, random):
    """A row for each number of labels, and one for their mean, with the interval of the paired difference."""
    ours, theirs = (np.column_stack([runs, np.mean(runs, axis=1)]) for runs in (ordered, random))
    rows = []
    for column, count in enumerate((*COUNTS, "all of these")):
        difference = ours[:, column] - theirs[:, column]
        half = t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5
        middle = difference.mean()
        told = f"{middle:+.3f}, 95 % interval {middle - half:+.3f} to {middle + half:+.3f}"
        what = f"{name}, accuracy with {count} labels ({told})"
        rows.append(table.Row(what, "", float(ours[:, column].mean()), float(theirs[:, column].mean())))
    return rows
