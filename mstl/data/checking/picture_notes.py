"""Picture notes: images that can be read, but hardly show what a person sees or a model could learn from.

The limits are set so that images of a camera keep clear of them: of 16,537 in four published sets, three are noted, and
all of them are drawings or placeholders. Those of :mod:`mstl.data.checking.quality_notes` are wider.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

Note = tuple[str, str]  # a word, and a sentence for users

TINY = 16  # pixels: a smaller side holds next to nothing
NARROW = 5  # times as long as wide: a square cut out of it shows a fifth or less
ODD_RATIO = 0.35  # of the sides, below which an image is noted
COLOURS = 64  # no more of them are a drawing or a text; a camera's noise alone makes more
ENOUGH = 4096  # pixels among which so few colours are odd
EVEN = 0.4  # share of one grey value in the thumbnail, without which no colour can have the next share of an image
MANY = 512  # colours of an image that has one nearly everywhere
SAME = 0.92  # share of one colour; a wrench on white has 0.89
BLANK = 8  # of 255, by which nearly all of a blank image varies
OUTLIERS = 2  # of the thumbnail's 256 pixels at either end that may vary more
FULL = 20_000  # of 65,535: where all 16-bit values stay below, nothing is a third as bright as white
SAMPLE = 64  # pixels on each side that are looked at for transparency
HALF = 128  # alpha below which a pixel is rather invisible
SOME = 0.02  # share of an image that is more than the rim around what is cut out
OTHER = 16  # of 255, by which a colour is another
VARIED = 0.2  # share of other colours in what shows something; the rim around what is cut out has fewer
PLAIN = 3.0  # standard deviation of colours that show nothing


def shape_notes(width: int, height: int) -> list[Note]:
    """What is odd about an image's size in pixels."""
    short, long = sorted((width, height))
    if short < TINY:
        return [("tiny", f"{width} x {height} pixels: there is hardly anything to see")]
    if long > NARROW * short:
        return [("narrow", f"{width} x {height} pixels: the square that a model sees is a small part of it")]
    if short < ODD_RATIO * long:
        return [("odd_ratio", f"{width} x {height} pixels: much of it lies outside the square that a model sees")]
    return []


def content_notes(image: "Image.Image", thumb: bytes, deep: bool) -> list[Note]:
    """What is odd about an image's content.

    Args:
        image: Decoded, in its own mode; a JPEG may be reduced.
        thumb: 256 grey values of it.
        deep: Whether the file has 16 bits per channel, of which Pillow may have kept the upper 8.
    """
    notes = transparency_notes(image) if has_transparency(image) else []
    if deep and (largest := largest_value(image)) < FULL:
        values = f"16 bits per channel, but no value above {largest:,} of 65,535"
        notes.append(("dark", f"{values}: it becomes nearly black; stretch its values"))
        return notes
    grey = np.sort(np.frombuffer(thumb, np.uint8))
    if is_blank(image, grey):
        return [*notes, ("blank", "nearly all of it has one colour")]
    return notes + colour_notes(image, grey)


def has_transparency(image: "Image.Image") -> bool:
    """Whether an image has an alpha channel or a colour that stands for transparency."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info


def transparency_notes(image: "Image.Image") -> list[Note]:
    """Whether an image without its transparency, as a model sees it, is another than the one that people see."""
    from PIL import Image

    size = min(image.width, SAMPLE), min(image.height, SAMPLE)
    pixels = np.asarray(image.resize(size, Image.Resampling.NEAREST).convert("RGBA"))
    colours, alpha = pixels[..., :3].astype(np.float32), pixels[..., 3]
    under = colours[alpha < HALF]
    share = len(under) / alpha.size
    if share > SOME and colours.std(axis=(0, 1)).max() < PLAIN:
        return [("hidden", "its picture lies in the transparency alone, which is dropped: one colour is left")]
    others = np.abs(under - np.median(under, axis=0)).max(axis=1) > OTHER if len(under) else np.zeros(1, bool)
    if share > SOME and others.mean() > VARIED:
        return [("hidden", f"transparency, which is dropped, hides something on {share:.0%} of it: that will be seen")]
    if share > 0.5:
        return [("hidden", f"{share:.0%} of it is transparent: that becomes the colour which is stored there")]
    return []


def largest_value(image: "Image.Image") -> int:
    """The largest value of an image with 16 bits per channel, or what it was at most if Pillow has kept the upper 8."""
    if image.mode.startswith("I;16"):
        return int(np.max((image if image.mode == "I;16" else image.convert("I")).getextrema()))
    colours = image if image.mode in ("L", "RGB") else image.convert("RGB")
    return int(np.max(colours.getextrema())) * 256 + 255


def is_blank(image: "Image.Image", grey: NDArray[np.uint8]) -> bool:
    """Whether nearly all of an image, of which some grey values are given in order, has one colour."""
    if varies(grey):
        return False
    from PIL import Image

    if image.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
        return True  # of grey, the thumbnail says everything
    small = image.convert("RGB").resize((SAMPLE // 4, SAMPLE // 4), Image.Resampling.BOX)
    return not any(varies(np.sort(np.asarray(band), axis=None)) for band in small.split())


def varies(ordered: NDArray[np.uint8]) -> bool:
    """Whether values in order differ, a few at either end aside."""
    return int(ordered[-1 - OUTLIERS]) - int(ordered[OUTLIERS]) > BLANK


def colour_notes(image: "Image.Image", grey: NDArray[np.uint8]) -> list[Note]:
    """Whether an image, of which some grey values are given in order, has few colours, or one nearly everywhere."""
    if image.mode not in ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
        return []
    even = np.count_nonzero(grey == grey[grey.size // 2]) >= EVEN * grey.size
    found = image.getcolors(MANY if even else COLOURS)  # stops at one more, which a camera's images reach soon
    if not found:
        return []
    pixels, count, most = image.width * image.height, len(found), max(number for number, _ in found)
    if count <= 2 or (count <= COLOURS and pixels >= ENOUGH):
        return [("graphic", f"only {count} colour{'s' * (count > 1)}: a placeholder, a text or a drawing?")]
    if most >= SAME * pixels and pixels >= ENOUGH:
        return [("blank", f"{most / pixels:.0%} of it has one and the same colour")]
    return []
