"""Photos of any kind in batches for a net; what cannot be read is named, and does not stop the rest."""

import io
import itertools
import os
import stat
import warnings
from pathlib import Path

import mindspore.dataset as ds
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mstl.data.checking.scan import DRAWINGS, PIXEL_LIMIT, examine
from mstl.data.decode import eight_bits, is_cut_off, needs_pillow, to_ppm
from mstl.data.finding.predict_inputs import Address, Unreadable
from mstl.data.loading.loader import DUMP, PREFETCH, prefetch_size
from mstl.errors import MstlError
from mstl.runtime.devices import clamp_workers
from mstl.runtime.interrupts import take_ctrl_c_back
from mstl.runtime.memory import trim_memory

# What Pillow would warn of is refused here, or harmless. Not by catch_warnings, which is not for several threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

CHUNK = 1024  # photos in a pipeline, which takes a tenth of a second to start
PLACEHOLDER = b"P6\n1 1\n255\n\0\0\0"  # a picture, for the pipeline, of what cannot be read


def batches(photos, transforms, batch_size):
    """Bring photos to what a net expects, by MindSpore's C++ pipeline, while the last ones are computed.

    Args:
        photos: Paths, image files as bytes, arrays ((H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8), Pillow's images,
            and what :func:`mstl.data.finding.predict_inputs.find_images` gives; read as they are needed, 1,024 at a time.
        transforms: Operations for each photo, such as :func:`mstl.data.loading.transforms.eval_transforms` gives.
        batch_size: Photos in a batch.

    Yields:
        n of the photos, why each cannot be read (None where it can), and those m of them that can, as (m, 3, H, W)
        float32. All photos come, in their order.

    Raises:
        MstlError: A photo is nothing of the above.
    """
    photos = iter(photos)
    while pending := [checked(photo) for photo in itertools.islice(photos, CHUNK)]:
        while pending:
            count = 0
            for faults, images in by_pipeline(pending, transforms, batch_size):
                part, count = pending[count : count + len(faults)], count + len(faults)
                yield part, faults, images
            pending = pending[count:]  # where there are any, the C++ decoder has refused one of the next ones
            part, pending = pending[:batch_size], pending[batch_size:]
            if part:
                yield part, *one_by_one(part, transforms)
        trim_memory()  # each pipeline has threads of its own, and what they freed would add up


def checked(photo):
    """The photo itself.

    Raises:
        MstlError: It is nothing that could be one.
    """
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] not in (1, 3, 4)):
            raise MstlError(
                f"an array of {photo.dtype} and shape {photo.shape} is no photo: give uint8 of (height, width, 3)"
            )
        if photo.size == 0:
            raise MstlError(f"an array of shape {photo.shape} has no pixels")
    elif not isinstance(photo, (str, os.PathLike, bytes, Image.Image, Address, Unreadable)):
        raise MstlError(f"{type(photo).__name__} is no photo: give paths, arrays, bytes or Pillow's images")
    return photo


class ImageBytesSource:
    """Encoded photos with their numbers, for GeneratorDataset.

    Attributes:
        faults: A dict from a photo's number to why it cannot be read, of those that have been asked for.
    """

    def __init__(self, photos):
        self.photos, self.faults = photos, {}

    def __len__(self):
        return len(self.photos)

    def __getitem__(self, index):
        try:
            data = encoded(self.photos[index])
        except OSError as error:
            self.faults[int(index)] = reason(self.photos[index], error)
            data = PLACEHOLDER
        return np.frombuffer(data, np.uint8), np.int32(index)


def by_pipeline(photos, transforms, batch_size):
    """Faults and images of photos, in batches; ends early where the C++ decoder refuses one."""
    source, dump = ImageBytesSource(photos), Path(DUMP).absolute()
    theirs = os.path.lexists(dump)
    options = {"shuffle": False, "num_parallel_workers": clamp_workers(), "python_multiprocessing": False}
    dataset = ds.GeneratorDataset(source, ["image", "number"], **options)
    dataset = dataset.map(transforms, input_columns="image", num_parallel_workers=clamp_workers())
    dataset = dataset.batch(batch_size, drop_remainder=False, num_parallel_workers=1)
    with prefetch_size(PREFETCH):
        stream = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True, do_copy=False)
    take_ctrl_c_back()
    try:
        for images, numbers in stream:
            faults = [source.faults.get(number) for number in numbers.tolist()]
            yield faults, images[[fault is None for fault in faults]] if any(faults) else images
    except RuntimeError:
        if not theirs:
            dump.unlink(missing_ok=True)


def one_by_one(photos, transforms):
    """The same of a few photos, each in a pipeline of its own; Pillow decodes what the C++ decoder refuses."""
    faults, images = [], []
    for photo in photos:
        answer = next(by_pipeline([photo], transforms, 1), None)
        if answer is None:
            try:
                answer = next(by_pipeline([to_ppm(encoded(photo))], transforms, 1))
            except OSError as error:
                answer = [reason(photo, error)], ()
        faults += answer[0]
        images += list(answer[1])
    return faults, np.array(images, np.float32)


def encoded(photo):
    """A photo as the bytes of a file that MindSpore's decoder shows rightly, upright and in colours.

    Raises:
        OSError: It is not there, is not an image, is truncated, or has too many pixels.
    """
    if isinstance(photo, np.ndarray):
        photo = Image.fromarray(photo.squeeze(2) if photo.shape[2:] == (1,) else photo)
    if isinstance(photo, Image.Image):
        return as_ppm(photo)
    data = content(photo)
    check_header(data)
    return to_ppm(data) if needs_pillow(data) or is_cut_off(data) else data


def as_ppm(image):
    """Pillow's image as a PPM.

    Raises:
        OSError: It was opened, but cannot be read to its end.
    """
    try:
        picture = eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise OSError(f"cannot be decoded: {error}") from error
    return b"P6\n%d %d\n255\n" % picture.size + picture.tobytes()


def content(photo):
    """The bytes of an image file, as a uint8 array.

    Raises:
        OSError: It cannot be read.
    """
    if isinstance(photo, Unreadable):
        raise OSError(photo.reason)
    if isinstance(photo, (Address, bytes)):
        return np.frombuffer(photo if isinstance(photo, bytes) else photo.read(), np.uint8)
    if not stat.S_ISREG(os.stat(photo).st_mode):
        raise OSError("neither a file nor a link to one")
    return np.fromfile(photo, np.uint8)


def check_header(data):
    """Refuse, before it is decoded, what would fill the memory, or what Pillow would start another program for.

    Raises:
        OSError: It is such a file, or no image at all.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels, kind = image.width * image.height, image.format
    except UnidentifiedImageError as error:
        raise OSError("not an image") from error
    except Exception as error:  # Pillow raises whatever its many decoders do
        raise OSError(f"cannot be decoded: {error}") from error
    if pixels > PIXEL_LIMIT or kind in DRAWINGS:
        raise OSError(f"{kind} of {pixels:,} pixels, which is no photo")


def reason(photo, error):
    """Why a photo cannot be read, for people."""
    if isinstance(photo, (str, os.PathLike)):
        detail = examine(photo).detail
        if detail:
            return detail
    return " ".join((error.strerror or str(error)).split())
