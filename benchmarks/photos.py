"""Photos for all sides alike: the readable ones of a folder, more of them, and a view of one, with Pillow alone."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = ("train", "val")
FORMATS = ("JPEG", "PNG", "BMP")  # that all sides decode
SIZE, RESIZE = 224, 256
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
STD = np.array((0.229, 0.224, 0.225), np.float32)


def listed(folder):
    """The files of the class folders of ``folder``.

    Returns:
        A list of pairs of path and index of the class, and the classes' names, sorted.
    """
    classes = sorted(entry.name for entry in Path(folder).iterdir() if entry.is_dir())
    return [
        (path, index) for index, name in enumerate(classes) for path in sorted(Path(folder, name).iterdir())
    ], classes


def readable(path):
    """Whether every side can decode a file."""
    try:
        with Image.open(path) as image:
            image.load()
            return image.format in FORMATS
    except (OSError, SyntaxError):  # Pillow raises either for what is no whole picture
        return False


def clean_copy(data, folder):
    """Link the readable photos of ``data/train`` and ``data/val`` into ``folder``; MindSpore's pipeline ends at others.

    Raises:
        SystemExit: A part is not there.
    """
    for part in PARTS:
        source = Path(data).resolve() / part
        if not source.is_dir():
            raise SystemExit(f"no folder {source}: --data needs {' and '.join(PARTS)} with a folder for each class")
        for path, _ in listed(source)[0]:
            if readable(path):
                link(path, Path(folder) / path.relative_to(source.parent))
    return Path(folder)


def link(source, target):
    """A symbolic link, in a folder that is made where it is not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source)


def one_folder(data, count, folder):
    """Link ``count`` photos into one folder, each of ``data`` as often as it takes, validation photos first.

    Returns:
        A dict from file name to the name of the class.
    """
    known = []
    for part in reversed(PARTS):
        pairs, classes = listed(data / part)
        known += [(path, classes[index]) for path, index in pairs]
    truth = {}
    for number in range(count):
        path, name = known[number % len(known)]
        target = folder / f"{number:06d}{path.suffix.lower()}"
        link(path.resolve(), target)
        truth[target.name] = name
    return truth


def varied(data, count, folder, size):
    """Write ``count`` different JPEGs, four of five to train on: parts of the photos of ``data``.

    Args:
        data: A folder with ``train/``.
        count: How many.
        folder: Where to; gets ``train/`` and ``val/`` with the classes of ``data``.
        size: (width, height) in pixels.
    """
    pairs, classes = listed(data / "train")

    def write(number):
        rng = np.random.default_rng(number)
        few = count < len(pairs)  # then they are spread over all classes
        path, index = pairs[number * len(pairs) // count if few else number % len(pairs)]
        target = folder / PARTS[number % 5 == 4] / classes[index] / f"{number:06d}.jpg"
        with Image.open(path) as image:
            image = image.convert("RGB")
            box = crop_box(image.size, rng, area=(0.2, 0.8))
            image.resize(size, Image.Resampling.BILINEAR, box).save(target, quality=90, comment=str(number))

    for part in PARTS:
        for name in classes:
            (folder / part / name).mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(count)))
    return folder


def crop_box(size, rng, area=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    """A random part of a photo (Szegedy et al. 2014): (left, upper, right, lower) in pixels.

    Args:
        size: (width, height) of the photo.
        rng: A NumPy Generator.
        area: Least and largest share of the photo.
        ratio: Least and largest width over height, drawn on a logarithmic scale.
    """
    width, height = size
    for _ in range(10):
        pixels = width * height * rng.uniform(*area)
        shape = math.exp(rng.uniform(*map(math.log, ratio)))
        w, h = round(math.sqrt(pixels * shape)), round(math.sqrt(pixels / shape))
        if 0 < w <= width and 0 < h <= height:
            left, upper = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, upper, left + w, upper + h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2


def train_view(path, rng):
    """A random part, mirrored half of the time; (3, SIZE, SIZE) float32, normalised."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, crop_box(image.size, rng))
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return normalised(image)


def eval_view(path):
    """The shorter side brought to RESIZE, the middle cut out; (3, SIZE, SIZE) float32, normalised."""
    with Image.open(path) as image:
        image = image.convert("RGB")
    scale = RESIZE / min(image.size)
    image = image.resize([max(RESIZE, int(side * scale)) for side in image.size], Image.Resampling.BILINEAR)
    left, upper = (round((side - SIZE) / 2) for side in image.size)
    return normalised(image.crop((left, upper, left + SIZE, upper + SIZE)))


def normalised(image):
    """ImageNet's mean and deviation taken out, channels first."""
    pixels = np.asarray(image, np.float32) / 255
    return np.ascontiguousarray(((pixels - MEAN) / STD).transpose(2, 0, 1))


def eval_batch(folder, count):
    """The first views of a folder, spread over its classes: (count, 3, SIZE, SIZE) float32."""
    pairs, _ = listed(folder)
    chosen = [pairs[number * len(pairs) // count % len(pairs)][0] for number in range(count)]
    return np.stack([eval_view(path) for path in chosen])
