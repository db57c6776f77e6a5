"""``python -m benchmarks CASE``: measure one thing, print a table, and write the figures as JSON."""

import argparse
import importlib

CASES = {  # command: its module, which has add_arguments and run
    "fixed": "fixed",
    "linear": "linear",
    "finetune": "finetune",
    "extract": "extract",
    "predict": "predict",
    "growth": "growth",
    "startup": "startup",
    "pipeline": "pipeline",
    "check": "data_check",
    "label": "labelling",
}


def build_parser():
    """The parser of all cases; what it gives has ``run``, the case's function of these options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="case", required=True, metavar="CASE")
    for name, module in CASES.items():
        case = importlib.import_module(f"benchmarks.{module}")
        first_line = case.__doc__.partition("\n")[0]
        command = commands.add_parser(name, help=first_line, description=first_line)
        case.add_arguments(command)
        command.set_defaults(run=case.run)
    return parser


if __name__ == "__main__":
    options = build_parser().parse_args()
    options.run(options)
