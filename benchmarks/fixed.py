"""Fixed features: a head trained on a frozen backbone, whole processes, against PyTorch's and MindSpore's tutorials.

mstl trains twice: the first time with nothing kept of any earlier run, the second time with its features cached.
"""

import json
import sys

from benchmarks import setting as settings
from benchmarks.measure import interleave, largest, quickest
from benchmarks.photos import listed
from benchmarks.table import Row, at_most, not_lower, ratio_at_most

FIRST, SECOND, TORCH, TUTORIAL, LIMITS = "mstl, first run", "mstl, second run", "PyTorch", "tutorial", "limits"
UNCAPPED = "tutorial without the AVX2 cap"
AIMED_AT = ("resnet50", 5)  # model and epochs that the targets are meant for
CAP = "ONEDNN_MAX_CPU_ISA"
FEW = 4  # photos of each set that the loop without the cap is given


def add_arguments(parser):
    """Add the case's options."""
    settings.add_options(parser, against=settings.AGAINST)
    parser.add_argument("--epochs", type=settings.positive, default=5)
    parser.add_argument("--batch-size", type=settings.positive, default=18)
    parser.add_argument("--lr", type=float, default=0.01, help="of every side; momentum is 0.9")
    parser.add_argument(
        "--without-cap",
        action="store_true",
        help="also the tutorial's loop without the AVX2 cap, on a few photos; the rest is extrapolated",
    )


def run(options):
    """Measure all sides in turn, print the table, write the JSON."""
    with settings.opened(options) as setting:
        weights = setting.weights(options.model)
        shared = {"epochs": options.epochs, "batch_size": options.batch_size, "lr": options.lr}
        accuracies, homes = {FIRST: [], SECOND: []}, {}

        def mstl(number, which):
            if which == FIRST:
                homes[number] = setting.new_folder("home")
            done, out = settings.mstl_training(
                setting,
                setting.data,
                weights,
                homes[number],
                options.model,
                augment="tutorial",
                optimizer="momentum",
                momentum=0.9,
                schedule="constant",
                **shared,
            )
            history = json.loads((out / "history.json").read_text(encoding="utf-8"))
            accuracies[which].append([row["val_accuracy"] for row in history])
            return done

        theirs = ["--model", options.model, "--data", setting.data, "--weights", weights]
        theirs += [f"--{name.replace('_', '-')}={value}" for name, value in shared.items()]
        sides = {
            LIMITS: setting.limits,
            FIRST: lambda number: mstl(number, FIRST),
            SECOND: lambda number: mstl(number, SECOND),
        }
        if "torch" in options.against:
            sides[TORCH] = lambda number: setting.run_torch("train", *theirs)
        if "tutorial" in options.against:
            sides[TUTORIAL] = lambda number: run_tutorial(setting, theirs, "AVX2")
        runs = interleave(sides, options.repeats)
        limits = settings.best_limits(runs.pop(LIMITS))
        rows = compare(options, runs, accuracies)
        if options.without_cap:
            seconds = extrapolated(setting, theirs, options)
            rows.append(Row(f"first run / {UNCAPPED} (extrapolated)", "s", quickest(runs[FIRST]), seconds))
        settings.report(options, rows, limits, {**runs, "accuracies": [accuracies]})


def run_tutorial(setting, arguments, isa):
    """Run the tutorial's loop, with oneDNN held to an instruction set."""
    return setting.run([sys.executable, "-m", "benchmarks.tutorial_side", *arguments], {CAP: isa})


def extrapolated(setting, arguments, options):
    """Seconds that the tutorial's loop would take without the cap, from one small batch of each set.

    Start, end and building the model are in the time of that short run as they are; what the rest of the photos
    would take is added to it.
    """
    done = run_tutorial(setting, [*arguments, "--epochs=1", "--batches=1", f"--batch-size={FEW}"], "ALL")
    total = done.seconds
    for part, spent in done.answer["seconds"].items():
        count = len(listed(setting.data / part)[0])
        each = spent / min(FEW, count)
        total += each * options.epochs * count - spent
    return total


def compare(options, runs, accuracies):
    """The table of what was measured.

    Args:
        options: The case's options.
        runs: A dict from side to its runs.
        accuracies: A dict from mstl's two runs to a list of accuracies by epoch for each round.
    """
    aimed_at = (options.model, options.epochs) == AIMED_AT
    limits = {(FIRST, TORCH): 0.25, (SECOND, TORCH): 0.06, (FIRST, TUTORIAL): 0.25} if aimed_at else {}
    what, most = f"{options.model}, {options.epochs} epochs", 1200 if aimed_at else None
    rows = []
    for ours in (FIRST, SECOND):
        best = mean([max(epochs) for epochs in accuracies[ours]])
        rows.append(Row(f"{what}: {ours}", "s", quickest(runs[ours])))
        rows.append(at_most(most, f"{what}: {ours}, peak memory", "MB", largest(runs[ours])))
        for other in (name for name in (TORCH, TUTORIAL) if name in runs):
            limit = limits.get((ours, other))
            pair = quickest(runs[ours]), quickest(runs[other])
            rows.append(ratio_at_most(limit, f"{what}: {ours} / {other}", "s", *pair))
            theirs = mean([done.answer["accuracy"] for done in runs[other]])
            rows.append(not_lower(f"{what}: {ours} / {other}, best accuracy", best, theirs))
            pair = largest(runs[ours]), largest(runs[other])
            rows.append(Row(f"{what}: {ours} / {other}, peak memory", "MB", *pair))
    return rows


def mean(values):
    """The mean of some numbers."""
    return sum(values) / len(values)
