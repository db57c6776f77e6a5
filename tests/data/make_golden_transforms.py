"""Writes golden_transforms.npz: what the transforms make of a drawn image, as averages over quarters of the result.

    python -m tests.data.make_golden_transforms

To be run when TRANSFORMS_VERSION has been raised, because what happens to images has changed on purpose.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from mstl.config import AUGMENTS
from mstl.data.dataset import ImageSet
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import TRANSFORMS_VERSION, cropped_for, eval_transforms, train_transforms
from mstl.data.loading.views import view_batches
from mstl.preprocessing import Preprocessing

FILE = Path(__file__).with_name("golden_transforms.npz")
VIEWS = range(1, 13)


def drawn(path):
    """An image with something different everywhere; written as PNG, which every Pillow writes with the same pixels."""
    rows, columns = np.mgrid[:90, :120]
    waves = np.stack([np.sin(rows / 7) + np.cos(columns / 11), np.sin(columns / 5), np.cos((rows + columns) / 17)], -1)
    Image.fromarray((127 + 60 * waves).round().astype(np.uint8)).save(path)
    return str(path)


def averages(images):
    """(n, 3, 2, 2) averages over the quarters of (n, 3, size, size) images."""
    n, channels, side, _ = images.shape
    return images.reshape(n, channels, 2, side // 2, 2, side // 2).mean((3, 5)).astype(np.float32)


def results(folder):
    """By name: the views of each augmentation, and what is evaluated."""
    path = drawn(folder / "drawn.png")
    images = ImageSet.from_paths([path], [0], ("a",))
    found = {}
    for interpolation in ("bilinear", "bicubic"):
        preprocessing = Preprocessing(image_size=32, resize=40, interpolation=interpolation)
        for augment in AUGMENTS:
            seen = eval_transforms(cropped_for(preprocessing, augment))
            evaluated = next(Loader(images, seen, 1).batches())[0].asnumpy()
            found[f"{augment}-{interpolation}-evaluated"] = averages(evaluated)
            operations = train_transforms(preprocessing, augment)
            # Seeded by a digest of its own: that of the PNG depends on how Pillow compresses
            views = [next(view_batches([path], ["123abc"], operations, 1, view, seed=1)) for view in VIEWS]
            found[f"{augment}-{interpolation}-views"] = averages(np.concatenate(views))
    return found


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        np.savez_compressed(FILE, version=TRANSFORMS_VERSION, **results(Path(folder)))
