"""Interruptions: runs that get a signal at random moments, and what their folders are worth afterwards.

``.ci/interruptions --number 20`` does so 20 times for each of four signals and three settings, and prints the counts.
A third of the moments lie before the end of the first epoch: files are read, features computed, graphs compiled. After
each, the folder must be resumable or be the next run's, no temporary file may be left (after SIGKILL: once it is
resumed), and the second run must end with the history and the weights of a run that was not interrupted.
"""

import argparse
import collections
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from mstl.checkpoint import read_checkpoint
from tests import narrow
from tests.conftest import write_folder

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
COMMON = ("--model=resnet18", "--weights=none", "--image-size=32", "--batch-size=4", "--workers=1", "--no-report")
SETTINGS = {
    "cached": ("--freeze=backbone", "--epochs=60", "--views=2", "--ema=0.9", "--lr=0.01"),
    "layer3": ("--freeze=layer3", "--epochs=12", "--optimizer=adamw", "--lr=0.001"),
    "none": ("--freeze=none", "--epochs=6", "--augment=light", "--lr=0.001"),
}
TOLERANCE = 1e-6
PLACES = (0.04, 0.29, 0.67)  # shares of the moments: in the import, before the end of the first epoch, later
PATIENCE = 300  # seconds, for a machine that has other things to do


class Bench:
    """Images, and for each setting the run that was not interrupted.

    Attributes:
        seconds: For each setting how long the import, then the first epoch with all before it, and a later epoch took
            when that was last seen: other work of the machine comes and goes.
    """

    def __init__(self, root, images=12, more=(), patience=PATIENCE):
        self.root, self.more, self.patience = root, more, patience
        self.data = write_folder(root / "images", {"train": images, "val": 4})
        self.whole, self.seconds = {}, {}

    def start(self, name, out, *more):
        """Start a run, with a feature cache of its own."""
        options = more or (f"--data={self.data}", f"--out={out}", *COMMON, *SETTINGS[name], *self.more)
        command = narrow.command("mstl.train", *options)
        command["env"]["MSTL_HOME"] = str(out.with_name(f"{out.name}-home"))
        return subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def uninterrupted(self, name):
        """The folder of the run that was not interrupted, and its number of epochs."""
        if name not in self.whole:
            out = self.root / f"{name}-whole"
            process = self.start(name, out)
            self.follow(process, name, 2)
            output = process.communicate(timeout=self.patience)
            assert process.returncode == 0, output
            self.whole[name] = out, len(history(out))
        return self.whole[name]

    def follow(self, process, name, epoch):
        """Wait until a run that was just started has finished an epoch, and note how long that took."""
        times = [time.monotonic()]
        for line in (narrow.IMPORTED, "epoch 1/", *([f"epoch {epoch}/"] if epoch > 1 else [])):
            wait_for(process, line)
            times.append(time.monotonic())
        importing, preparing, *later = np.diff(times)
        each = later[0] / (epoch - 1) if later else self.seconds[name][2]
        self.seconds[name] = importing, preparing, each

    def interrupt(self, name, number, rng, case):
        """Send a signal at a random moment, and check everything; what happened, in words.

        The moment is some time after the start, the import or a random epoch: it should not depend on what else the
        machine has to do.
        """
        whole, epochs = self.uninterrupted(name)
        out = self.root / f"{name}-{case}"
        process = self.start(name, out)
        where = rng.choice(3, p=PLACES)
        if where == 1:
            wait_for(process, narrow.IMPORTED)
        elif where == 2:
            self.follow(process, name, rng.integers(1, epochs))
        time.sleep(rng.uniform(0, self.seconds[name][where]))
        process.send_signal(number)
        _, errors = process.communicate(timeout=self.patience)
        if process.returncode == 0:
            outcome = "finished before"
        elif number == signal.SIGKILL or (process.returncode < 0 and not out.exists()):
            assert process.returncode == -number, (process.returncode, errors)
            outcome = "killed" if out.exists() else "at start-up"
        elif "Traceback" in errors and not out.exists():  # Python itself was still starting
            outcome = "at start-up"
        else:
            assert process.returncode == 128 + number, (process.returncode, errors)
            assert "Traceback" not in errors and "stopped " in errors, errors
            outcome = "stopped"
        if number != signal.SIGKILL:
            assert left_over(out) == [], left_over(out)
        if not (out / "last.ckpt").exists():
            assert number == signal.SIGKILL or not out.exists()
            if (out / "best.ckpt").exists():
                return f"{outcome} between the first best.ckpt and last.ckpt"
            output = self.start(name, out).communicate(timeout=self.patience)  # gets the same folder
            assert (out / "last.ckpt").exists(), output
            outcome += ", started again"
        if len(history(out)) < epochs:
            process = self.start(name, out, f"--resume={out}")
            output = process.communicate(timeout=self.patience)
            assert process.returncode == 0, output
            outcome += ", resumed"
        assert left_over(out) == [] or outcome == "killed", left_over(out)
        compare(whole, out)
        return outcome


def wait_for(process, beginning):
    """Read a process's output up to a line that begins so; or to its end, if the process ends without it."""
    for line in process.stdout:
        if line.startswith(beginning):
            break


def left_over(folder):
    """Hidden files in a folder: nothing that is finished is hidden."""
    return sorted(name for name in os.listdir(folder) if name.startswith(".")) if folder.exists() else []


def compare(whole, parts):
    """Check that two runs ended alike."""
    for file in ("last.ckpt", "best.ckpt"):
        (first, one), (second, two) = (read_checkpoint(run / file) for run in (whole, parts))
        assert first.keys() == second.keys()
        for key in first:
            difference = np.abs(first[key].astype(float) - second[key]).max()
            assert difference <= TOLERANCE, (file, key, difference)
        assert one["metrics"]["epoch"] == two["metrics"]["epoch"], file
    for mine, theirs in zip(history(whole), history(parts), strict=True):
        for key in ("epoch", "lr", "train_loss", "val_loss", "val_accuracy"):
            assert abs(mine[key] - theirs[key]) <= TOLERANCE, (key, mine, theirs)


def history(folder):
    """The rows in last.ckpt."""
    return read_checkpoint(folder / "last.ckpt")[1]["resume"]["history"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=2, help="moments for each signal and setting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds after which a run counts as hanging")
    given = parser.parse_args()
    for number in SIGNALS[:3]:  # a shell's background job ignores Ctrl-C, and so would its children
        with contextlib.suppress(ValueError):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    rng, wrong, counts = np.random.default_rng(given.seed), [], collections.Counter()
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        narrow.narrow(patch)
        bench = Bench(Path(root), patience=given.patience)
        for name in given.settings:
            _, epochs = bench.uninterrupted(name)
            importing, preparing, each = bench.seconds[name]
            print(f"{name}: {importing:.1f} s, {preparing:.1f} s, then {epochs} epochs of {each:.2f} s", flush=True)
            for number in SIGNALS:
                for index in range(given.number):
                    try:
                        outcome = bench.interrupt(name, number, rng, f"{number.name}-{index}")
                    except (AssertionError, subprocess.TimeoutExpired) as error:
                        outcome = "WRONG"
                        wrong.append(f"{name} {number.name} {index}: {str(error)[:2000]}")
                    counts[name, number.name, outcome] += 1
                    print(f"{name:8}{number.name:9}{outcome}", flush=True)
    print("\n".join(["", *(f"{' '.join(key)}: {count}" for key, count in sorted(counts.items())), *wrong]))
    print(f"{sum(counts.values())} interruptions, {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
