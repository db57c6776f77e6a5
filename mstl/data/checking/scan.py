"""Scan: read one file, to learn whether it can be used as an image and what is unusual about it."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mstl.data.decode import HEAD, UPRIGHT, eight_bits, needs_pillow, orientation
from mstl.data.image_files import JPEG, SUFFIXES, has_image_suffix
from mstl.data.samples import ScanResult, stamp
from mstl.data.threads import in_threads
from mstl.files import digest

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

PIXEL_LIMIT = 100_000_000  # an image with more is refused by its header: a small file could fill the memory
THUMB = 16  # side of the grey thumbnail for the search for near duplicates
KNOWN_TO_MINDSPORE = (*JPEG, "PNG", "BMP", "DIB", "TIFF")
DRAWINGS = ("EPS", "WMF")  # Pillow would start another program to render these


def examine(path: str | os.PathLike[str]) -> ScanResult:
    """Read one file; whatever is wrong with it is in the result, nothing is raised.

    The whole file is decoded (a JPEG at a fraction of its size, which reads all of it but is quicker), so that a
    truncated one is found too.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        before, status = stamp(path), os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return ScanResult("unreadable", "neither a file nor a link to one")
        if status.st_size == 0:
            return ScanResult("empty", "empty file")
        with Image.open(path) as image:
            if image.width * image.height > PIXEL_LIMIT:
                return too_large(f"{image.width} x {image.height}")
            if image.format in DRAWINGS:
                return ScanResult("unreadable", f"{image.format}, which is a drawing: convert it to JPEG or PNG")
            notes = header_notes(path, image)
            thumb = shrink(image, THUMB, "L")
            turned = orientation_of(image)  # some formats store it behind the pixels
            if turned != UPRIGHT:
                notes.append(("rotated", f"EXIF orientation {turned}: it is turned upright"))
        with open(path, "rb") as file:
            native = not needs_pillow(file.read(HEAD))
        return ScanResult("", "", tuple(notes), native, digest(path), thumb.tobytes(), before or "")
    except UnidentifiedImageError:
        return not_an_image(path)
    except Image.DecompressionBombError as error:  # Pillow's own limit, which it applies while opening
        return too_large(str(error).partition("(")[2].partition(" pixels")[0] or "too many")
    except OSError as error:
        if error.strerror:
            return ScanResult("unreadable", f"cannot be read: {error.strerror}")
        return broken(error, path)
    except Exception as error:  # Pillow raises whatever its many decoders do
        return broken(error, path)


def too_large(size: str) -> ScanResult:
    """A decompression bomb, or an image that nobody needs in this size."""
    return ScanResult("too_large", f"{size} pixels, more than the limit of {PIXEL_LIMIT:,}: make it smaller")


def not_an_image(path: str | os.PathLike[str]) -> ScanResult:
    """A file that no decoder knows, which is worse if its name says that it is an image."""
    if not has_image_suffix(path):
        return ScanResult("not_an_image", "not an image file")
    with open(path, "rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp":
        return ScanResult("unreadable", "a HEIC or AVIF image that is not decoded here: convert it to JPEG")
    return ScanResult("unreadable", "its content is not an image, whatever its name says")


def broken(error: Exception, path: str | os.PathLike[str]) -> ScanResult:
    """A file that starts like an image but cannot be decoded."""
    text = " ".join(str(error).split()).replace(f" '{path}'", "").replace(f" {str(path)!r}", "")
    text = text or type(error).__name__
    return ScanResult("truncated" if "truncated" in text.lower() else "unreadable", text)


def header_notes(path: str | os.PathLike[str], image: "Image.Image") -> list[tuple[str, str]]:
    """What is unusual about an image that has been opened but not decoded, as pairs (word, detail)."""
    notes = []
    suffix = Path(path).suffix
    if image.format not in SUFFIXES.get(suffix.lower(), ()):
        notes.append(("wrong_suffix", f"its content is {image.format}, its suffix {suffix or 'missing'}"))
    if image.format not in KNOWN_TO_MINDSPORE:
        notes.append(("pillow_only", f"{image.format}: decoded by Pillow, as MindSpore does not know it"))
    tile = getattr(image, "tile", None)
    if image.mode == "F" or (image.format == "TIFF" and image.mode == "I"):
        notes.append(("deep", "32 bits per value: its own range becomes 0 to 255"))
    elif image.format in ("PNG", "TIFF", "PPM") and tile and "16" in str(tile[0][3]):
        notes.append(("deep", "16 bits per channel: the upper 8 are used"))
    if image.mode == "CMYK":
        notes.append(("cmyk", "CMYK colours: turned into RGB"))
    if image.mode in ("P", "PA"):
        notes.append(("palette", "colours from a palette"))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append(("alpha", "transparency is dropped"))
    if image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I"):
        notes.append(("grey", "grey: the same value for red, green and blue"))
    if image.format not in JPEG and getattr(image, "is_animated", False):
        notes.append(("animated", "only its first frame is used"))
    return notes


def orientation_of(image: "Image.Image") -> int:
    """The EXIF orientation of an opened image, 1 (upright) to 8."""
    try:
        exif = image.getexif()
    except Exception:  # Pillow raises several kinds of errors; damaged metadata do no harm
        return UPRIGHT
    return orientation(exif)


def shrink(image: "Image.Image", side: int, mode: Literal["L", "RGB"]) -> "Image.Image":
    """An image made small and upright, ``side`` x ``side`` pixels."""
    from PIL import Image

    image.draft("RGB", (4 * side, 4 * side))  # a JPEG is decoded at a fraction of its size
    image.load()
    small = eight_bits(image).convert("RGB").convert(mode).resize((side, side), Image.Resampling.BOX)
    turns = (  # what brings orientations 2 to 8 upright
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    )
    turned = orientation_of(image)
    return small if turned == UPRIGHT else small.transpose(turns[turned - 2])


def examine_all(paths: Sequence[str]) -> dict[str, ScanResult]:
    """Read many files at once; see :func:`examine`.

    Returns:
        A result for each path, in the order given.
    """
    return dict(zip(paths, in_threads(examine, paths, "checking"), strict=True))
