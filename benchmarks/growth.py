"""Fixed features on more and more photos: how memory and cost grow."""

from benchmarks import setting as settings
from benchmarks.measure import interleave, largest, quickest
from benchmarks.photos import varied
from benchmarks.table import Row, at_most, ratio_at_most

MEMORY = (400, 4000)  # photos that the target for memory is meant for
MORE_MB = 100
COST = 1.05  # times as many photos may cost that much more than times as much


def add_arguments(parser):
    """Add the case's options."""
    settings.add_options(parser, against=(), repeats=1)
    parser.add_argument("--counts", type=settings.positive, nargs=2, default=list(MEMORY), help="photos, few and many")
    parser.add_argument("--size", type=settings.positive, nargs=2, default=[320, 240], help="of a photo, in pixels")
    parser.add_argument("--epochs", type=settings.positive, default=5)


def run(options):
    """Train on few and on many photos, each with nothing kept and then again, print the table, write the JSON."""
    with settings.opened(options) as setting:
        weights, homes = setting.weights(options.model), {}

        def train(count, which):
            if which == "first":
                homes[count] = setting.new_folder(f"home-{count}")
            data = setting.folder / f"data-{count}"
            return settings.mstl_training(setting, data, weights, homes[count], options.model, epochs=options.epochs)[0]

        sides = {"limits": setting.limits}
        for count in options.counts:
            varied(setting.data, count, setting.folder / f"data-{count}", tuple(options.size))
            for which in ("first", "second"):
                sides[f"{which} run, {count}"] = lambda _, count=count, which=which: train(count, which)
        runs = interleave(sides, options.repeats)
    limits = settings.best_limits(runs.pop("limits"))
    settings.report(options, compare(options, runs), limits, runs)


def compare(options, runs):
    """The table of what was measured: ``runs`` is a dict from such as ``"first run, 400"`` to runs."""
    few, many = options.counts
    rows = []
    for which in ("first", "second"):
        small, large = (runs[f"{which} run, {count}"] for count in (few, many))
        what = f"{options.model}, {which} run"
        limit = COST * many / few if which == "first" else None
        rows.append(ratio_at_most(limit, f"{what}: {many:,} / {few:,} photos", "s", quickest(large), quickest(small)))
        for count, several in ((few, small), (many, large)):
            rows.append(Row(f"{what}: peak memory, {count:,} photos", "MB", largest(several)))
        more, wanted = largest(large) - largest(small), MORE_MB if (few, many) == MEMORY else None
        rows.append(at_most(wanted, f"{what}: memory for {many - few:,} more photos", "MB", more))
    return rows
