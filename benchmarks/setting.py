"""What the cases share: their options, the photos and weights that all sides get, and the commands of the sides."""

import argparse
import contextlib
import datetime
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import machine, measure, photos, table

RESULTS = measure.ROOT / "build" / "benchmarks"  # git ignores build/
ARCHITECTURES = ("resnet18", "resnet50")  # of torch_net.py
LITE0 = "efficientnet_lite0"  # whose weights come with a package
AGAINST = ("torch", "tutorial")


def add_options(parser, against=("torch",), model="resnet50", repeats=2, weights=True, models=ARCHITECTURES):
    """Add the options that most cases have.

    Args:
        parser: A case's parser.
        against: Whom it can be compared with; all of them unless the user says otherwise.
        model: The default architecture; None for no such option.
        repeats: How often everything is measured, unless the user says otherwise.
        weights: Whether the user may give a weights file.
        models: The architectures to choose from.
    """
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/ and val/")
    if model:
        parser.add_argument("--model", choices=models, default=model)
    if weights:
        known = f"; {LITE0} has its own" if LITE0 in models else ""
        help_text = f"a .pth under torchvision's names; random ones if not given{known}"
        parser.add_argument("--weights", type=Path, help=help_text)
    if against:
        parser.add_argument(
            "--against", type=names_of(against), default=against, help=f"of {','.join(against)}; '' for nobody"
        )
    parser.add_argument(
        "--torch-python", type=interpreter, default=sys.executable, help="an interpreter with PyTorch; this one"
    )
    add_output_options(parser, repeats)


def add_output_options(parser, repeats):
    """Add the options that all cases have."""
    parser.add_argument("--repeats", type=positive, default=repeats, help=f"rounds; the best counts ({repeats})")
    parser.add_argument("--out", type=Path, help="the JSON file; build/benchmarks/<case>.json")


def names_of(known):
    """An argument type: names out of ``known``, with commas between."""

    def parse(text):
        names = tuple(filter(None, text.split(",")))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return parse


def interpreter(text):
    """An argument type: a program's path, which must not depend on the folder that it is called from."""
    return os.path.abspath(shutil.which(text) or text)


def positive(text):
    """An argument type: a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


class Setting:
    """The photos, the weights and the commands of one case, in a temporary folder.

    Args:
        options: The case's options.
        folder: The temporary folder.

    Attributes:
        data: The readable photos of ``--data``.
    """

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.data = photos.clean_copy(options.data, folder / "data")

    def weights(self, model):
        """The weights file that every side starts from: the user's, or random ones that PyTorch has fitted.

        Those of EfficientNet-Lite0 are published, and mstl knows where they are.
        """
        given = getattr(self.options, "weights", None)
        if model == LITE0 and not given:
            return Path(self.run_mstl("weights", "path", model, home=self.folder).output.strip())
        path = given.resolve() if given else self.folder / f"{model}.pth"
        if not path.exists():
            self.run_torch("weights", "--model", model, "--data", self.data, "--out", path)
        return path

    def new_folder(self, name):
        """An empty folder of this name, whatever was there before."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def run(self, command, env=None):
        """Run a command in the temporary folder; see :func:`benchmarks.measure.run`."""
        return measure.run(command, self.folder, env)

    def run_mstl(self, *arguments, home):
        """Run an mstl command, such as ``"train"``, with this folder for what it keeps."""
        return self.run([sys.executable, "-m", "mstl", *arguments], {"MSTL_HOME": home})

    def run_own(self, *arguments):
        """Run a part of mstl by ``benchmarks.mstl_side``."""
        return self.run([sys.executable, "-m", "benchmarks.mstl_side", *arguments])

    def run_torch(self, *arguments):
        """Run ``benchmarks.torch_side`` by the interpreter that has PyTorch."""
        return self.run([self.options.torch_python, "-m", "benchmarks.torch_side", *arguments])

    def limits(self, _number=0):
        """What the machine can do now: a dict with ``gflops`` and ``photos_per_second``."""
        return self.run([sys.executable, "-m", "benchmarks.machine", self.data]).answer


def mstl_training(setting, data, weights, home, model, **options):
    """Train a head on frozen features by ``mstl train``.

    Args:
        setting: The :class:`Setting`.
        data: A folder with ``train/`` and ``val/``.
        weights: A weights file.
        home: The folder for what mstl keeps.
        model: The architecture.
        **options: Of ``mstl train``.

    Returns:
        The :class:`benchmarks.measure.Done`, and the run's folder.
    """
    out = setting.new_folder("run")
    chosen = {"data": data, "model": model, "weights": weights, "freeze": "backbone", "views": 1, **options, "out": out}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    # an existing folder would make mstl take another name; this one is only known to be free now
    out.rmdir()
    return setting.run_mstl("train", *arguments, home=home), out


@contextlib.contextmanager
def opened(options):
    """A :class:`Setting` in a temporary folder that is removed at the end.

    Raises:
        SystemExit: The interpreter that is to have PyTorch has none.
    """
    wants_torch = "torch" in getattr(options, "against", ()) or not getattr(options, "weights", None)
    wants_torch = wants_torch and getattr(options, "model", None) != LITE0
    if wants_torch and not torch_version(options.torch_python):
        raise SystemExit(
            f"{options.torch_python} has no PyTorch: give --torch-python; without it, only cases with --weights run, "
            "and nothing can be measured against torch"
        )
    with tempfile.TemporaryDirectory(prefix="mstl-benchmarks-") as temporary:
        yield Setting(options, Path(temporary))


def torch_version(python):
    """The version of PyTorch that an interpreter has; "" for none."""
    code = "from importlib.metadata import version; print(version('torch'))"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def best_limits(measured):
    """The machine's limits out of several measurements: the best of each."""
    return {name: max(limits[name] for limits in measured) for name in measured[0]}


def report(options, rows, limits=None, runs=None):
    """Print the table and write the JSON.

    Args:
        options: The case's options.
        rows: The table.
        limits: The machine's own limits, from :func:`best_limits`.
        runs: A dict from each side to its runs, as they were measured.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    record = {
        "case": options.case,
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "options": {name: value for name, value in vars(options).items() if name not in ("run", "case")},
        "machine": {"processor": machine.processor(), "cores": machine.cores(), "load_after": load, **(limits or {})},
        "versions": versions(options),
        "runs": {
            name: [vars(one) if isinstance(one, measure.Done) else one for one in several]
            for name, several in (runs or {}).items()
        },
    }
    path = options.out or RESULTS / f"{options.case}.json"
    table.write(path, record, rows)
    print(f"{record['machine']['processor']}, {machine.cores()} cores, load after {load:.1f}")
    print(", ".join(f"{name} {version}" for name, version in record["versions"].items()))
    if limits:
        print(
            f"limits: {limits['gflops']:.0f} GFLOP/s (float32 matrix product), "
            f"{limits['photos_per_second']:.0f} photos/s decoded"
        )
    print(f"\n{table.markdown(rows)}\n\nwritten: {path}")


def versions(options):
    """Versions of what was measured."""
    found = {"python": sys.version.split()[0], "mstl": importlib.metadata.version("mstl")}
    for package in ("mindspore", "onnxruntime", "openvino", "scikit-learn"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    torch = torch_version(options.torch_python) if hasattr(options, "torch_python") else ""
    return {**found, "torch": torch} if torch else found
