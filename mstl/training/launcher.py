"""Several processes on this machine, started by MindSpore's ``msrun``."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mstl.errors import MstlError
from mstl.runtime.devices import cores

MSRUN = "from mindspore.parallel.cluster.run import main; main()"


def launch(count, arguments):
    """Run ``python -m mstl.train`` in several processes and show what the first one prints.

    Args:
        count: Processes.
        arguments: Of the command line, without ``--nproc``.

    Raises:
        MstlError: More processes than cores, or a process that failed (all others are ended then).
    """
    if count > cores():
        raise MstlError(f"--nproc {count} is more than the {cores()} cores of this machine; use --nproc {cores()}")
    logs = Path(tempfile.mkdtemp(prefix="mstl-logs-"))
    command = [sys.executable, "-c", MSRUN, f"--worker_num={count}", f"--local_worker_num={count}", "--join=True"]
    command += [f"--master_port={free_port()}", f"--log_dir={logs}", "python", "-m", "mstl.train", *arguments]
    # msrun starts whatever "python" is first on the path: let it be this one
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with open(logs / "msrun.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path})
        try:
            follow(logs / "worker_0.log", process)
        except KeyboardInterrupt:
            process.wait()
            raise
    if process.returncode != 0:
        raise MstlError(f"{reason(logs)} (all {count} processes were ended; their logs are in {logs})")
    shutil.rmtree(logs)


def free_port():
    """A TCP port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def follow(path, process):
    """Print a growing file until a process has ended."""
    while process.poll() is None and not path.exists():
        time.sleep(0.1)
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        while True:
            ended = process.poll() is not None
            text = file.read()
            if text:
                lines = [line for line in text.splitlines(keepends=True) if not is_noise(line)]
                print("".join(lines), end="", flush=True)
            if ended:
                return
            time.sleep(0.2)


def is_noise(line):
    """Whether a line is of MindSpore's own log, or the error that is given once for all processes."""
    return bool(re.match(r"\[(WARNING|INFO|ERROR|CRITICAL)\]|mstl: error: ", line))


def reason(logs):
    """The line that says why a process failed."""
    for path in sorted(logs.glob("worker_*.log")):
        found = re.findall(r"^mstl: error: (.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if found:
            return found[-1]
    return "a process of the run was killed or broke down"
