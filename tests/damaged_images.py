"""Damaged images: files of every format with bytes flipped, cut, inserted, overwritten, and what mstl makes of them.

``.ci/damaged_images --number 10000`` writes that many, decided by a seed, among sound ones, and gives the folder to
``mstl data check``, ``train``, ``evaluate`` and ``predict``. Each file must be either used by all four or named by all
four; none may crash, take more than 5 seconds or 1.5 GB, or leave a file behind.
"""

import argparse
import collections
import csv
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from mstl.data.checking.scan import examine
from tests.damage import KINDS, damaged
from tests.narrow import command

FORMATS = {  # by the suffix: how an image is written
    "jpg": ("RGB", "JPEG", {"quality": 85}),
    "progressive.jpg": ("RGB", "JPEG", {"quality": 80, "progressive": True}),
    "exif.jpg": ("RGB", "JPEG", {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"}),
    "grey.jpg": ("L", "JPEG", {}),
    "cmyk.jpg": ("CMYK", "JPEG", {}),
    "png": ("RGB", "PNG", {}),
    "alpha.png": ("RGBA", "PNG", {}),
    "palette.png": ("P", "PNG", {}),
    "gif": ("P", "GIF", {}),
    "webp": ("RGB", "WEBP", {"quality": 80}),
    "lossless.webp": ("RGB", "WEBP", {"lossless": True}),
    "bmp": ("RGB", "BMP", {}),
    "tif": ("RGB", "TIFF", {}),
    "lzw.tif": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "grey16.tif": ("I;16", "TIFF", {}),
}
SECONDS, BYTES = 5, 1.5e9  # that an image may take
UNUSABLE = ("empty", "truncated", "unreadable", "too_large", "too_long", "not_an_image")
CLASSES = ("first", "second")


def scene(rng, label):
    """An image unlike all others; the classes differ in colour."""
    coarse = rng.integers(0, 160, (5, 6, 3), dtype=np.uint8)
    coarse[..., 2 * label] += 90
    smooth = np.asarray(Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC), float)
    return Image.fromarray((smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8))


def encode(image, mode, kind, options):
    """The image as a file's content."""
    file = io.BytesIO()
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8)
    else:
        image = image.convert(mode)
    image.save(file, kind, **options)
    return file.getvalue()


def write_images(root, number, seed, sound=20):
    """Write damaged images in class folders, in train/ and val/, and sound ones of each class beside them."""
    for index in range(number + sound):
        rng = np.random.default_rng([seed, index])
        label, suffix = index % 2, list(FORMATS)[index // 2 % len(FORMATS)]
        content, kind = encode(scene(rng, label), *FORMATS[suffix]), "sound"
        if index >= sound:
            kind = KINDS[index // (2 * len(FORMATS)) % len(KINDS)]
            content = damaged(content, kind, rng)
        part = "val" if index % 5 == 4 or index in (0, 1) else "train"
        path = root / part / CLASSES[label] / f"{index:05}-{kind}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(root.rglob("*.*"))


def run(module, *arguments, root, accepted=(0,)):
    """Run a command with the narrow model; what it printed."""
    prepared = command(module, *arguments)
    prepared["env"] |= {"MSTL_HOME": str(root / "home")}
    started = time.monotonic()
    done = subprocess.run(**prepared, cwd=root / "cwd", capture_output=True, text=True)
    print(f"{module} {arguments[0]}: exit {done.returncode}, {time.monotonic() - started:.0f} s", flush=True)
    if done.returncode not in accepted or "Traceback" in done.stderr:
        raise AssertionError(f"{arguments}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def column(file, name="path", where=lambda row: True):
    """The set of values in a column of a CSV file, of some rows."""
    with open(file, newline="") as stream:
        return {row[name] for row in csv.DictReader(stream) if where(row)}


def through_all(root, names):
    """Give the images in root/images to all commands; by the command, the files that it used."""
    data, out, best = root / "images", root / "run", root / "run" / "best.ckpt"
    (root / "cwd").mkdir()
    used = {}
    run("mstl", "data", "check", data, "--out", root / "check.csv", root=root, accepted=(0, 3))
    used["check"] = names - column(root / "check.csv", where=lambda row: row["problem"] in UNUSABLE)
    options = ("--model=resnet18", "--weights=none", "--image-size=32", "--batch-size=64", "--epochs=1", "--no-report")
    run("mstl.train", "--data", data, "--out", out, *options, "--freeze=none", "--augment=light", root=root)
    used["train"] = column(out / "manifest.csv", where=lambda row: not row["left_out"])
    named = column(out / "manifest.csv")
    assert named == names, f"train does not name {sorted(names ^ named)[:5]}"
    answers = map(
        json.loads, run("mstl", "predict", best, data, "--format=jsonl", root=root, accepted=(0, 3)).splitlines()
    )
    used["predict"] = {row["path"] for row in answers}
    used["evaluate"] = set()
    for split in ("train", "val"):
        run("mstl", "evaluate", best, "--split", split, "--out", root / split, "--no-suspects", root=root)
        used["evaluate"] |= column(root / split / "predictions.csv")
    assert list((root / "cwd").iterdir()) == [], "a file was left behind"
    return used


def slowest(paths):
    """The longest processor time that reading one file has taken, in seconds, and the name of that file."""
    times = []
    for path in paths:
        started = time.process_time()
        examine(path)
        times.append((time.process_time() - started, Path(path).name))
    return max(times)


def main():
    """Write the images, give them to the commands, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="damaged images")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = set(map(str, write_images(root / "images", given.number, given.seed)))
        seconds, name = slowest(names)
        print(f"slowest to read: {seconds:.2f} s, {name}")
        used = through_all(root, names)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"most memory of a command: {memory / 1e6:.0f} MB")
    counts = collections.Counter(
        (Path(name).name.split("-")[1].partition(".")[0], name in used["check"]) for name in names
    )
    for kind in ("sound", *KINDS):
        print(f"{kind:10} used {counts[kind, True]:5}, named {counts[kind, False]:5}")
    wrong = [
        f"{command}: {sorted(used[command] ^ used['check'])[:5]}" for command in used if used[command] != used["check"]
    ]
    print(f"{len(names)} images, {len(used['check'])} used by all; {wrong or 'no difference'}")
    sys.exit(bool(wrong) or seconds > SECONDS or memory > BYTES)


if __name__ == "__main__":
    main()
