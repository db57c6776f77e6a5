"""Damaged weights: files of every format with bytes flipped, cut, inserted, overwritten, and what mstl makes of them.

``.ci/damaged_weights --number 2000`` makes that many, each by a seed, gives them to ``build_model`` (as ``--weights``
does) and to ``mstl convert``, and prints the counts. Each must be loaded, with numbers that are finite, or refused in
one line; within 5 seconds, without a crash, and without more than 1.5 GB of memory. Only a zip, and a .ckpt with a
checksum, tell that their numbers have changed: of other files, numbers that are wrong but finite are loaded.
"""

import argparse
import collections
import json
import logging
import queue
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from mstl import MstlError, Preprocessing, build_model
from mstl.checkpoint import read_checkpoint, save_checkpoint
from mstl.commands import convert_command
from mstl.models import key_mapping
from mstl.models.resnet import ResNet
from tests.conftest import environment
from tests.narrow import narrow
from tests.torch_writer import write_legacy, write_zip

CLASSES = 5
SECONDS, BYTES = 5, 1.5e9  # that a file may take
START = 120  # seconds for a process to start, on a machine that has other things to do
RECORD = {"model": "resnet18", "padding": "symmetric", "pool_padding": "same", "classes": ["a", "b", "c", "d", "e"]}


def shrink(patch):
    """A resnet18 so small that much of its files is names and shapes."""
    narrow(patch)
    patch.setattr(ResNet, "width", 4)
    patch.setattr(key_mapping, "recognise", is_resnet18)


def is_resnet18(shapes):
    """Stand in for ``recognise``, which knows a resnet18 by its width, too."""
    return "resnet18" if "layer1.0.conv1.weight" in shapes else None


def torch_names(values):
    """The parameters by torchvision's names."""
    ends = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    renamed = {}
    for name, value in values.items():
        path, _, end = name.replace("down_sample", "downsample").replace("norm", "bn").rpartition(".")
        renamed[f"{'bn1' if path == 'bn' else path}.{ends.get(end, end)}"] = value
    return renamed


def write_sound(folder):
    """Write a sound file in each format; their paths, and the parameters that they hold."""
    rng = np.random.default_rng(0)
    values = {}
    for parameter in build_model("resnet18", CLASSES).get_parameters():
        values[parameter.name] = rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32)
    record = {**RECORD, "preprocessing": Preprocessing().to_dict()}
    foreign = torch_names(values)
    entries = [{"name": name, "data": ms.Tensor(value)} for name, value in values.items()]
    save_checkpoint(folder / "own.ckpt", values, record)
    save_checkpoint(folder / "own.safetensors", values, record)
    ms.save_checkpoint(entries, str(folder / "checksum.ckpt"), crc_check=True)
    save_file(foreign, folder / "plain.safetensors")
    write_zip(folder / "zip.pth", {"epoch": 3, "state_dict": {f"module.{name}": v for name, v in foreign.items()}})
    write_legacy(folder / "legacy.pth", foreign)
    return sorted(folder.iterdir()), values


def flip(data, rng):
    """1 to 8 bits are wrong."""
    for place in places(data, rng, rng.integers(1, 9)):
        data[place] ^= 1 << rng.integers(8)


def cut(data, rng):
    """The file ends early, or a piece is missing."""
    first, last = sorted(rng.integers(len(data), size=2))
    del data[first : last if rng.integers(2) else len(data)]


def insert(data, rng):
    """Up to 64 bytes too many."""
    place = places(data, rng, 1)[0]
    data[place:place] = rng.bytes(rng.integers(1, 65))


def overwrite(data, rng):
    """Up to 64 bytes are others: random ones, or all zeros or ones, as where a disk is broken."""
    for place in places(data, rng, 1):
        size = min(int(rng.integers(1, 65)), len(data) - place)
        data[place : place + size] = (rng.bytes(size), b"\0" * size, b"\xff" * size)[rng.integers(3)]


def head(data, rng):
    """The first bytes are others."""
    data[: rng.integers(1, 33)] = rng.bytes(rng.integers(1, 33))


def noise(data, rng):
    """Random bytes, some after a beginning that is right."""
    kept = rng.integers(200) * rng.integers(2)
    data[kept:] = rng.bytes(rng.integers(1, 20_000))


DAMAGES = (flip, flip, flip, cut, insert, overwrite, head, noise)


def places(data, rng, count):
    """Places in a file: half of them where names and shapes are, at the beginning or the end."""
    near = min(len(data), 6000)
    where = rng.integers(4, size=count)
    anywhere, start = rng.integers(len(data), size=count), rng.integers(near, size=count)
    return np.select([where == 0, where == 1], [start, len(data) - 1 - start], anywhere)


