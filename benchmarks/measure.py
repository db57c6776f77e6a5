"""Whole processes: how long they take, how much memory, and what they say."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of what the system calls ru_maxrss


@dataclass(frozen=True)
class Done:
    """What a finished process has shown.

    Attributes:
        seconds: From its start to its end.
        peak_mb: Largest resident memory in MB (10^6 bytes), of its largest process where it starts others.
        output: What it wrote to stdout.
    """

    seconds: float
    peak_mb: float
    output: str

    @property
    def answer(self):
        """The last line of the output, which the sides write as JSON."""
        return json.loads(self.output.strip().rpartition("\n")[2])


def run(command, folder, env=None):
    """Run a command to its end in a process of its own.

    Args:
        command: Program and arguments.
        folder: Its working directory.
        env: What is set in its environment on top of this process's; ``None`` as a value unsets.

    Returns:
        A :class:`Done`.

    Raises:
        SystemExit: The command failed; with the end of what it wrote to stderr.
    """
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **(env or {})}
    given = {name: str(value) for name, value in given.items() if value is not None}
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=given, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said, complaint = (read(file) for file in (output, errors))
    if process.returncode:
        end = "\n".join(complaint.strip().splitlines()[-15:])
        raise SystemExit(f"exit code {process.returncode} of {' '.join(command)}\n{end}")
    return Done(seconds, usage.ru_maxrss * RSS_UNIT / 1e6, said)


def read(file):
    """All that was written to an open file."""
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def interleave(sides, repeats):
    """Run all sides in turn, and that several times over: what the machine does meanwhile falls on all of them.

    Args:
        sides: A dict from a side's name to a function that runs it once; it is given the number of the round.
        repeats: Rounds.

    Returns:
        A dict from name to the list of what its function gave.
    """
    results = {name: [] for name in sides}
    for number in range(repeats):
        for name, side in sides.items():
            print(f"round {number + 1} of {repeats}: {name}", file=sys.stderr, flush=True)
            results[name].append(side(number))
    return results


def quickest(runs):
    """Seconds of the quickest of several runs."""
    return min(done.seconds for done in runs)


def largest(runs):
    """MB of the run that needed most."""
    return max(done.peak_mb for done in runs)
