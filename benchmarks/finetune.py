"""Full fine-tuning: a step of forward, backward and Momentum on a batch in memory, against PyTorch eager."""

from benchmarks import setting as settings
from benchmarks.measure import interleave
from benchmarks.table import Row, ratio_at_most

TARGETS = {"resnet18": 1.4, "resnet50": 1.3}


def add_arguments(parser):
    """Add the case's options."""
    settings.add_options(parser, model=None, weights=False, repeats=3)
    parser.add_argument(
        "--models",
        type=settings.names_of(settings.ARCHITECTURES),
        default=settings.ARCHITECTURES,
        help=f"{','.join(settings.ARCHITECTURES)}",
    )
    parser.add_argument("--batch-size", type=settings.positive, default=16)
    parser.add_argument("--steps", type=settings.positive, default=8, help="timed together, after --warmup others")
    parser.add_argument("--warmup", type=settings.positive, default=2)
    parser.add_argument("--mode", choices=("auto", "graph", "pynative"), default="auto", help="of `mstl train`")


def run(options):
    """Measure both sides in turn, print the table, write the JSON."""
    with settings.opened(options) as setting:
        sides = {"limits": setting.limits}
        for model in options.models:
            shared = ["--model", model, "--data", setting.data, "--weights", setting.weights(model)]
            shared += [f"--batch-size={options.batch_size}", f"--steps={options.steps}", f"--warmup={options.warmup}"]
            sides[f"mstl {model}"] = lambda _, shared=shared: setting.run_own("step", *shared, "--mode", options.mode)
            if "torch" in options.against:
                sides[f"PyTorch {model}"] = lambda _, shared=shared: setting.run_torch("step", *shared)
        runs = interleave(sides, options.repeats)
        limits = settings.best_limits(runs.pop("limits"))
        rows = []
        for model in options.models:
            ours, theirs = (runs.get(f"{side} {model}") for side in ("mstl", "PyTorch"))
            what = f"training step, {model}, batch {options.batch_size}"
            if theirs is None:
                rows.append(Row(what, "ms an image", least(ours)))
                continue
            pair = least(ours), least(theirs)
            rows.append(ratio_at_most(TARGETS[model], f"{what} / PyTorch eager", "ms an image", *pair))
            losses = (several[0].answer["losses"] for several in (ours, theirs))
            for when, pair in zip(("first", "last"), ends(*losses), strict=True):
                rows.append(Row(f"loss at the {when} step, {model}", "", *pair))
        settings.report(options, rows, limits, runs)


def least(runs):
    """Milliseconds an image of the quickest run."""
    return min(done.answer["ms_per_image"] for done in runs)


def ends(ours, theirs):
    """The first and the last losses of both sides, which are to be the same work."""
    return (ours[0], theirs[0]), (ours[-1], theirs[-1])