def damaged(sound, seed):
    """A damaged copy of one of the sound files: its name, the kind of damage, and its bytes."""
    rng = np.random.default_rng([17, seed])
    path = sound[seed % len(sound)]
    damage = DAMAGES[rng.integers(len(DAMAGES))]
    data = bytearray(path.read_bytes())
    damage(data, rng)
    return path.name, damage.__name__, bytes(data)


def load(path, values):
    """What ``--weights`` makes of a file, in a word; wrong is whatever is neither finite nor refused in one line."""
    try:
        model = build_model("resnet18", CLASSES, str(path))
    except MstlError as error:
        assert "\n" not in str(error) and str(path) in str(error), str(error)
        return "refused"
    now = {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}
    for name, value in now.items():
        assert np.isfinite(value).all(), name
    changed = {name.partition(".")[0] for name, value in now.items() if not np.array_equal(value, values[name])}
    if not changed:
        return "loaded, as it was"
    return "loaded, another head" if changed == {"fc"} else "loaded, other numbers"


def convert(path, target):
    """What ``mstl convert`` makes of a file, in a word."""
    done = CliRunner().invoke(convert_command.main, [str(path), str(target)])
    if done.exit_code == 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("mstl: error:")]
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
        assert not target.exists(), "half written"
        return "refused"
    assert done.exit_code == 0, done.output
    arrays, record = read_checkpoint(target)
    assert record["model"] == "resnet18" and all(np.isfinite(array).all() for array in arrays.values())
    target.unlink()
    return "converted"


def check(folder, sound, values, seed):
    """Damage a file, load and convert it; its name, the damage, and what became of it."""
    name, damage, data = damaged(sound, seed)
    path = folder / f"{seed}-{name}"
    path.write_bytes(data)
    outcome = load(path, values)
    other = convert(path, folder / "converted.safetensors")
    assert (outcome == "refused") == (other == "refused"), (outcome, other)
    path.unlink()
    return name, damage, outcome


def work(seeds):
    """Check files, in the process that may crash: a line of JSON before each, and one after."""
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        folder = Path(root)
        (folder / "sound").mkdir()
        sound, values = write_sound(folder / "sound")
        for path in sound:
            assert load(path, values) == "loaded, as it was", path
        for seed in seeds:
            print(json.dumps([seed]), flush=True)
            try:
                result = check(folder, sound, values, seed)
            except Exception as error:  # whatever is raised is wrong
                result = (*damaged(sound, seed)[:2], f"WRONG: {error!r}"[:500])
            print(json.dumps([seed, *result, most_memory()]), flush=True)


def most_memory():
    """The most memory that this program has taken, in bytes; not by getrusage, which counts the one that forked it."""
    status = Path("/proc/self/status")
    if not status.exists():  # not on Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def results(seeds):
    """For each seed, what became of its file; a process that crashes, hangs or grows too large is started anew."""
    while seeds:
        command = [sys.executable, "-m", "tests.damaged_weights", "--worker", *map(str, (seeds.start, seeds.stop))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
        lines = queue.Queue()
        threading.Thread(target=read_lines, args=(process, lines), daemon=True).start()
        seed, patience = None, START
        try:
            while (line := lines.get(timeout=patience)) is not None:
                seed, *result = json.loads(line)
                patience = 2 * SECONDS  # for two ways to read the file
                if result:
                    *result, memory = result
                    seeds = range(seed + 1, seeds.stop)
                    yield (*result[:2], f"WRONG: {memory / 1e9:.1f} GB" if memory > BYTES else result[2]), seed
                    if memory > BYTES:
                        break
        except queue.Empty:
            yield ("", "", f"WRONG: more than {patience} s"), seed
            seeds = range(seeds.start + 1, seeds.stop)
        process.kill()
        if process.wait() and seeds and line is None:
            assert seed is not None, "the process did not start"
            yield ("", "", f"WRONG: it crashed ({process.returncode})"), seed
            seeds = range(seed + 1, seeds.stop)


def read_lines(process, lines):
    """Queue the lines that a process prints, and None when it has ended."""
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=200, help="damaged files")
    parser.add_argument("--seed", type=int, default=0, help="the first one's; the next has the next")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(range(*given.worker))
        return
    counts, wrong = collections.Counter(), []
    for (name, damage, outcome), seed in results(range(given.seed, given.seed + given.number)):
        if outcome.startswith("WRONG"):
            wrong.append(f"seed {seed}, {name} {damage}: {outcome}")
            outcome = "WRONG"
        counts[name, damage, outcome] += 1
    for key, count in sorted(counts.items()):
        print(f"{count:6} {'  '.join(f'{part:12}' for part in key)}")
    totals = collections.Counter()
    for (_, _, outcome), count in counts.items():
        totals[outcome] += count
    print("\n".join([*wrong, *(f"{count:6} {outcome}" for outcome, count in totals.most_common())]))
    print(f"{totals.total()} damaged files (seeds {given.seed} to {given.seed + given.number - 1}), {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
