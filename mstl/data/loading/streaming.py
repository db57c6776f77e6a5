"""Streaming: images of any kind in batches for a model; one that cannot be read is named and does not stop the rest."""

import io
import itertools
import os
import stat
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import mindspore.dataset as ds
import numpy as np
from mindspore.dataset.transforms.transforms import TensorOperation
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mstl.data.checking.scan import DRAWINGS, PIXEL_LIMIT, examine
from mstl.data.decode import eight_bits, is_cut_off, needs_pillow, to_ppm
from mstl.data.finding.predict_inputs import Address, Unreadable
from mstl.data.loading.loader import DUMP, PREFETCH, prefetch_size
from mstl.errors import MstlError
from mstl.runtime import mindspore_thread
from mstl.runtime.devices import clamp_workers
from mstl.runtime.memory import trim_memory

ImageInput: TypeAlias = str | os.PathLike[str] | bytes | NDArray[np.uint8] | Image.Image | Address | Unreadable
Faults: TypeAlias = list[str | None]  # for each image, why it cannot be read; None if it can
Pixels: TypeAlias = NDArray[np.float32]

# What Pillow would warn of is refused here, or harmless. Not by catch_warnings, which is not for several threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

CHUNK = 1024  # images in a pipeline, which takes a tenth of a second to start
PLACEHOLDER = b"P6\n1 1\n255\n\0\0\0"  # what the pipeline gets in the place of an image that cannot be read


def batches(
    images: Iterable[ImageInput], transforms: Sequence[TensorOperation], batch_size: int
) -> Iterator[tuple[Sequence[ImageInput], Faults, Pixels]]:
    """Bring images to what a model expects, by MindSpore's C++ pipeline, while the last ones are being computed.

    The images are taken in the calling thread, and the batches made in the MindSpore thread.

    Args:
        images: Paths, image files as bytes, uint8 arrays ((H, W), (H, W, 1), (H, W, 3) or (H, W, 4)), Pillow's images,
            and what :func:`mstl.data.finding.predict_inputs.find_images` yields; read as they are needed, 1,024 at a
            time.
        transforms: Operations on each image, such as :func:`mstl.data.loading.transforms.eval_transforms` returns.
        batch_size: Images in a batch.

    Yields:
        n of the images, why each cannot be read (None if it can), and (m, 3, H, W) pixels of the m that can be read.
        All images come, in their order.

    Raises:
        MstlError: An image is none of the above.
    """
    images = iter(images)
    while pending := [checked(image) for image in itertools.islice(images, CHUNK)]:
        while pending:
            count = 0
            for faults, pixels in mindspore_thread.read(by_pipeline, pending, transforms, batch_size):
                part, count = pending[count : count + len(faults)], count + len(faults)
                yield part, faults, pixels
            pending = pending[count:]  # where there are any, the C++ decoder has refused one of the next ones
            part, pending = pending[:batch_size], pending[batch_size:]
            if part:
                yield part, *one_by_one(part, transforms)
        trim_memory()  # each pipeline has threads of its own, and what they freed would add up


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


class ImageBytesSource:
    """Encoded images with their numbers, for GeneratorDataset.

    Attributes:
        faults: For the number of each image that was asked for and cannot be read, why.
    """

    def __init__(self, images: Sequence[ImageInput]) -> None:
        self.images = images
        self.faults: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], np.int32]:
        try:
            data = encoded(self.images[index])
        except OSError as error:
            self.faults[int(index)] = reason(self.images[index], error)
            data = PLACEHOLDER
        return np.frombuffer(data, np.uint8), np.int32(index)


