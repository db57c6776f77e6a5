"""Opening: an image file, opened by Pillow within limits; whatever is wrong with it becomes one kind of error."""

import contextlib
import io
import os
import stat
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mstl.data.image_files import has_image_suffix

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

ImageFile: TypeAlias = str | os.PathLike[str] | bytes | NDArray[np.uint8]  # a path, or the content of a file

PIXEL_LIMIT = 100_000_000  # an image with more is refused by its header: a small file could fill the memory
RATIO_LIMIT = 100  # times as long as wide: resized by the shorter side, such an image would fill the memory, too
SCAN_LIMIT = 250  # of a progressive JPEG, which has about 10: each can be tiny, and goes over all pixels
SECONDS = 20.0  # of processor time for one image; the largest images take 1
DRAWINGS = ("EPS", "WMF")  # Pillow would start another program to render these
CONTAINERS = ("BUFR", "GRIB", "HDF5", "MPEG")  # Pillow knows them by their header, and cannot read them

# Pillow warns of odd metadata, which do no harm here, and of sizes, which have limits here. Not by catch_warnings,
# which is not thread-safe.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", message=r"Image size \(", module=r"PIL\.")


class UnreadableImage(Exception):
    """An image that cannot be used.

    Attributes:
        problem: Why, in a word of :data:`mstl.data.checking.findings.ERRORS` or "not_an_image".
        detail: Why, as a sentence for users.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem, self.detail = problem, detail


class TimedFile(io.BufferedReader):
    """A file that refuses to be read further once the thread has worked on it for :data:`SECONDS`."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self.end = time.thread_time() + SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, unless the time is over."""
        if time.thread_time() > self.end:
            raise UnreadableImage("unreadable", f"takes more than {SECONDS:.0f} seconds to decode")
        return super().read(size)


@contextlib.contextmanager
def open_image(source: ImageFile) -> Iterator["Image.Image"]:
    """In this block, an image is open, with its header read and within all limits, and can be decoded.

    Raises:
        UnreadableImage: The file is not there, is no image, is beyond a limit, or what the block does with the image
            fails.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with open_file(source) as file:
            try:
                image = Image.open(file)
                if image.format in CONTAINERS:
                    raise UnidentifiedImageError(image.format)
            except UnidentifiedImageError as error:
                file.seek(0)
                raise not_an_image(source, file.read(12)) from error
            with image:
                check_limits(image)
                check_scans(image, file)
                yield image
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, which it applies while opening
        raise too_large(str(error).partition("(")[2].partition(" pixels")[0] or "too many") from error
    except MemoryError as error:
        raise UnreadableImage("too_large", "needs more memory than there is: make it smaller") from error
    except OSError as error:
        if error.strerror:
            raise UnreadableImage("unreadable", f"cannot be read: {error.strerror}") from error
        raise broken(error) from error
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise broken(error) from error


def open_file(source: ImageFile) -> TimedFile:
    """A file, or the content of one, to be read within the time limit.

    Raises:
        UnreadableImage: It is empty, or no file.
        OSError: It cannot be opened.
    """
    raw: io.RawIOBase | io.BytesIO
    if isinstance(source, (str, os.PathLike)):
        status = os.stat(source)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage("unreadable", "neither a file nor a link to one")
        raw, size = io.FileIO(source), status.st_size
    else:
        raw, size = io.BytesIO(source if isinstance(source, bytes) else source.tobytes()), len(source)
    if size == 0:
        raw.close()
        raise UnreadableImage("empty", "empty file")
    return TimedFile(raw)  # type: ignore[arg-type]  # BytesIO has all that a buffered reader asks of raw files


def check_limits(image: "Image.Image") -> None:
    """Check an image by its header.

    Raises:
        UnreadableImage: It has too many pixels, is too narrow, or is a drawing.
    """
    if image.width * image.height > PIXEL_LIMIT:
        raise too_large(f"{image.width} x {image.height}")
    if max(image.size) > RATIO_LIMIT * min(image.size):
        raise UnreadableImage(
            "too_long",
            f"{image.width} x {image.height} pixels: one side is more than {RATIO_LIMIT} times the other; crop it",
        )
    if image.format in DRAWINGS:
        raise UnreadableImage("unreadable", f"{image.format}, which is a drawing: convert it to JPEG or PNG")


def check_scans(image: "Image.Image", file: io.BufferedReader) -> None:
    """Check an opened progressive JPEG for a great number of scans, each of which takes time.

    Raises:
        UnreadableImage: It has too many.
    """
    if not image.info.get("progressive"):
        return
    position = file.tell()
    file.seek(0)
    scans = file.read().count(b"\xff\xda")
    file.seek(position)
    if scans > SCAN_LIMIT:
        raise UnreadableImage("unreadable", f"a JPEG of {scans} scans, which would take minutes: save it again")


def too_large(size: str) -> UnreadableImage:
    """A decompression bomb, or an image that nobody needs in this size."""
    return UnreadableImage("too_large", f"{size} pixels, more than the limit of {PIXEL_LIMIT:,}: make it smaller")


def not_an_image(source: ImageFile, start: bytes) -> UnreadableImage:
    """A file that no decoder knows, by its first 12 bytes; it is worse if its name says that it is an image."""
    if start[4:8] == b"ftyp":
        return UnreadableImage("unreadable", "a HEIC or AVIF image that is not decoded here: convert it to JPEG")
    if not isinstance(source, (str, os.PathLike)):
        return UnreadableImage("not_an_image", "not an image")
    if not has_image_suffix(source):
        return UnreadableImage("not_an_image", "not an image file")
    return UnreadableImage("unreadable", "its content is not an image, whatever its name says")


def broken(error: Exception) -> UnreadableImage:
    """A file that starts like an image but cannot be decoded."""
    text = " ".join(str(error).split()) or type(error).__name__
    return UnreadableImage("truncated" if "truncated" in text.lower() else "unreadable", text)
