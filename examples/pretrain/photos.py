"""Photos decoded once into one file, and batches drawn from them in an order that a stopped run goes on with."""

import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def open_photo(path: Path) -> Image.Image | None:
    """Open a photo as RGB, or return None if the file is not one (a GIF named .jpg, an HTML page)."""
    try:
        image = Image.open(path)
        return None if image.format == "GIF" else image.convert("RGB")
    except (UnidentifiedImageError, OSError):
        return None


def resize_short(image: Image.Image, short: int) -> Image.Image:
    """Scale an image so that its short side is `short` pixels."""
    scale = short / min(image.size)
    return image.resize([max(short, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)


class PhotoCache:
    """All photos under a folder as uint8 in one file: mapped into memory on a CPU, held whole by a GPU.

    Args:
        folder: Folder of photos, searched in all its depth.
        cache: Folder for the two files of the cache; made if they are missing.
        device: Where the pixels are wanted.
        short: Photos with a longer short side are scaled down to this.
    """

    def __init__(self, folder: Path, cache: Path, device: torch.device, short: int = 144):
        index, pixels = cache / "photos.json", cache / "photos.u8"
        if not index.exists():
            self._build(folder, index, pixels, short)
        rows = json.loads(index.read_text())
        self.paths = [row[0] for row in rows]
        self.sizes = np.array([row[1:] for row in rows])  # (photos, 2) heights and widths
        counts = self.sizes.prod(axis=1)
        self.offsets = np.cumsum(counts) - counts  # of each photo's first pixel
        total = int(counts.sum())
        flat = torch.from_file(str(pixels), shared=False, size=3 * total, dtype=torch.uint8)
        self.pixels = flat.view(total, 3).to(device)

    @staticmethod
    def _build(folder: Path, index: Path, pixels: Path, short: int):
        """Decode the photos; the index is written last, so that a broken build is not taken for a whole one."""

        def decode(path: Path) -> np.ndarray | None:
            image = open_photo(path)
            if image is None:
                return None
            return np.asarray(resize_short(image, short) if min(image.size) > short else image)

        rows = []
        index.parent.mkdir(parents=True, exist_ok=True)
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        with open(pixels, "wb") as out, ThreadPoolExecutor() as threads:
            for path, array in zip(paths, threads.map(decode, paths), strict=True):
                if array is not None:
                    rows.append((str(path.relative_to(folder)), *array.shape[:2]))
                    out.write(array.tobytes())
        temp = index.with_suffix(".tmp")
        temp.write_text(json.dumps(rows))
        os.replace(temp, index)

    def pool(self, repeats: dict[str, int]) -> np.ndarray:
        """Return the indices to draw from: every photo once, those in some folders several times.

        Args:
            repeats: Top folder -> times.
        """
        return np.repeat(np.arange(len(self.paths)), [repeats.get(Path(p).parts[0], 1) for p in self.paths])


def drawn(pool: np.ndarray, start: int, batch: int, seed: int) -> np.ndarray:
    """Return the photos of a batch: the whole pool is drawn in each pass, in another order each time.

    Args:
        pool: Indices of the photos to draw.
        start: Samples seen so far.
        batch: Samples in the batch.
        seed: Seed of the order.
    """
    epochs, places = np.divmod(np.arange(start, start + batch), len(pool))
    parts = [permutation(len(pool), seed, int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)]
    return pool[np.concatenate(parts)]


@functools.lru_cache(maxsize=2)
def permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the photos in one pass."""
    return np.random.default_rng([seed, epoch, 1]).permutation(n)
