"""Looking at files one by one: which can be used as photos, and what is unusual about them."""

import os
import stat
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mstl.data.decode import ORIENTATION, eight_bits, needs_pillow
from mstl.data.samples import ScanResult, stamp
from mstl.files import digest
from mstl.runtime.devices import clamp_workers

PIXEL_LIMIT = 100_000_000  # a photo with more is refused, from its header: a small file can fill the memory
THUMB = 16  # side of the small grey picture that look-alikes are searched by
SUFFIXES = {  # what a file's name promises
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", "MPO")),
    ".mpo": ("MPO", "JPEG"),
    **dict.fromkeys((".png", ".apng"), ("PNG",)),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    ".gif": ("GIF",),
    ".webp": ("WEBP",),
    **dict.fromkeys((".avif", ".avifs"), ("AVIF",)),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf"), ("JPEG2000",)),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), ("PPM",)),
    **dict.fromkeys((".heic", ".heif"), ("HEIF",)),
}
JPEG = ("JPEG", "MPO")
KNOWN_TO_MINDSPORE = (*JPEG, "PNG", "BMP", "DIB", "TIFF")
DRAWINGS = ("EPS", "WMF")  # Pillow would start another program to render these


def examine(path):
    """Look at one file; whatever is wrong with it is in the answer, nothing is raised.

    The whole file is decoded (a JPEG at a fraction of its size, which reads all of it but is quicker), so that a
    truncated one is found too.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        before, status = stamp(path) or "", os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return ScanResult("unreadable", "neither a file nor a link to one")
        if status.st_size == 0:
            return ScanResult("empty", "empty file")
        with Image.open(path) as image:
            if image.width * image.height > PIXEL_LIMIT:
                return too_large(f"{image.width} x {image.height}")
            if image.format in DRAWINGS:
                return ScanResult("unreadable", f"{image.format}, which is no photo: convert it to JPEG or PNG")
            notes = header_notes(path, image)
            thumb = shrink(image, THUMB, "L")
            turned = orientation(image)  # some formats keep it behind the pixels
            if turned != 1:
                notes.append(("rotated", f"EXIF orientation {turned}: it is turned upright"))
        with open(path, "rb") as file:
            native = not needs_pillow(file.read(2**17))
        return ScanResult("", "", tuple(notes), native, digest(path)[:32], thumb.tobytes(), before)
    except UnidentifiedImageError:
        return not_an_image(path)
    except Image.DecompressionBombError as error:  # Pillow's own limit, which it applies before one can ask
        return too_large(str(error).partition("(")[2].partition(" pixels")[0] or "too many")
    except OSError as error:
        if error.strerror:
            return ScanResult("unreadable", f"cannot be read: {error.strerror}")
        return broken(error, path)
    except Exception as error:  # Pillow raises whatever its many decoders do
        return broken(error, path)


def too_large(size):
    """A decompression bomb, or a picture that nobody needs in this size."""
    return ScanResult("too_large", f"{size} pixels, more than the limit of {PIXEL_LIMIT:,}: make it smaller")


def not_an_image(path):
    """A file that no decoder knows; worse under an image's name than under another."""
    if Path(path).suffix.lower() not in SUFFIXES:
        return ScanResult("not_an_image", "not an image file")
    with open(path, "rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp":
        return ScanResult("unreadable", "a HEIC or AVIF photo that is not decoded here: convert it to JPEG")
    return ScanResult("unreadable", "its content is not an image, whatever its name says")


def broken(error, path):
    """A file that starts like an image but cannot be decoded."""
    text = " ".join(str(error).split()).replace(f" '{path}'", "").replace(f" {str(path)!r}", "")
    text = text or type(error).__name__
    return ScanResult("truncated" if "truncated" in text.lower() else "unreadable", text)


def header_notes(path, image):
    """What is unusual about a picture that has been opened but not decoded."""
    notes = []
    suffix = Path(path).suffix
    if image.format not in SUFFIXES.get(suffix.lower(), ()):
        notes.append(("wrong_suffix", f"its content is {image.format}, its suffix {suffix or 'missing'}"))
    if image.format not in KNOWN_TO_MINDSPORE:
        notes.append(("pillow_only", f"{image.format}: decoded by Pillow, as MindSpore does not know it"))
    if image.mode == "F" or (image.format == "TIFF" and image.mode == "I"):
        notes.append(("deep", "32 bits a value: its own range becomes 0 to 255"))
    elif image.format in ("PNG", "TIFF", "PPM") and image.tile and "16" in str(image.tile[0][3]):
        notes.append(("deep", "16 bits a channel: the upper 8 are used"))
    if image.mode == "CMYK":
        notes.append(("cmyk", "CMYK colours: turned into RGB"))
    if image.mode in ("P", "PA"):
        notes.append(("palette", "colours from a palette"))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append(("alpha", "transparency is dropped"))
    if image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I"):
        notes.append(("grey", "grey: the same value for red, green and blue"))
    if image.format not in JPEG and getattr(image, "is_animated", False):
        notes.append(("animated", "only its first picture is used"))
    return notes


def orientation(image):
    """The EXIF orientation, 1 (upright) to 8; 1 where there is none or it makes no sense."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged metadata harm nobody
        return 1
    return value if value in range(1, 9) else 1


def shrink(image, side, mode):
    """A picture made small and upright: mode "L" or "RGB", ``side`` x ``side`` pixels."""
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
    turned = orientation(image)
    return small if turned == 1 else small.transpose(turns[turned - 2])


def examine_all(paths):
    """Look at many files at once; see :func:`examine`.

    Returns:
        A dict from path to :class:`ScanResult`, in the order given.
    """
    return dict(zip(paths, in_threads(examine, paths, "checking"), strict=True))


def in_threads(function, items, label):
    """``map`` by as many threads as there are cores, with a progress bar on stderr where that is a terminal."""
    from tqdm import tqdm

    with warnings.catch_warnings(), ThreadPoolExecutor(clamp_workers()) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which harms nobody here
        results = pool.map(function, items)
        bar = tqdm(results, total=len(items), desc=label, leave=False, disable=not sys.stderr.isatty())
        return list(bar)
