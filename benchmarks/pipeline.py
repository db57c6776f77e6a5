"""Data pipeline: photos a second, with no model behind, for each way to read and vary photos.

What is evaluated is also read by MindSpore's own decoder and resize, as mstl did at first: photos as they are, and the
same ones enlarged to 5 megapixels.

Each figure is the best of some passes over as many photos, which leaves out what else the machine was doing for a
moment. Processor time is that of a photo over all threads: it says more than photos a second where the machine is not
idle.
"""

import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import machine, photos, setting
from benchmarks.table import Row, ratio_at_most

LARGE = 5_000_000  # pixels
LARGE_PHOTOS = 80


def add_arguments(parser):
    """Add the case's options."""
    parser.add_argument("--data", required=True, help="what `mstl train --data` takes")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--photos", type=setting.positive, default=1000, help="in a pass")
    parser.add_argument("--workers", type=int, help="streams; 8 if not given")
    setting.add_output_options(parser, repeats=3)


def run(options):
    """Measure each way, print the table, write the JSON."""
    from mstl import Preprocessing, load_data
    from mstl.config import AUGMENTS
    from mstl.data.loading.transforms import eval_transforms, train_transforms

    images, _ = load_data(options.data)
    limits = {
        "gflops": machine.matrix_peak(),
        "photos_per_second": machine.decoding_peak(images.paths[: machine.PHOTOS]),
    }
    preprocessing = Preprocessing().at(options.image_size)
    listed = repeated(images, options.photos)
    cases = [("list", name, listed, train_transforms(preprocessing, name)) for name in AUGMENTS]
    cases.append(("list", "evaluation", listed, eval_transforms(preprocessing)))
    if images.folder is None:
        print("ImageFolderDataset cannot serve this folder (some files are left out)")
    else:
        cases.insert(0, ("folder", "tutorial", images, train_transforms(preprocessing)))
    rows = []
    for source, name, image_set, transforms in cases:
        rate, cost = measure(image_set, transforms, options.repeats, options.photos, workers=options.workers)
        what = f"{source}, {name}"
        rows.append(Row(f"{what} / Pillow's decoding alone", "photos/s", rate, limits["photos_per_second"]))
        rows.append(Row(f"{what}: processor time", "ms a photo", cost))
    with tempfile.TemporaryDirectory() as folder:
        decodable = [path for path in listed.paths if photos.readable(path)]
        rows.append(against_mindspore("photos as they are", 1 / 0.9, decodable, preprocessing, options.repeats))
        rows.append(against_mindspore("5 megapixels", 1 / 2, enlarged(images, folder), preprocessing, options.repeats))
    setting.report(options, rows, limits)


def against_mindspore(what, limit, paths, preprocessing, passes):
    """The time that a photo takes from the file to the model's input, in turns with MindSpore's own operations."""
    ours, theirs = [], []
    for _ in range(passes):
        ours.append(1000 * seconds(lambda: read_by_mstl(paths, preprocessing)) / len(paths))
        theirs.append(1000 * seconds(lambda: read_by_mindspore(paths, preprocessing)) / len(paths))
    return ratio_at_most(limit, f"evaluation / MindSpore's decoder and resize, {what}", "ms", min(ours), min(theirs))


def seconds(function):
    """How long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def read_by_mstl(paths, preprocessing):
    """All photos, as ``mstl predict`` reads them."""
    from mstl.data.loading.streaming import batches

    assert sum(len(pixels) for _, _, pixels in batches(paths, preprocessing, 32)) == len(paths)


def read_by_mindspore(paths, preprocessing):
    """All photos by MindSpore's C++ operations, with as many threads as cores."""
    import mindspore.dataset as ds
    from mindspore.dataset import vision

    from mstl.data.loading.streams import FileSource
    from mstl.data.loading.transforms import normalize
    from mstl.runtime.devices import clamp_workers

    workers = {"num_parallel_workers": clamp_workers()}
    source = FileSource(paths, np.zeros(len(paths), np.int32))
    dataset = ds.GeneratorDataset(source, ["image", "label"], shuffle=False, python_multiprocessing=False, **workers)
    steps = [vision.Decode(), vision.Resize(preprocessing.resize), vision.CenterCrop(preprocessing.image_size)]
    dataset = dataset.map([*steps, *normalize(preprocessing)], "image", **workers).batch(32, num_parallel_workers=1)
    rows = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True, do_copy=False)
    assert sum(len(batch) for batch, _ in rows) == len(paths)


def enlarged(images, folder):
    """Some of the photos, enlarged; their paths."""
    paths = []
    for number, path in enumerate(images.paths[:: max(1, len(images) // LARGE_PHOTOS)][:LARGE_PHOTOS]):
        photo = Image.open(path).convert("RGB")
        scale = (LARGE / (photo.width * photo.height)) ** 0.5
        size = round(photo.width * scale), round(photo.height * scale)
        paths.append(str(Path(folder) / f"{number}.jpg"))
        photo.resize(size, Image.Resampling.LANCZOS).save(paths[-1], quality=90)
    return paths


def measure(images, transforms, passes, photos, seed=1, workers=None):
    """The best pass: photos a second, and processor milliseconds a photo."""
    from mstl.data.loading.loader import Loader

    rates, costs = [], []
    epochs = -(-photos // len(images))
    for _ in range(passes):
        started, used = time.perf_counter(), time.process_time()
        loader = Loader(images, transforms, 18, seed, workers)
        seen = sum(len(labels) for epoch in range(epochs) for _, labels in loader.batches(epoch))
        rates.append(seen / (time.perf_counter() - started))
        costs.append(1000 * (time.process_time() - used) / seen)
    return max(rates), min(costs)


def repeated(images, photos):
    """The set, listed so often that it has this many photos, so that a pass is one epoch; as a list."""
    times = -(-photos // len(images))
    return dataclasses.replace(images, samples=images.samples * times, folder=None)
