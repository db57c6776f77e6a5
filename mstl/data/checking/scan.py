"""Scan: read one file, to learn whether it can be used as an image and what is unusual about it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mstl.data.checking.picture_notes import content_notes, shape_notes
from mstl.data.checking.quality_notes import is_grey, quality_notes
from mstl.data.decode import UPRIGHT, decoded, orientation
from mstl.data.image_files import JPEG, SUFFIXES
from mstl.data.opening import UnreadableImage, open_image
from mstl.data.samples import ScanResult, stamp
from mstl.data.threads import in_threads
from mstl.files import digest

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

THUMB = 16  # side of the grey thumbnail for the search for near duplicates
GREY = ("grey", "grey: the same value for red, green and blue")
UPPER_HALF = "16 bits per channel: the upper 8 are used"


def examine(path: str | os.PathLike[str]) -> ScanResult:
    """Read one file; whatever is wrong with it is in the result, nothing is raised.

    The whole file is decoded (a JPEG at a fraction of its size, which reads all of it but is quicker), so that a
    truncated one is found too.
    """
    from PIL.Image import Resampling

    try:
        before = stamp(path)
        with open_image(path) as image:
            size, notes = image.size, header_notes(path, image)
            rgb = decoded(image, (4 * THUMB, 4 * THUMB))
            grey = rgb.convert("L")
            thumb = grey.resize((THUMB, THUMB), Resampling.BOX).tobytes()
            notes += pixel_notes(image, rgb, grey, thumb, notes)
            turned = orientation(image)
            if turned != UPRIGHT:
                notes.append(("rotated", f"orientation {turned} in its metadata: it is turned upright"))
        return ScanResult("", "", tuple(notes), digest(path), thumb, before or "", size)
    except UnreadableImage as error:
        return ScanResult(error.problem, error.detail)
    except OSError as error:  # it is gone by now
        return ScanResult("unreadable", f"cannot be read: {error.strerror or error}")


def header_notes(path: str | os.PathLike[str], image: "Image.Image") -> list[tuple[str, str]]:
    """What is unusual about an image that has been opened but not decoded, as pairs (word, detail)."""
    notes = shape_notes(*image.size)
    suffix = Path(path).suffix
    if image.format not in SUFFIXES.get(suffix.lower(), ()):
        notes.append(("wrong_suffix", f"its content is {image.format}, its suffix {suffix or 'missing'}"))
    tile = getattr(image, "tile", None)
    if image.mode in ("F", "I"):
        notes.append(("deep", "more than 8 bits per value: its own range becomes 0 to 255"))
    elif image.format in ("PNG", "TIFF", "PPM") and tile and any(bits in str(tile[0][3]) for bits in ("16", "65535")):
        notes.append(("deep", UPPER_HALF))
    if image.mode == "CMYK":
        notes.append(("cmyk", "CMYK colours: turned into RGB"))
    if image.mode in ("P", "PA"):
        notes.append(("palette", "colours from a palette"))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append(("alpha", "transparency is dropped"))
    if image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I"):
        notes.append(GREY)
    if image.format not in JPEG and getattr(image, "is_animated", False):
        notes.append(("animated", "only its first frame is used"))
    return notes


def pixel_notes(
    image: "Image.Image", rgb: "Image.Image", grey: "Image.Image", thumb: bytes, header: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """What is unusual about an image's pixels: what it shows and, unless that is hardly anything, how it was taken.

    Args:
        image: Decoded, in its own mode.
        rgb: The same in colour, of 8 bits.
        grey: The same in grey.
        thumb: 256 grey values of it.
        header: What its header has shown.
    """
    notes = content_notes(image, thumb, ("deep", UPPER_HALF) in header)
    if any(word != "hidden" for word, _ in notes):
        return notes
    has_no_colour = GREY in header
    if not has_no_colour and is_grey(rgb):
        notes.append(GREY)
    parts = np.sort(np.frombuffer(thumb, np.uint8))
    return notes + quality_notes(grey if has_no_colour else rgb, grey, parts)


def shrink(image: "Image.Image", side: int, mode: Literal["L", "RGB"]) -> "Image.Image":
    """An opened image, upright and resized to ``side`` x ``side`` pixels."""
    from PIL import Image

    small = decoded(image, (4 * side, 4 * side))
    return small.convert(mode).resize((side, side), Image.Resampling.BOX)


def examine_all(paths: Sequence[str]) -> dict[str, ScanResult]:
    """Read many files at once; see :func:`examine`.

    Returns:
        A result for each path, in the order given.
    """
    return dict(zip(paths, in_threads(examine, paths, "checking"), strict=True))
