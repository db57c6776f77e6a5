"""Streaming: images of any kind in batches for a model; one that cannot be read is named and does not stop the rest."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mstl.data.decode import eight_bits
from mstl.data.finding.predict_inputs import Address, Unreadable
from mstl.data.loading.pixels import Source, model_input
from mstl.data.opening import UnreadableImage, broken
from mstl.data.threads import ahead
from mstl.errors import MstlError
from mstl.preprocessing import Preprocessing
from mstl.runtime.devices import clamp_workers

ImageInput: TypeAlias = str | os.PathLike[str] | bytes | NDArray[np.uint8] | Image.Image | Address | Unreadable
Faults: TypeAlias = list[str | None]  # for each image, why it cannot be read; None if it can
Prepare: TypeAlias = Callable[[Source, Preprocessing], NDArray[Any]]


def batches(
    images: Iterable[ImageInput], preprocessing: Preprocessing, batch_size: int, prepare: Prepare = model_input
) -> Iterator[tuple[Sequence[ImageInput], Faults, NDArray[Any]]]:
    """Bring images to what a model expects, in threads, while the last ones are being computed.

    Args:
        images: Paths, image files as bytes, uint8 arrays ((H, W), (H, W, 1), (H, W, 3) or (H, W, 4)), Pillow's images,
            and what :func:`mstl.data.finding.predict_inputs.find_images` yields; read as they are needed, a batch
            ahead.
        preprocessing: What the model expects.
        batch_size: Images in a batch.
        prepare: Makes a model's input of an image, by default normalised (3, H, W).

    Yields:
        n of the images, why each cannot be read (None if it can), and (m, ...) inputs of the m that can be read. All
        images come, in their order.

    Raises:
        MstlError: An image is none of the above.
    """

    def read(image: ImageInput) -> tuple[ImageInput, NDArray[Any] | str]:
        try:
            return image, prepare(content(image), preprocessing)
        except UnreadableImage as error:
            return image, error.detail
        except OSError as error:
            return image, " ".join((error.strerror or str(error)).split())

    inputs = map(checked, images)
    is_single = isinstance(images, Sequence) and len(images) == 1  # which a thread would only delay
    reading = (read(image) for image in inputs) if is_single else ahead(read, inputs, clamp_workers(), batch_size)
    with contextlib.closing(reading) as results:
        while part := list(itertools.islice(results, batch_size)):
            pixels = [result for _, result in part if not isinstance(result, str)]
            faults = [result if isinstance(result, str) else None for _, result in part]
            array = np.stack(pixels) if pixels else np.empty(0, np.float32)
            yield [image for image, _ in part], faults, array


def checked(image: ImageInput) -> ImageInput:
    """The image itself.

    Raises:
        MstlError: It is of a type or shape that no image has.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
            raise MstlError(
                f"an array of {image.dtype} and shape {image.shape} is not an image: give uint8 of (height, width, 3)"
            )
        if image.size == 0:
            raise MstlError(f"an array of shape {image.shape} has no pixels")
    elif not isinstance(image, (str, os.PathLike, bytes, Image.Image, Address, Unreadable)):
        raise MstlError(f"{type(image).__name__} is not an image: give paths, arrays, bytes or Pillow's images")
    return image


def content(image: ImageInput) -> str | os.PathLike[str] | bytes | Image.Image:
    """A path, the content of a file, or an upright RGB image.

    Raises:
        UnreadableImage: Pillow's image was opened, but cannot be read to its end.
        OSError: It cannot be downloaded, or is known to be unreadable.
    """
    if isinstance(image, Unreadable):
        raise OSError(image.reason)
    if isinstance(image, Address):
        return image.read()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image.squeeze(2) if image.shape[2:] == (1,) else image)
    if not isinstance(image, Image.Image):
        return image
    try:
        return eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise broken(error) from error


def path_of(image: ImageInput) -> str | None:
    """Path or URL of an image; None if it has none."""
    if isinstance(image, (str, os.PathLike)):
        return os.fspath(image)
    if isinstance(image, Address):
        return image.url
    return image.path if isinstance(image, Unreadable) else None
