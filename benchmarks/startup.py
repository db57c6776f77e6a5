"""Start-up: what one waits for before anything is computed."""

import sys

from benchmarks import measure, setting
from benchmarks.table import at_most

COMMANDS = {  # what is run: its arguments to Python, and the seconds it may take
    "python -c pass": (("-c", "pass"), None),
    'python -c "import mstl"': (("-c", "import mstl"), None),
    "mstl --help": (("-m", "mstl", "--help"), 0.3),
    "mstl train --help": (("-m", "mstl", "train", "--help"), None),
}


def add_arguments(parser):
    """Add the case's options."""
    setting.add_output_options(parser, repeats=7)


def run(options):
    """Run each in turn, print the table, write the JSON."""
    sides = {
        what: lambda _, arguments=arguments: measure.run([sys.executable, *arguments], measure.ROOT)
        for what, (arguments, _) in COMMANDS.items()
    }
    runs = measure.interleave(sides, options.repeats)
    rows = [at_most(limit, what, "s", measure.quickest(runs[what])) for what, (_, limit) in COMMANDS.items()]
    times = {what: [done.seconds for done in several] for what, several in runs.items()}
    setting.report(options, rows, runs=times)
