"""The tests on several versions of MindSpore and Python, each pair in an environment of its own that is then removed.

``.ci/versions`` runs this. It needs the Pythons, as ``python3.10`` on the path or in ``~/.pyenv``, and a package index.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
MINDSPORES = ("2.7.1", "2.8.0", "2.9.0", "2.10.0")
PYTHONS = ("3.10", "3.11", "3.12")
QUICK = (  # what MindSpore or Python could change
    *("tests/models", "tests/training", "tests/features", "tests/engines", "tests/test_predictor.py"),
    *("tests/test_checkpoint.py", "tests/test_package.py", "tests/commands/test_commands.py"),
)
QUICK_EXTRAS = "offline,yaml,tensorboard,tsne,onnx"
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)")


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog=".ci/versions", description=__doc__.partition("\n")[0])
    parser.add_argument("--mindspore", nargs="+", default=MINDSPORES, metavar="VERSION", help="default: %(default)s")
    parser.add_argument("--python", nargs="+", default=PYTHONS, metavar="VERSION", help="default: %(default)s")
    parser.add_argument("--numpy", metavar="VERSION", help='put this NumPy in place of the one that pip chooses: "2.*"')
    parser.add_argument("--all", action="store_true", help="all tests; by default those of MindSpore's rooms, not slow")
    parser.add_argument("--keep-going", action="store_true", help="all failures of a pair, not only the first three")
    parser.add_argument("tests", nargs="*", help="files or folders of tests, in place of the default")
    return parser.parse_args()


def find_python(version):
    """The interpreter of a version; None if there is none."""
    homes = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return shutil.which(f"python{version}") if not homes else str(homes[-1])


def prepare(folder, python, mindspore, options):
    """Make the environment of a pair; why it cannot be made, or an empty text."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    extras = "test" if options.all else QUICK_EXTRAS
    wishes = [[f"mindspore=={mindspore}", f"{ROOT}[{extras}]", "pytest>=7.4", "httpx>=0.27"]]
    if options.numpy:
        wishes.append(["--no-deps", f"numpy=={options.numpy}"])
    for wish in wishes:
        done = subprocess.run([*pip, *wish], capture_output=True, text=True)
        if done.returncode:
            errors = [
                line
                for line in done.stderr.splitlines()
                if "No matching distribution" in line or "Cannot install" in line
            ]
            return (errors or done.stderr.splitlines() or ["pip failed"])[-1].removeprefix("ERROR: ")
    return ""


def test(folder, options):
    """Run the tests with an environment: what came of them, in a few words, and whether all passed."""
    what = options.tests or ([] if options.all else [*QUICK, "-m", "not slow"])
    command = [f"{folder}/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [] if options.keep_going else ["--maxfail=3"]
    started = time.perf_counter()
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*command, *what], cwd=ROOT, env=env, capture_output=True, text=True)
    last = (done.stdout.strip().splitlines() or ["nothing ran"])[-1]
    counts = ", ".join(f"{number} {kind}" for number, kind in COUNT.findall(last)) or last
    if done.returncode:
        print(done.stdout[-20000:], done.stderr[-2000:], sep="\n")
    return f"{counts} in {time.perf_counter() - started:.0f} s", done.returncode == 0


def main():
    """Print a row for each pair, as a table in Markdown; exit code 1 if a test failed."""
    options, rows, is_right = arguments(), [], True
    for mindspore in options.mindspore:
        for version in options.python:
            python = find_python(version)
            with tempfile.TemporaryDirectory(prefix="mstl-versions-") as folder:
                result = prepare(folder, python, mindspore, options) if python else f"no Python {version} here"
                if not result:
                    result, passed = test(folder, options)
                    is_right &= passed
            rows.append(f"| {mindspore} | {version} | {result} |")
            print(rows[-1], flush=True)
    print("\n| MindSpore | Python | tests |\n|---|---|---|", *rows, sep="\n")
    sys.exit(not is_right)


if __name__ == "__main__":
    main()
