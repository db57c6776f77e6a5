"""Fixed features: a head trained on a frozen backbone, whole processes, against PyTorch's and MindSpore's tutorials.

mstl trains twice: the first time with nothing kept of any earlier run, the second time with its features cached.
"""

import functools
import itertools
import json
import sys

from benchmarks import setting as settings
from benchmarks.measure import interleave, largest, quickest
from benchmarks.photos import listed
from benchmarks.table import Row, at_most, not_lower, ratio_at_most

FIRST, SECOND, TORCH, TUTORIAL, LIMITS = "mstl, first run", "mstl, second run", "PyTorch", "tutorial", "limits"
UNCAPPED = "tutorial without the AVX2 cap"
AIMED_AT = ("resnet50", 5)  # model and epochs that the targets are meant for
FIRST_LIMITS = {("3", "fp32"): 0.20, ("3", "bf16"): 0.12, ("1", "fp32"): 0.13}  # against PyTorch
SECOND_LIMIT = 0.025
CAP = "ONEDNN_MAX_CPU_ISA"
FEW = 4  # photos of each set that the loop without the cap is given


def add_arguments(parser):
    """Add the case's options."""
    settings.add_options(parser, against=settings.AGAINST)
    parser.add_argument("--epochs", type=settings.positive, default=5)
    parser.add_argument("--batch-size", type=settings.positive, default=18)
    parser.add_argument("--lr", type=float, default=0.01, help="of every side; momentum is 0.9")
    parser.add_argument("--views", nargs="+", default=["3"], help="of mstl; several are compared")
    parser.add_argument("--precision", nargs="+", default=["auto"], help="of mstl: auto, fp32, bf16; several, too")
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
        kinds = list(itertools.product(options.views, options.precision))
        accuracies, homes = {(which, *kind): [] for which in (FIRST, SECOND) for kind in kinds}, {}

        def mstl(number, which, views, precision):
            if which == FIRST:
                homes[number, views, precision] = setting.new_folder("home")
            done, out = settings.mstl_training(
                setting,
                setting.data,
                weights,
                homes[number, views, precision],
                options.model,
                augment="tutorial",
                optimizer="momentum",
                momentum=0.9,
                schedule="constant",
                views=views,
                precision=precision,
                **shared,
            )
            history = json.loads((out / "history.json").read_text(encoding="utf-8"))
            accuracies[which, views, precision].append([row["val_accuracy"] for row in history])
            return done

        theirs = ["--model", options.model, "--data", setting.data, "--weights", weights]
        theirs += [f"--{name.replace('_', '-')}={value}" for name, value in shared.items()]
        sides = {LIMITS: setting.limits}
        for kind in kinds:
            sides |= {
                (which, *kind): functools.partial(mstl, which=which, views=kind[0], precision=kind[1])
                for which in (FIRST, SECOND)
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
            first = quickest(runs[(FIRST, *kinds[0])])
            rows.append(Row(f"first run / {UNCAPPED} (extrapolated)", "s", first, seconds))
        named = {side if isinstance(side, str) else named_side(*side): done for side, done in runs.items()}
        epochs = {named_side(*side): values for side, values in accuracies.items()}
        settings.report(options, rows, limits, {**named, "accuracies": [epochs]})


def named_side(which, views, precision):
    """One of mstl's runs, in words."""
    return f"{which}, {views} view{'s' if views != '1' else ''}, {precision}"


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
        accuracies: A dict from mstl's runs, as (which, views, precision), to a list of accuracies by epoch for each
            round.
    """
    aimed_at = (options.model, options.epochs) == AIMED_AT
    what, most = f"{options.model}, {options.epochs} epochs", 1200 if aimed_at else None
    rows = []
    for side, epochs in accuracies.items():
        ours, *kind = side
        limits = {TORCH: FIRST_LIMITS.get(tuple(kind)) if ours == FIRST else SECOND_LIMIT} if aimed_at else {}
        best, name = mean([max(each) for each in epochs]), f"{what}: {named_side(*side)}"
        rows.append(Row(name, "s", quickest(runs[side])))
        rows.append(at_most(most, f"{name}, peak memory", "MB", largest(runs[side])))
        for other in (each for each in (TORCH, TUTORIAL) if each in runs):
            pair = quickest(runs[side]), quickest(runs[other])
            rows.append(ratio_at_most(limits.get(other), f"{name} / {other}", "s", *pair))
            theirs = mean([done.answer["accuracy"] for done in runs[other]])
            rows.append(not_lower(f"{name} / {other}, best accuracy", best, theirs))
            rows.append(Row(f"{name} / {other}, peak memory", "MB", largest(runs[side]), largest(runs[other])))
    return rows


def mean(values):
    """The mean of some numbers."""
    return sum(values) / len(values)
