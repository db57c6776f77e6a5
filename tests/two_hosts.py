"""Two hosts: launchers of msrun with different ``--node_rank``, here on the loopback interface, train together.

``.ci/two_hosts`` takes some minutes: it trains in two processes, each with a cache of its own, for three epochs and
resumes for three more, where the weights must be those of one process that trains for six, and so must a head that is
solved for; then it kills one of them, and the other must end, too.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mstl.checkpoint import read_checkpoint
from tests import narrow
from tests.conftest import environment, write_folder
from tests.training.test_distributed import workers

MODEL = ("--model=resnet18", "--weights=none", "--image-size=32", "--precision=fp32", "--no-report")
OPTIONS = (*MODEL, "--batch-size=4", "--augment=none", "--lr=0.001", "--schedule=constant")
MSRUN = "from mindspore.parallel.cluster.run import main; main()"
HEARTBEAT = "10"  # seconds without a sign of life after which a process counts as dead
PATIENCE = 300  # seconds
TOLERANCE = 1e-5


def launched(root, port, *arguments):
    """A launcher for each of two hosts, of the same training."""
    name = f"PATH={Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    for rank in range(2):
        log = root / f"host-{rank}"
        yield subprocess.Popen(
            [*(sys.executable, "-c", MSRUN, "--worker_num=2", "--local_worker_num=1", "--master_addr=127.0.0.1")]
            + [f"--master_port={port}", f"--node_rank={rank}", "--join=True", f"--log_dir={log}"]
            + ["python", *narrow.command("mstl.train", *arguments)["args"][1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(MSTL_HOME=str(log), MS_NODE_TIMEOUT=HEARTBEAT, **dict([name.split("=", 1)])),
        )


def finished(launchers):
    """Their exit codes."""
    try:
        return [launcher.wait(PATIENCE) for launcher in launchers]
    finally:
        for launcher in launchers:
            launcher.kill()


def trains_like_one(root, port, freeze):
    """Three epochs, and three more: the weights of six in one process."""
    data, together, alone = f"--data={root / 'photos'}", root / f"two-{freeze}", root / f"one-{freeze}"
    common = (*OPTIONS, data, f"--freeze={freeze}")
    assert finished([*launched(root, port, *common, f"--out={together}", "--epochs=3")]) == [0, 0]
    assert finished([*launched(root, port + 1, f"--resume={together}", "--epochs=6")]) == [0, 0]
    subprocess.run(**narrow.command("mstl.train", *common, f"--out={alone}", "--epochs=6"), check=True)
    are_alike(f"{freeze}, three epochs and three resumed ones", together, alone)


def solves_like_one(root, port):
    """What is done by default: a head that is solved for, and a cross-validation."""
    together, alone = root / "two-solved", root / "one-solved"
    common = (*MODEL, f"--data={root / 'photos'}", "--folds=3")
    assert finished([*launched(root, port, *common, f"--out={together}")]) == [0, 0]
    subprocess.run(**narrow.command("mstl.train", *common, f"--out={alone}"), check=True)
    are_alike("a head that is solved for", together, alone)
    assert len({(folder / "folds.csv").read_text().count("\n") for folder in (together, alone)}) == 1


def are_alike(name, together, alone):
    """The weights and the accuracies of two runs are the same."""
    (two, second), (one, first) = (read_checkpoint(folder / "last.ckpt") for folder in (together, alone))
    furthest = max(float(np.abs(one[key].astype(float) - two[key]).max()) for key in one)
    rows = [[row["val_accuracy"] for row in record["resume"]["history"]] for record in (first, second)]
    print(f"{name}: weights differ by {furthest:.2g}")
    assert furthest <= TOLERANCE and rows[0] == rows[1], rows


def ends_together(root, port, rank):
    """One worker is killed: the other ends, and so do both launchers."""
    folder = root / f"dying-{rank}"
    common = (*OPTIONS, f"--data={root / 'photos'}", f"--out={folder}", "--freeze=BN", "--epochs=5000")
    launchers = [*launched(root, port, *common)]
    try:
        started = time.monotonic()
        while not (folder / "history.csv").exists():
            assert time.monotonic() < started + PATIENCE and all(launcher.poll() is None for launcher in launchers)
            time.sleep(0.2)
        (victim,) = (number for number in workers(folder) if b"RANK_ID=%d" % rank in environment_of(number))
        os.kill(victim, signal.SIGKILL)
        started = time.monotonic()
        assert all(finished(launchers))
        print(f"worker {rank} killed: both launchers ended after {time.monotonic() - started:.0f} s")
        assert list(workers(folder)) == []
    finally:
        for number in workers(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def environment_of(number):
    """The environment of a process."""
    return (Path("/proc") / str(number) / "environ").read_bytes().split(b"\0")


def main():
    """Try it all."""
    with tempfile.TemporaryDirectory(prefix="mstl-hosts-") as name:
        root, port = Path(name), 20000 + os.getpid() % 10000
        os.environ["MSTL_HOME"] = str(root / "home")
        write_folder(root / "photos", {"train": 6, "val": 3})
        trains_like_one(root, port, "backbone")
        trains_like_one(root, port + 2, "BN")
        solves_like_one(root, port + 4)
        ends_together(root, port + 5, 0)
        ends_together(root, port + 6, 1)


if __name__ == "__main__":
    main()