def by_pipeline(
    images: Sequence[ImageInput], transforms: Sequence[TensorOperation], batch_size: int
) -> Generator[tuple[Faults, Pixels], None, None]:
    """Faults and pixels of images, in batches; ends early where the C++ decoder refuses one."""
    source, dump = ImageBytesSource(images), Path(DUMP).absolute()
    had_dump = os.path.lexists(dump)
    options = {"shuffle": False, "num_parallel_workers": clamp_workers(), "python_multiprocessing": False}
    dataset = ds.GeneratorDataset(source, ["image", "number"], **options)
    dataset = dataset.map(transforms, input_columns="image", num_parallel_workers=clamp_workers())
    dataset = dataset.batch(batch_size, drop_remainder=False, num_parallel_workers=1)
    with prefetch_size(PREFETCH):
        stream = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True, do_copy=False)
    try:
        for pixels, numbers in stream:
            faults = [source.faults.get(number) for number in numbers.tolist()]
            yield faults, pixels[[fault is None for fault in faults]] if any(faults) else pixels
    except RuntimeError:
        if not had_dump:
            dump.unlink(missing_ok=True)


def one_by_one(images: Sequence[ImageInput], transforms: Sequence[TensorOperation]) -> tuple[Faults, Pixels]:
    """Faults and pixels of a few images, each in a pipeline of its own; Pillow decodes what the C++ decoder refuses."""
    all_faults: Faults = []
    all_pixels: list[Pixels] = []
    for image in images:
        answer = next(mindspore_thread.read(by_pipeline, [image], transforms, 1), None)
        if answer is None:
            try:
                answer = next(mindspore_thread.read(by_pipeline, [to_ppm(encoded(image))], transforms, 1))
            except OSError as error:
                answer = [reason(image, error)], np.empty(0, np.float32)
        all_faults += answer[0]
        all_pixels += list(answer[1])
    return all_faults, np.array(all_pixels, np.float32)


def encoded(image: ImageInput) -> bytes | NDArray[np.uint8]:
    """An image as the bytes of a file that MindSpore's decoder shows correctly, upright and in colour.

    Raises:
        OSError: It does not exist, is not an image, is truncated, or has too many pixels.
    """
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image.squeeze(2) if image.shape[2:] == (1,) else image)
    if isinstance(image, Image.Image):
        return as_ppm(image)
    data = content(image)
    check_header(data)
    return to_ppm(data) if needs_pillow(data) or is_cut_off(data) else data


def as_ppm(image: Image.Image) -> bytes:
    """Pillow's image as a PPM.

    Raises:
        OSError: It was opened, but cannot be read to its end.
    """
    try:
        picture = eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise OSError(f"cannot be decoded: {error}") from error
    return b"P6\n%d %d\n255\n" % picture.size + picture.tobytes()


def content(image: str | os.PathLike[str] | bytes | Address | Unreadable) -> NDArray[np.uint8]:
    """The bytes of an image file.

    Raises:
        OSError: It cannot be read.
    """
    if isinstance(image, Unreadable):
        raise OSError(image.reason)
    if isinstance(image, (Address, bytes)):
        return np.frombuffer(image if isinstance(image, bytes) else image.read(), np.uint8)
    if not stat.S_ISREG(os.stat(image).st_mode):
        raise OSError("neither a file nor a link to one")
    return np.fromfile(image, np.uint8)


def check_header(data: NDArray[np.uint8]) -> None:
    """Refuse, before it is decoded, what would fill the memory, or what Pillow would start another program for.

    Raises:
        OSError: It is such a file, or no image at all.
    """
    try:
        with Image.open(io.BytesIO(data.data)) as image:
            pixels, kind = image.width * image.height, image.format
    except UnidentifiedImageError as error:
        raise OSError("not an image") from error
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise OSError(f"cannot be decoded: {error}") from error
    if pixels > PIXEL_LIMIT or kind in DRAWINGS:
        raise OSError(f"{kind} of {pixels:,} pixels, which is not accepted as an image")


def reason(image: ImageInput, error: OSError) -> str:
    """Why an image cannot be read, as a sentence for users."""
    if isinstance(image, (str, os.PathLike)):
        detail = examine(image).detail
        if detail:
            return detail
    return " ".join((error.strerror or str(error)).split())


def path_of(image: ImageInput) -> str | None:
    """Path or URL of an image; None if it has none."""
    if isinstance(image, (str, os.PathLike)):
        return os.fspath(image)
    if isinstance(image, Address):
        return image.url
    return image.path if isinstance(image, Unreadable) else None
