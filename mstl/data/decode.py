"""Photo files as bytes that MindSpore's C++ decoder shows rightly; what it cannot, Pillow decodes.

The C++ decoder was tried with each kind of file. It reads JPEG (grey and CMYK too), PNG (palette, grey, 16 bits) and
BMP as Pillow does, but knows nothing of the orientation that a camera notes in a JPEG or PNG, blackens what is
transparent in a TIFF, and refuses GIF, WebP, JPEG 2000, float TIFF and the rest.
"""

import io
import warnings

import numpy as np

ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = 1
LARGE = 1024  # pixels: a large JPEG that must go through Pillow is decoded at 1/2, 1/4 or 1/8, no smaller than this

# Pillow warns of odd metadata, which harms nobody here. Not by catch_warnings, which is not for several threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_image_bytes(path):
    """The bytes of a photo, for MindSpore's ``vision.Decode`` and ``vision.RandomCropDecodeResize``.

    Args:
        path: Any image that Pillow opens; of an animation, the first frame counts.

    Returns:
        A uint8 array: the file as it is, or the upright picture as an uncompressed PPM.

    Raises:
        OSError: It is not there, is not an image, or is truncated.
    """
    data = np.fromfile(path, dtype=np.uint8)
    if needs_pillow(data) or is_cut_off(data):
        return np.frombuffer(to_ppm(data), dtype=np.uint8)
    return data


def is_cut_off(data):
    """Whether a JPEG lacks its end mark: the C++ decoder may kill the process over it, Pillow raises an error."""
    return data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data[-1024:].tobytes()


def needs_pillow(data):
    """Whether the C++ decoder would refuse these bytes or show them wrongly.

    Args:
        data: An image file, as a uint8 array or as bytes; the first 128 KiB do.
    """
    head = bytes(memoryview(data)[: 2**17])
    block = exif_block(head)
    return block is None or orientation(block) != UPRIGHT


def exif_block(head):
    """The EXIF data in the head of a JPEG, PNG or BMP, empty where it has none.

    None stands for any other kind, and for a head that ends before the picture begins: on a JPEG that does,
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
            kind, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
            if kind == 0xDA:
                return exif
            if kind == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
                exif = head[at + 4 : at + 2 + length]
            at += 2 + length
    return None


def orientation(exif):
    """How to turn the picture, from 1 (not at all) to 8, as EXIF counts; 1 where it says nothing, or nonsense."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = "big" if tiff.startswith(b"MM") else "little"
    start = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[start : start + 2], order)
    for at in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):  # entries: tag, type, count, value
        if int.from_bytes(tiff[at : at + 2], order) == ORIENTATION:
            value = int.from_bytes(tiff[at + 8 : at + 10], order)
            return value if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT


def to_ppm(data):
    """Any image file's bytes as those of an uncompressed PPM: upright, RGB, first frame."""
    picture = upright(io.BytesIO(data))
    return b"P6\n%d %d\n255\n" % picture.size + picture.tobytes()


def upright(file):
    """A photo as Pillow sees it, upright and in RGB; transparency is dropped, as the C++ decoder does in PNG.

    Args:
        file: A path or an open file.

    Raises:
        OSError: Not there, not an image, or truncated.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            image.draft("RGB", (LARGE, LARGE))
            return eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except OSError:
        raise
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise OSError(f"cannot be decoded: {error}") from error


def eight_bits(image):
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
