"""Bodies of requests under load: images, damaged ones and what is none, and what ``mstl predict`` says of them."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image

from tests.conftest import environment
from tests.damage import damaged

NARROW = ((1, 60_000), (60_000, 1))
BOMB_SIDE = 60_000  # pixels


def photo(rng):
    """The content of a JPEG with smooth colours and some noise, of a size as cameras and the web have them."""
    height, width = sorted(rng.integers(200, 1200, 2))
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC), np.int16)
    pixels = (smooth + rng.integers(-9, 10, smooth.shape, np.int16)).clip(0, 255).astype(np.uint8)
    return saved(Image.fromarray(pixels), "JPEG", quality=90)


def saved(image, kind, **options):
    """An image as a file's content."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width, height, rows, *more):
    """A PNG of one bit a pixel, with these compressed rows, and more chunks before them."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    chunks = [header, *more, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def bombs():
    """Small files that would fill the memory: many pixels, much text, many pixels in a format without compression."""
    rows = zlib.compress(bytes(50_000_000), 1)
    text = zlib.compress(bytes(300_000_000), 1)
    yield png(BOMB_SIDE, BOMB_SIDE, rows)
    yield png(8, 8, zlib.compress(bytes(16)), (b"zTXt", b"Comment\0\0" + text))
    yield png(8, 8, zlib.compress(bytes(16)), (b"iCCP", b"profile\0\0" + text))
    yield png(9_000, 9_000, rows)  # below the limit, and not as many rows as it says
    yield b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\x00\x00\x00"
    yield saved(Image.new("1", (9_900, 9_900)), "PNG", optimize=True)  # below the limit, and whole


def bodies(seed, good, most):
    """Contents by kind, each of which ``mstl predict`` is asked about, too.

    Args:
        seed: Decides them.
        good: How many good images; or such images.
        most: Bytes that the server takes.
    """
    rng = np.random.default_rng([20, seed])
    images = [photo(rng) for _ in range(good)] if isinstance(good, int) else list(good)
    some = images[:8]
    text = "\n".join(f"line {number} of a text" for number in range(500)).encode()
    return {
        "good": images,
        "largest": [some[0] + bytes(most - len(some[0])), some[-1].ljust(most - 1, b"\xff")],  # an image, and more
        "noise": [rng.bytes(most), b"\xff\xd8\xff\xe0" + rng.bytes(most - 4)],
        "text": [text, b"<html><body>not an image</body></html>", b"\0", b"{}"],
        "truncated": [image[: int(rng.integers(3, len(image)))] for image in some],
        "flipped": [damaged(image, kind, rng) for image in some for kind in ("bits", "flip")],
        "bomb": list(bombs()),
        "narrow": [saved(Image.new("RGB", size, (9, 200, 60)), "PNG") for size in NARROW],
    }


def predicted(model, kinds, folder):
    """What ``mstl predict`` says of the bodies: by kind, a list of records, None for what it cannot read.

    Args:
        model: Path of a model.
        kinds: From :func:`bodies`.
        folder: Gets them as files.
    """
    paths = {kind: [folder / f"{kind}-{index}" for index in range(len(found))] for kind, found in kinds.items()}
    for kind, found in kinds.items():
        for path, content in zip(paths[kind], found, strict=True):
            path.write_bytes(content)
    listed = "".join(f"{path}\n" for group in paths.values() for path in group)
    command = [sys.executable, "-m", "mstl", "predict", str(model), "-", "--format", "jsonl"]
    done = subprocess.run(command, input=listed, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode in (0, 3), done.stderr
    records = {record["path"]: record for record in map(json.loads, done.stdout.splitlines())}
    return {kind: [records.get(os.fspath(path)) for path in group] for kind, group in paths.items()}
