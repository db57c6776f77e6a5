"""Feature extraction: the frozen backbone on images in memory, against the time that its arithmetic needs.

mstl computes it by each engine that is installed; beside it stand ONNX Runtime alone, with the same graph, and PyTorch.
"""

import statistics
import sys

from benchmarks import setting as settings
from benchmarks.measure import interleave
from benchmarks.table import Row, ratio_at_most

GFLOP = {  # of an image of 224 x 224: two for each multiplication with addition
    "efficientnet_lite0": 0.77,
    "resnet18": 3.6,
    "resnet50": 8.2,
}
FP32, BF16, ALONE, TORCH = "onnxruntime fp32", "openvino bf16", "ONNX Runtime alone", "PyTorch eager"
PEAK_LIMITS = {("resnet50", FP32): 1.0, ("resnet50", BF16): 0.55}  # times the arithmetic alone
ALONE_LIMIT = 1.05


def add_arguments(parser):
    """Add the case's options."""
    settings.add_options(parser, repeats=3, models=tuple(GFLOP))
    parser.add_argument(
        "--batch-size", type=settings.positive, default=16, help="images; mstl cuts them up as it likes"
    )
    parser.add_argument("--steps", type=settings.positive, default=8, help="calls that are timed in each round")
    parser.add_argument("--warmup", type=settings.positive, default=2, help="calls before them")


def run(options):
    """Measure all sides and the peak in turn, print the table, write the JSON."""
    with settings.opened(options) as setting:
        weights, graph = setting.weights(options.model), setting.folder / "graph.onnx"
        loop = ["--data", setting.data]
        loop += [f"--batch-size={options.batch_size}", f"--steps={options.steps}", f"--warmup={options.warmup}"]
        shared = ["--model", options.model, "--weights", weights, *loop]
        sides = {"limits": setting.limits}
        for engine, precision in setting.run_own("engines", "--weights", weights).answer:
            named = [f"--engine={engine}", f"--precision={precision}"]
            sides[f"{engine} {precision}"] = lambda _, named=named: setting.run_own("forward", *shared, *named)
        if FP32 in sides:
            setting.run_own("graph", "--model", options.model, "--weights", weights, "--out", graph)
            command = [sys.executable, "-m", "benchmarks.onnx_side", graph, *loop]
            sides[ALONE] = lambda _: setting.run(command)
        if "torch" in options.against and options.model != settings.LITE0:
            sides[TORCH] = lambda _: setting.run_torch("forward", *shared)
        runs = interleave(sides, options.repeats)
    limits = settings.best_limits(runs.pop("limits"))
    settings.report(options, compare(options.model, runs, limits), limits, runs)


def compare(model, runs, limits):
    """The table of what was measured.

    Args:
        model: The architecture.
        runs: A dict from each side to its runs.
        limits: The machine's own.
    """
    arithmetic = 1000 * GFLOP[model] / limits["gflops"]
    what, unit, needed = f"frozen forward, {model}", "ms an image", f"{GFLOP[model]} GFLOP at the peak"
    times = {side: calls(done) for side, done in runs.items()}
    ours = [side for side in runs if side not in (ALONE, TORCH)]
    rows = []
    for side in runs:
        limit = PEAK_LIMITS.get((model, side))
        rows.append(ratio_at_most(limit, f"{what}: {side} / {needed}", unit, min(times[side]), arithmetic))
    for side in ours:
        for other in (name for name in (ALONE, TORCH) if name in runs):
            limit = ALONE_LIMIT if (side, other) == (FP32, ALONE) else None
            pair = min(times[side]), min(times[other])
            rows.append(ratio_at_most(limit, f"{what}: {side} / {other}", unit, *pair))
            medians = statistics.median(times[side]), statistics.median(times[other])
            rows.append(Row(f"{what}: {side} / {other}, medians", unit, *medians))
    means = {side: done[0].answer["mean"] for side, done in runs.items()}
    rows += [Row(f"mean of the features: {side} / {ours[0]}", "", means[side], means[ours[0]]) for side in [*runs][1:]]
    return rows


def calls(runs):
    """Milliseconds an image of all calls of all rounds."""
    return [each for done in runs for each in done.answer["ms_of_calls"]]
