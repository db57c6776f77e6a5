"""Random crops of many photos at once: chance is drawn with NumPy, the pixels are computed on any device."""

from dataclasses import dataclass

import numpy as np
import torch
from photos import PhotoCache, drawn


@dataclass
class Augmentation:
    """What crops may look like.

    Args:
        scale: Smallest and largest area of a crop as shares of the photo's; above 1 the photo goes on mirrored.
        angle: Largest rotation, degrees.
        jitter: Largest change of brightness, contrast and saturation, as a share.
        mixup: Share of the images that are mixed with another one.
        cutmix: Share of the others in which a box is taken from another one.
    """

    scale: tuple[float, float] = (0.15, 1.0)
    angle: float = 0.0
    jitter: float = 0.3
    mixup: float = 0.25
    cutmix: float = 0.0


def draw(sizes: np.ndarray, how: Augmentation, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw all that is random about a batch.

    Args:
        sizes: (N, 2) heights and widths of the photos.
        how: What crops may look like.
        rng: Source of chance.

    Returns:
        float32 arrays of shape (N,): the `box`es (N, 2) and their `centre`s (N, 2) in pixels (y, x; a mirrored box has
        a negative width), `angle` in radians, `colours` (3, N), the share of the next image that is mixed in (`mix`),
        and the `paste`d box of it (4, N): centre and side as shares of the image.
    """
    n = len(sizes)
    area = np.exp(rng.uniform(*np.log(how.scale), n)) if how.scale[1] > 1 else rng.uniform(*how.scale, n)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), n))
    box = np.sqrt(area * sizes.prod(axis=1))[:, None] * np.stack([ratio**-0.5, ratio**0.5], 1)
    if how.scale[1] <= 1:
        box = np.minimum(box, sizes)
    slack = sizes - box
    centre = box / 2 + rng.uniform(0, 1, (n, 2)) * slack
    box[:, 1] *= rng.choice([-1, 1], n)
    mixed = rng.random(n) < how.mixup
    pasted = ~mixed & (rng.random(n) < how.cutmix)
    side = np.sqrt(rng.uniform(0, 1, n)) * pasted
    arrays = {
        "box": box,
        "centre": centre,
        "angle": np.radians(rng.uniform(-how.angle, how.angle, n)),
        "colours": rng.uniform(1 - how.jitter, 1 + how.jitter, (3, n)),
        "mix": rng.uniform(0, 1, n) * mixed,
        "paste": np.stack([*rng.uniform(0, 1, (2, n)), side]),
    }
    return {key: value.astype(np.float32) for key, value in arrays.items()}


def mirrored(x: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Return the place of a coordinate in a photo that goes on mirrored beyond its borders, 0..length - 1."""
    x = torch.remainder(x, 2 * length)
    return torch.minimum(torch.minimum(x, 2 * length - x) - 0.5, length - 1).clamp_min(0)


def crop(pixels: torch.Tensor, offsets: torch.Tensor, sizes: torch.Tensor, chance: dict, size: int) -> torch.Tensor:
    """Cut the drawn boxes out of photos, bilinearly.

    Args:
        pixels: uint8 (pixels of all photos, 3).
        offsets: (N,) index of the first pixel of each photo.
        sizes: (N, 2) heights and widths.
        chance: What `draw` returns.
        size: Side of a crop.

    Returns:
        Floats of 0..255 (N, 3, size, size).
    """
    grid = (torch.arange(size, device=pixels.device) + 0.5) / size - 0.5
    dy = chance["box"][:, 0, None, None] * grid[:, None]
    dx = chance["box"][:, 1, None, None] * grid
    sin, cos = chance["angle"][:, None, None].sin(), chance["angle"][:, None, None].cos()
    h, w = sizes[:, 0, None, None], sizes[:, 1, None, None]
    y = mirrored(chance["centre"][:, 0, None, None] + cos * dy + sin * dx, h.float())
    x = mirrored(chance["centre"][:, 1, None, None] + cos * dx - sin * dy, w.float())
    top, left = y.long(), x.long()
    y, x = (y - top)[..., None], (x - left)[..., None]
    bottom, right = torch.minimum(top + 1, h - 1), torch.minimum(left + 1, w - 1)
    first = offsets[:, None, None]
    above = torch.lerp(pixels[first + top * w + left].float(), pixels[first + top * w + right].float(), x)
    below = torch.lerp(pixels[first + bottom * w + left].float(), pixels[first + bottom * w + right].float(), x)
    return torch.lerp(above, below, y).permute(0, 3, 1, 2)


def colour(x: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Change brightness, contrast and saturation (3, N) of floats in 0..255 (N, 3, H, W)."""
    brightness, contrast, saturation = factors[:, :, None, None, None]
    x = x * brightness
    x = torch.lerp(x.mean((1, 2, 3), keepdim=True), x, contrast)
    grey = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return torch.lerp(grey, x, saturation).clamp(0, 255)


def mix(x: torch.Tensor, chance: dict) -> torch.Tensor:
    """Mix some images with the next one, and replace a box of some by the same box of the next one.

    Mixup (Zhang et al. 2018, arXiv:1710.09412) and CutMix (Yun et al. 2019, arXiv:1905.04899); the labels are the
    teacher's answers to the result.
    """
    size, following = x.shape[-1], x.roll(1, 0)
    place = (torch.arange(size, device=x.device) + 0.5) / size
    centre_y, centre_x, side = chance["paste"][:, :, None]
    rows, columns = (place - centre_y).abs() < side / 2, (place - centre_x).abs() < side / 2
    x = torch.where(rows[:, None, :, None] & columns[:, None, None, :], following, x)
    return torch.lerp(x, following, chance["mix"][:, None, None, None])


def pixels_of(pixels, offsets, sizes, chance: dict, size: int) -> torch.Tensor:
    """Return the images of a batch, floats of 0..255 (N, 3, size, size); see `crop`."""
    return mix(colour(crop(pixels, offsets, sizes, chance, size), chance["colours"]), chance)


class Batches:
    """Batches of random crops, always the same for the same first sample.

    Args:
        cache: The photos.
        pool: Indices of the photos to draw.
        how: What crops may look like.
        seed: Seed of everything random.
    """

    def __init__(self, cache: PhotoCache, pool: np.ndarray, how: Augmentation, seed: int):
        self.cache, self.pool, self.how, self.seed = cache, pool, how, seed
        self.device = cache.pixels.device
        # One pass over the memory in the place of thirty.
        self.compute = torch.compile(pixels_of, dynamic=False) if self.device.type == "cuda" else pixels_of

    def __call__(self, start: int, batch: int, size: int) -> torch.Tensor:
        """Return `batch` images from the sample `start` on, floats of 0..255 (batch, 3, size, size)."""
        picks = drawn(self.pool, start, batch, self.seed)
        sizes = self.cache.sizes[picks]
        arrays = draw(sizes, self.how, np.random.default_rng([self.seed, start]))
        chance = {key: self._send(value) for key, value in arrays.items()}
        offsets = self._send(self.cache.offsets[picks])
        return self.compute(self.cache.pixels, offsets, self._send(sizes), chance, size)

    def _send(self, array: np.ndarray) -> torch.Tensor:
        """Return a tensor on the device, without waiting for what the device is still at."""
        tensor = torch.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)
