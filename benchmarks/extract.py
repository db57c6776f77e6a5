"""Feature extraction: the frozen backbone on images in memory, against the time that its arithmetic needs."""

import statistics

from benchmarks import setting as settings
from benchmarks.measure import interleave
from benchmarks.table import Row, ratio_at_most

GFLOP = {"resnet18": 3.6, "resnet50": 8.2}  # of an image of 224 x 224: two for each multiplication with addition
LIMIT = 1.4  # times the arithmetic alone, for ResNet-50


def add_arguments(parser):
    """Add the case's options."""
    settings.add_options(parser, repeats=3)
    parser.add_argument(
        "--batch-size", type=settings.positive, default=16, help="images; mstl cuts them up as it likes"
    )
    parser.add_argument("--steps", type=settings.positive, default=8, help="calls that are timed in each round")
    parser.add_argument("--warmup", type=settings.positive, default=2, help="calls before them")


def run(options):
    """Measure both sides and the peak in turn, print the table, write the JSON."""
    with settings.opened(options) as setting:
        shared = ["--model", options.model, "--data", setting.data, "--weights", setting.weights(options.model)]
        shared += [f"--batch-size={options.batch_size}", f"--steps={options.steps}", f"--warmup={options.warmup}"]
        sides = {"limits": setting.limits, "mstl": lambda _: setting.run_own("forward", *shared)}
        if "torch" in options.against:
            sides["PyTorch"] = lambda _: setting.run_torch("forward", *shared)
        runs = interleave(sides, options.repeats)
    limits = settings.best_limits(runs.pop("limits"))
    arithmetic = 1000 * GFLOP[options.model] / limits["gflops"]
    what, unit, needed = f"frozen forward, {options.model}", "ms an image", f"{GFLOP[options.model]} GFLOP at the peak"
    limit = LIMIT if options.model == "resnet50" else None
    times = {side: calls(done) for side, done in runs.items()}
    rows = [ratio_at_most(limit, f"{what} / {needed}", unit, min(times["mstl"]), arithmetic)]
    if "PyTorch" in runs:
        rows.append(Row(f"{what}: PyTorch eager / {needed}", unit, min(times["PyTorch"]), arithmetic))
        rows.append(Row(f"{what} / PyTorch eager", unit, min(times["mstl"]), min(times["PyTorch"])))
        medians = (statistics.median(times[side]) for side in ("mstl", "PyTorch"))
        rows.append(Row(f"{what} / PyTorch eager, medians", unit, *medians))
        rows.append(Row("mean of the features", "", *(runs[side][0].answer["mean"] for side in ("mstl", "PyTorch"))))
    settings.report(options, rows, limits, runs)


def calls(runs):
    """Milliseconds an image of all calls of all rounds."""
    return [each for done in runs for each in done.answer["ms_of_calls"]]
