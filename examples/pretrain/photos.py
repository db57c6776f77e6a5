"""Photos decoded once into one memory-mapped file, and random crops of them."""

import functools
import json
import math
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
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
    """All photos under a folder as uint8 in one memory-mapped file, so that they need not stay in memory.

    Args:
        folder: Folder of photos, searched in all its depth.
        cache: Folder for the two files of the cache; made if they are missing.
        short: Photos with a longer short side are scaled down to this.
    """

    def __init__(self, folder: Path, cache: Path, short: int = 144):
        index, pixels = cache / "photos.json", cache / "photos.u8"
        if not index.exists():
            self._build(folder, index, pixels, short)
        rows = json.loads(index.read_text())
        self.paths, self.sizes = [row[0] for row in rows], [row[1:] for row in rows]
        counts = [3 * h * w for h, w in self.sizes]
        self.offsets = np.concatenate([[0], np.cumsum(counts)])
        self.pixels = torch.from_file(str(pixels), shared=False, size=int(self.offsets[-1]), dtype=torch.uint8)

    @staticmethod
    def _build(folder: Path, index: Path, pixels: Path, short: int):
        """Decode the photos; the index is written last, so that a broken build is not taken for a whole one."""
        rows = []
        index.parent.mkdir(parents=True, exist_ok=True)
        with open(pixels, "wb") as out:
            for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
                image = open_photo(path)
                if image is None:
                    continue
                if min(image.size) > short:
                    image = resize_short(image, short)
                array = np.asarray(image)
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

    def __getitem__(self, i: int) -> torch.Tensor:
        """Return photo i as a uint8 tensor (3, H, W), a view of the file."""
        h, w = self.sizes[i]
        return self.pixels[self.offsets[i] : self.offsets[i + 1]].view(h, w, 3).permute(2, 0, 1)


def random_crop(photo: torch.Tensor, size: int, scale: tuple[float, float], rng: np.random.Generator) -> torch.Tensor:
    """Cut a random box out of a photo and resize it (with antialiasing) to a square.

    Args:
        photo: uint8 (3, H, W).
        size: Side of the result.
        scale: Smallest and largest share of the photo's area.
        rng: Source of chance.
    """
    _, h, w = photo.shape
    area = h * w * rng.uniform(*scale)
    ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    ch, cw = min(h, round(math.sqrt(area / ratio))), min(w, round(math.sqrt(area * ratio)))
    top, left = rng.integers(h - ch + 1), rng.integers(w - cw + 1)
    box = photo[None, :, top : top + ch, left : left + cw]
    crop = F.interpolate(box, (size, size), mode="bilinear", antialias=True)[0]
    return crop.flip(2) if rng.random() < 0.5 else crop


def jitter(x: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Change brightness, contrast and saturation of each image of a batch of floats in 0..255."""
    brightness, contrast, saturation = torch.from_numpy(
        rng.uniform(1 - strength, 1 + strength, (3, len(x), 1, 1, 1)).astype(np.float32)
    )
    x = x * brightness
    mean = x.mean((1, 2, 3), keepdim=True)
    x = torch.lerp(mean, x, contrast)
    grey = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return torch.lerp(grey, x, saturation).clamp_(0, 255)


def make_batch(
    cache: PhotoCache,
    pool: np.ndarray,
    start: int,
    batch: int,
    size: int,
    scale: tuple[float, float],
    mixup: float,
    cutmix: float,
    seed: int,
) -> torch.Tensor:
    """Return a batch of float images in 0..255, always the same one for the same arguments.

    The whole pool is drawn in each pass, and a run that was stopped goes on with the photos it had not seen.

    Args:
        cache: The photos.
        pool: Indices of the photos to draw.
        start: Samples seen so far.
        batch: Images in the batch.
        size: Side of an image.
        scale: Smallest and largest crop, as shares of the area.
        mixup: Share of batches in which images are mixed with one another.
        cutmix: Share of the other batches in which a box of each image is taken from another one.
        seed: Seed of everything random here.
    """
    rng = np.random.default_rng([seed, start])
    picks = []
    for i in range(start, start + batch):
        epoch, place = divmod(i, len(pool))
        picks.append(pool[permutation(len(pool), seed, epoch)[place]])
    x = jitter(torch.stack([random_crop(cache[i], size, scale, rng) for i in picks]).float(), 0.3, rng)
    if rng.random() < mixup:
        share = torch.from_numpy(rng.uniform(0, 1, (batch, 1, 1, 1)).astype(np.float32))
        x = torch.lerp(x, x.roll(1, 0), share)
    elif rng.random() < cutmix:
        x = paste_boxes(x, rng)
    return x


def paste_boxes(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Replace a box of each image of a batch by the same box of the next one (CutMix, Yun et al. 2019).

    Args:
        x: (N, 3, H, W).
        rng: Source of chance; the box's share of the area is uniform in 0..1, its centre anywhere.
    """
    n, _, h, w = x.shape
    side = np.sqrt(rng.uniform(0, 1, n))
    inside = []
    for length in (h, w):
        centre = rng.uniform(0, length, (n, 1))
        distance = np.abs(np.arange(length) + 0.5 - centre)
        inside.append(torch.from_numpy(distance < side[:, None] * length / 2))
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(box, x.roll(1, 0), x)


@functools.lru_cache(maxsize=2)
def permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the photos in one pass."""
    return np.random.default_rng([seed, epoch, 1]).permutation(n)
