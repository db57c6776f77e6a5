"""Decode: an opened image as upright RGB pixels.

Everything that looks at images decodes them by this and :mod:`mstl.data.opening`, with Pillow: the check, training,
feature extraction, evaluation, prediction and plots. MindSpore's decoder is not used: a damaged JPEG can end its
process by a segmentation fault, and it ignores the orientation that cameras store.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.data.image_files import JPEG

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = 1
TURNED = 5  # from this orientation on, width and height change places
STRIP = 2**20  # values that are brought to 8 bits at once


def orientation(image: "Image.Image") -> int:
    """How an image is to be turned, from 1 (upright) to 8, as EXIF counts, or XMP where there is no EXIF.

    Only of a JPEG can this be said before it is decoded: PNG may store it behind the pixels, and Pillow turns a TIFF
    while it decodes it.
    """
    if image.format not in JPEG:
        image.load()
    try:
        value: object = image.getexif().get(ORIENTATION)
    except Exception:  # Pillow raises several kinds of errors; damaged metadata do no harm
        return UPRIGHT
    return value if isinstance(value, int) and UPRIGHT <= value <= 8 else UPRIGHT


def upright_size(image: "Image.Image") -> tuple[int, int]:
    """Width and height of an opened image once it is upright, in pixels."""
    return image.size if orientation(image) < TURNED else (image.height, image.width)


def decoded(image: "Image.Image", smallest: tuple[int, int] | None = None) -> "Image.Image":
    """An opened image decoded: upright, RGB; of an animation, the first frame. Transparency is dropped.

    Args:
        image: From :func:`mstl.data.opening.open_image`, in its block.
        smallest: Width and height, upright, that are large enough. A JPEG is decoded at 1/2, 1/4 or 1/8 of its size, if
            that is no smaller, which is quicker; other images are decoded in full, as all are if this is None.

    Raises:
        OSError: It is damaged; and whatever else Pillow's decoders raise, which ``open_image`` names.
    """
    from PIL.Image import Transpose

    turned = orientation(image)
    if smallest is not None:
        image.draft("RGB", smallest if turned < TURNED else smallest[::-1])
    image.load()
    rgb = eight_bits(image).convert("RGB")
    turns = (  # what brings orientations 2 to 8 upright
        Transpose.FLIP_LEFT_RIGHT,
        Transpose.ROTATE_180,
        Transpose.FLIP_TOP_BOTTOM,
        Transpose.TRANSPOSE,
        Transpose.ROTATE_270,
        Transpose.TRANSVERSE,
        Transpose.ROTATE_90,
    )
    return rgb if turned == UPRIGHT else rgb.transpose(turns[turned - 2])


def eight_bits(image: "Image.Image") -> "Image.Image":
    """Grey of more than 8 bits as grey of 8, which Pillow's ``convert`` would clip to white; other images as they are.

    16 bits become the upper 8. 32 bits and floats have no agreed white: their own range is used.
    """
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode not in ("I", "F"):
        return image
    values = np.asarray(image)
    grey = np.empty(values.shape, np.uint8)
    rows = max(1, STRIP // image.width)  # float64 of all would take much memory
    strips = [slice(start, start + rows) for start in range(0, image.height, rows)]
    low = min(finite(values[strip]).min() for strip in strips)
    high = max(finite(values[strip]).max() for strip in strips)
    for strip in strips:
        grey[strip] = np.rint((finite(values[strip]) - low) * (255 / ((high - low) or 1)))
    return Image.fromarray(grey)


def finite(values: NDArray[np.float32] | NDArray[np.int32]) -> NDArray[np.float64]:
    """Values without NaN and infinity."""
    limit = float(np.finfo(np.float32).max)
    return np.nan_to_num(values.astype(np.float64), posinf=limit, neginf=-limit)
