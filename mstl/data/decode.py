"""Decode: image files as bytes that MindSpore's C++ decoder shows correctly; others are decoded by Pillow.

The C++ decoder was tried with each kind of file. It reads JPEG (grey and CMYK too), PNG (palette, grey, 16 bits) and
BMP as Pillow does, but ignores the orientation that a camera stores in a JPEG or PNG, blackens transparent parts of a
TIFF, and refuses GIF, WebP, JPEG 2000, float TIFF and the rest.
"""

import io
import os
import warnings
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = 1
HEAD = 2**17  # bytes in which the header of an image file is looked for
LARGE = 1024  # pixels: a large JPEG that must go through Pillow is decoded at 1/2, 1/4 or 1/8, no smaller than this

# Pillow warns of odd metadata, which does no harm here. Not by catch_warnings, which is not thread-safe.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_image_bytes(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The bytes of an image, for MindSpore's ``vision.Decode`` and ``vision.RandomCropDecodeResize``.

    Args:
        path: Any image that Pillow opens; of an animation, the first frame counts.

    Returns:
        (bytes,) the file as it is, or the upright image as an uncompressed PPM.

    Raises:
        OSError: It is not there, is not an image, or is truncated.
    """
    data = np.fromfile(path, dtype=np.uint8)
    if needs_pillow(data) or is_cut_off(data):
        return np.frombuffer(to_ppm(data), dtype=np.uint8)
    return data


def is_cut_off(data: NDArray[np.uint8]) -> bool:
    """Whether a JPEG lacks its end mark: the C++ decoder may kill the process for that, Pillow raises an error."""
    return data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data[-1024:].tobytes()


def needs_pillow(data: NDArray[np.uint8] | bytes) -> bool:
    """Whether the C++ decoder would refuse these bytes or show them incorrectly.

    Args:
        data: An image file; its first 128 KiB suffice.
    """
    block = exif_block(bytes(data[:HEAD]))
    return block is None or (block != b"" and orientation(parsed_exif(block)) != UPRIGHT)


def exif_block(head: bytes) -> bytes | None:
    """The EXIF data in the head of a JPEG, PNG or BMP, empty if it has none.

    None stands for any other kind, and for a head that ends before the pixels begin: on a JPEG that does,
    ``vision.RandomCropDecodeResize`` divides by zero, and the process dies.
    """
    if head.startswith(b"BM"):
        return b""
    exif = b""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        at = 8
        while at + 8 <= len(head):  # chunks: length, kind, data, checksum
            length, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
            if kind == b"IDAT":
                return exif
            if kind == b"eXIf":
                exif = head[at + 8 : at + 8 + length]
            at += 12 + length
    elif head.startswith(b"\xff\xd8"):
        at = 2
        while at + 4 <= len(head) and head[at] == 0xFF:  # segments: 0xFF, kind, length (itself included), data
            marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
            if marker == 0xDA:
                return exif
            if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
                exif = head[at + 4 : at + 2 + length]
            at += 2 + length
    return None


def parsed_exif(block: bytes) -> "Image.Exif":
    """EXIF data as Pillow reads it; empty if they are damaged."""
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(block)
    except Exception:  # Pillow raises several kinds of errors; damaged metadata do no harm
        return Image.Exif()
    return exif


def orientation(exif: "Image.Exif") -> int:
    """How an image is to be turned, from 1 (upright) to 8, as EXIF counts; 1 for none or nonsense."""
    try:
        value: object = exif.get(ORIENTATION)  # decodes the value only now
    except Exception:  # as above
        return UPRIGHT
    return value if isinstance(value, int) and UPRIGHT <= value <= 8 else UPRIGHT


def to_ppm(data: NDArray[np.uint8] | bytes) -> bytes:
    """An image file as an uncompressed PPM: upright, RGB, first frame."""
    image = upright(io.BytesIO(bytes(data)))
    return b"P6\n%d %d\n255\n" % image.size + image.tobytes()


def upright(file: str | os.PathLike[str] | IO[bytes], reduce: bool = True) -> "Image.Image":
    """An image as Pillow sees it, upright and in RGB; transparency is dropped, as the C++ decoder does in PNG.

    Args:
        file: A path or an open file.
        reduce: Whether to decode a large JPEG at a fraction of its size, which is quicker.

    Raises:
        OSError: It is not there, is not an image, or is truncated.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            if reduce:
                image.draft("RGB", (LARGE, LARGE))
            return eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except OSError:
        raise
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise OSError(f"cannot be decoded: {error}") from error


def eight_bits(image: "Image.Image") -> "Image.Image":
    """Grey of more than 8 bits as grey of 8, which Pillow's ``convert`` would clip to white; other images as they are.

    16 bits become the upper 8, as in the C++ decoder. 32 bits and floats have no agreed white: their own range is used.
    """
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        low, high = values.min(), values.max()
        return Image.fromarray(np.rint((values - low) * (255 / ((high - low) or 1))).astype(np.uint8))
    return image
