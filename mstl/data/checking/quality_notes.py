"""Quality notes: images that are dim, bright, blurred, or have little information, by the limits of cleanvision 0.3.7.

They are measured as cleanvision does, but on images as the scan has them, which reads a JPEG at a fraction of its size.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

DIM = 0.32  # brightness, from 0 to 1, below which 99 % of a dim image's pixels are
BRIGHT = 0.95  # brightness above which 95 % of a bright image's pixels are
WEIGHTS = np.array([0.241, 0.691, 0.068], np.float32)  # of the squares of red, green and blue in a pixel's brightness
MIDDLE = 128  # grey value
LIGHT_PARTS, DARK_PARTS = 16, 32  # of the 256 of a thumbnail, beyond the middle, with which an image is neither
POOR = 3.0  # bits a value, below which an image has little information
SIDE = 64  # pixels of the longer side, at which sharpness is measured
FADED = 0.01  # per unit of both standard deviations
SHARP = 0.29  # how much of an edge there must be, from 0 to 1
CONCENTRATED = 0.18  # the same of a histogram: an image of few grey values may have few edges without being blurred


def quality_notes(image: "Image.Image", grey: "Image.Image", parts: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """What is odd about how an image was taken.

    Args:
        image: Decoded, RGB or grey.
        grey: The same in grey.
        parts: The 256 values of its thumbnail, in order.
    """
    notes = []
    low, high = brightness(image) if may_be_odd(parts) else (0.0, 1.0)
    if high < DIM:
        notes.append(("dim", f"99% of it is darker than {high:.0%} of white"))
    if low > BRIGHT:
        notes.append(("bright", f"95% of it is brighter than {low:.0%} of white"))
    bits = float(image.entropy())
    if bits < POOR:
        notes.append(("low_information", f"{bits:.1f} bits a value: there is little to see"))
    sharp = sharpness(grey)
    if sharp < SHARP:
        notes.append(("blurred", f"sharpness {sharp:.2f} of 1: blurred, or without edges"))
    return notes


def may_be_odd(parts: NDArray[np.uint8]) -> bool:
    """Whether an image may be dim or bright; that most are neither shows in their thumbnail, in a tenth of the time."""
    return bool(parts[-LIGHT_PARTS] <= MIDDLE or parts[DARK_PARTS - 1] >= MIDDLE)


def brightness(image: "Image.Image") -> tuple[float, float]:
    """The 5th and the 99th percentile of the brightness of an image's pixels, from 0 to 1."""
    from PIL import Image

    small = image.resize(reduced(image), Image.Resampling.NEAREST)  # which keeps the values of pixels
    squares = np.asarray(small, np.float32) ** 2
    values = squares.ravel() if squares.ndim == 2 else (squares @ WEIGHTS).ravel()
    places = int(0.05 * len(values)), int(0.99 * len(values))
    values.partition(places)  # a tenth of the time of numpy.percentile
    low, high = np.sqrt(values[list(places)]) / 255
    return float(low), float(high)


def sharpness(grey: "Image.Image") -> float:
    """How much edge a small version of a grey image has, from 0 to 1; more if its values are few and far between."""
    from PIL import Image, ImageFilter

    small = grey.resize(reduced(grey), Image.Resampling.BICUBIC)
    edges = np.frombuffer(small.filter(ImageFilter.FIND_EDGES).tobytes(), np.uint8).astype(np.float32)
    variance = float(edges @ edges) / edges.size - (float(edges.sum()) / edges.size) ** 2
    strength = saturated(math.sqrt(max(0.0, variance)))
    if strength >= SHARP:
        return strength
    concentration = saturated(float(np.std(small.histogram())))
    return min(1.0, strength + (concentration if concentration > CONCENTRATED else 0.0))


def reduced(image: "Image.Image") -> tuple[int, int]:
    """Width and height of an image whose longer side is no longer than :data:`SIDE`."""
    scale = min(1.0, SIDE / max(image.size))
    return max(1, int(image.width * scale)), max(1, int(image.height * scale))


def saturated(value: float) -> float:
    """A standard deviation from 0 on as a number from 0 to 1."""
    return 1 - math.exp(-FADED * value)


def is_grey(image: "Image.Image") -> bool:
    """Whether red, green and blue are the same everywhere in an RGB image: if they are in a pixel, histograms tell."""
    pixel = image.getpixel((image.width // 2, image.height // 3))
    if not isinstance(pixel, tuple) or len(set(pixel)) > 1:
        return False
    counts = image.histogram()
    return counts[:256] == counts[256:512] == counts[512:]
