"""The one way from a file to what a model sees, against Pillow, MindSpore and hand-made numbers."""

import io
import struct
import zlib
from pathlib import Path

import mindspore.dataset.vision as vision
import numpy as np
import pytest
from PIL import Image, ImageOps

from mstl import MstlError, Preprocessing
from mstl.data import opening
from mstl.data.dataset import ImageSet
from mstl.data.loading.loader import Loader
from mstl.data.loading.pixels import center_pixels, model_input
from mstl.data.loading.streaming import batches
from mstl.data.loading.transforms import eval_transforms, train_transforms
from mstl.data.loading.views import view_batches
from mstl.data.loading.windows import center, random_crop
from mstl.data.opening import UnreadableImage

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def scene(width, height, seed=0):
    """Smooth colours with some noise, as a camera's."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), float)
    return Image.fromarray((smooth + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8))


def encoded(image, format="JPEG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def by_pillow(data, size, resize, interpolation):
    """The slow, obvious way: decode in full, turn upright, resize the whole image, cut out its middle."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    scale = resize / min(image.size)
    width, height = (int(length * scale + 0.5) for length in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    image = image.resize((width, height), RESAMPLING[interpolation])
    return np.asarray(image.crop((left, top, left + size, top + size)))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(500, 375), (333, 500), (301, 300), (90, 61), (640, 427)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_pixels_are_those_of_pillows_antialiased_resize(size, interpolation, orientation):
    data = encoded(scene(*size), quality=92, exif=exif(orientation))
    seen = center_pixels(data, Preprocessing(224, 256, interpolation))
    difference = np.abs(seen.astype(int) - by_pillow(data, 224, 256, interpolation))
    assert difference.max() == 0


def test_large_jpegs_are_decoded_at_a_fraction_that_is_no_smaller():
    data = encoded(scene(2592, 1944), quality=90)
    full = by_pillow(data, 224, 256, "bilinear").astype(int)
    drafted = Image.open(io.BytesIO(data))
    drafted.draft("RGB", (342, 256))
    assert drafted.size == (648, 486)  # a quarter; an eighth would be 324 x 243
    resized = np.asarray(drafted.resize((341, 256), Image.Resampling.BILINEAR)).astype(int)[16:240, 58:282]
    seen = center_pixels(data, Preprocessing()).astype(int)
    assert np.array_equal(seen, resized)
    assert np.abs(seen - full).mean() < 2
    assert np.abs(center_pixels(data, Preprocessing(draft=0)).astype(int) - full).max() == 0


@pytest.mark.parametrize(("rounding", "width"), [("nearest", 384), ("down", 383)])
def test_lengths_are_rounded_as_said(rounding, width):
    window = center(Preprocessing(rounding=rounding))((640, 427), np.random.default_rng())
    assert window == ((0, 0, 640, 427), (width, 256), ((width - 224) // 2, 16, (width - 224) // 2 + 224, 240))


@pytest.mark.parametrize("augment", ["tutorial", "food"])
def test_checkpoints_of_version_1_see_what_mindspore_showed_them(augment):
    """Without antialiasing, truncated lengths; food's images squeezed."""
    old = {"image_size": 96, "resize": 110, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3}
    preprocessing = Preprocessing.from_record({"preprocessing": old, "config": {"augment": augment}})
    pixels = np.asarray(scene(317, 211))
    steps = [vision.Resize(110), vision.CenterCrop(96)] if augment == "tutorial" else [vision.Resize((96, 96))]
    for step in steps:
        pixels = step(pixels)
    seen = center_pixels(encoded(scene(317, 211), "PNG"), preprocessing)
    assert np.abs(seen.astype(int) - pixels).max() <= 2


def test_the_record_of_preprocessing_is_whole():
    kept = Preprocessing(image_size=128, resize=144, crop="whole", antialias=False, rounding="down", draft=2.0)
    record = {"preprocessing": kept.to_dict(), "config": {"augment": "tutorial"}}
    assert Preprocessing.from_record(record) == kept
    record["preprocessing"]["version"] = 3
    with pytest.raises(MstlError, match="update mstl"):
        Preprocessing.from_record(record)
    with pytest.raises(ValueError, match="smaller"):
        Preprocessing(image_size=128, resize=100)


def test_random_crops_stay_in_the_image_and_vary():
    choose, rng = random_crop(48, (0.08, 1.0), (0.75, 1.333)), np.random.default_rng(0)
    boxes = np.array([choose((200, 200), rng).box for _ in range(2000)])
    assert boxes.min() >= 0 and boxes.max() <= 200
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, ratio = width * height / 40000, width / height
    assert 0.07 < area.min() < 0.1 and area.max() > 0.6
    assert 0.7 < ratio.min() < 0.8 and 1.25 < ratio.max() < 1.4
    assert np.median(np.log(ratio)) == pytest.approx(0, abs=0.05)
    assert choose((1000, 10), rng).box[1::2] == (0, 10)  # no crop of these ratios fits but the middle


KINDS = {
    "500.jpg": lambda: encoded(scene(500, 375), quality=90),
    "large.jpg": lambda: encoded(scene(2592, 1944), quality=90),
    "turned.jpg": lambda: encoded(scene(400, 300), exif=exif(8)),
    "cmyk.jpg": lambda: encoded(scene(300, 400).convert("CMYK")),
    "palette.png": lambda: encoded(scene(300, 280).quantize(200), "PNG"),
    "sixteen.png": lambda: encoded(
        Image.fromarray((np.asarray(scene(300, 300).convert("L")).astype(np.uint16) << 8) + 77), "PNG"
    ),
    "still.gif": lambda: encoded(scene(300, 260).quantize(60), "GIF"),
    "some.webp": lambda: encoded(scene(300, 260), "WEBP"),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A file of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    for name, make in KINDS.items():
        (folder / name).write_bytes(make())
    return [str(folder / name) for name in KINDS]


def test_one_file_gives_the_same_pixels_everywhere(kinds):
    """In validation and features, in prediction, from paths and bytes, and in views and training without changes."""
    preprocessing = Preprocessing()
    expected = np.stack([model_input(path, preprocessing) for path in kinds])
    images = ImageSet.from_paths(kinds, [0] * len(kinds), ("a",))
    seen = [batch.asnumpy() for batch, _ in Loader(images, eval_transforms(preprocessing), 3).batches()]
    assert np.array_equal(np.concatenate(seen), expected)
    for sources in (kinds, [Path(path).read_bytes() for path in kinds]):
        streamed = list(batches(sources, preprocessing, 3))
        assert [fault for _, faults, _ in streamed for fault in faults] == [None] * len(kinds)
        assert np.array_equal(np.concatenate([pixels for _, _, pixels in streamed]), expected)
    digests = ["ab"] * len(kinds)
    views = list(view_batches(kinds, digests, train_transforms(preprocessing, "none"), 5, 1, 1))
    assert np.array_equal(np.concatenate(views), expected)
    loader = Loader(images, train_transforms(preprocessing, "none"), 4, seed=3)
    trained = np.concatenate([batch.asnumpy() for batch, _ in loader.batches(1)])
    assert np.array_equal(trained, expected[loader.order(1)])


def test_xmp_turns_an_image_where_there_is_no_exif(tmp_path):
    """What some programs write, as in the XMP specification; by hand: 6 is to be turned clockwise."""
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :40] = 255  # the left half, which becomes the upper one
    data = encoded(Image.fromarray(picture), xmp=packet)
    seen = center_pixels(data, Preprocessing(40, 40))
    assert seen.shape == (40, 40, 3)
    assert seen[:18].min() > 200 and seen[22:].max() < 50


# limits


def png_header(width, height):
    """A PNG that claims a size, and has hardly any pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


@pytest.mark.parametrize(
    ("data", "problem", "detail"),
    [
        (b"", "empty", "empty file"),
        (b"hello, world, this is text", "not_an_image", "not an image"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "not_an_image", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "unreadable", "HEIC or AVIF"),
        (png_header(20_000, 20_000), "too_large", "more than the limit of 100,000,000"),
        (png_header(11_000, 10_000), "too_large", "11000 x 10000 pixels"),
        (png_header(1, 20_000), "too_long", "1 x 20000 pixels: one side is more than 100 times the other"),
        (png_header(500, 500), "truncated", "truncated"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_by_its_header(data, problem, detail):
    with pytest.raises(UnreadableImage, match=detail) as caught:
        center_pixels(data, Preprocessing())
    assert caught.value.problem == problem


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(UnreadableImage, match="No such file"):
        center_pixels(tmp_path / "nothing.jpg", Preprocessing())
    with pytest.raises(UnreadableImage, match="neither a file nor a link"):
        center_pixels(tmp_path, Preprocessing())


def test_a_progressive_jpeg_of_very_many_scans_is_refused():
    """Each scan can be a few bytes, and takes a pass over all pixels."""
    whole = encoded(scene(64, 64), progressive=True)
    last = whole.rindex(b"\xff\xda")
    assert center_pixels(whole, Preprocessing(32, 32)).shape == (32, 32, 3)
    with pytest.raises(UnreadableImage, match="scans"):
        center_pixels(whole[:-2] + whole[last:-2] * 300 + whole[-2:], Preprocessing(32, 32))


def test_decoding_ends_when_its_time_is_over(monkeypatch):
    data = encoded(scene(1200, 1200, 1), "PNG")
    monkeypatch.setattr(opening, "SECONDS", 0.0)
    with pytest.raises(UnreadableImage, match="takes more than 0 seconds"):
        center_pixels(data, Preprocessing())
