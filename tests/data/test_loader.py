"""Batches: order, shards, draws, files of every kind, and files that break on the way."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from mstl import MstlError, Preprocessing
from mstl.config import AUGMENTS
from mstl.data.dataset import ImageSet
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms, train_transforms
from mstl.runtime import mindspore_thread
from tests.conftest import COLORS, write_folder

SIDE = 32
PLAIN = Preprocessing(image_size=SIDE, resize=SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # pixels stay pixels


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A function for a set of n photos, as a list or a folder, whose colour says which it is: its number as red."""
    root = tmp_path_factory.mktemp("numbered")

    def make(count, classes=2, folder=False):
        home = root / f"{count}-{classes}"
        labels = np.sort(np.arange(count, dtype=np.int32) % classes)
        paths = tuple(str(home / f"c{label}" / f"{number:03}.png") for number, label in enumerate(labels))
        for number, path in enumerate(paths):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.exists(path):
                Image.new("RGB", (SIDE, SIDE), (number, 100, 50)).save(path)
        return ImageSet.from_paths(
            paths, labels, tuple(f"c{index}" for index in range(classes)), home if folder else None
        )

    return make


def numbers(loader, epoch=1):
    """Which photos came, a list for each batch; their labels are checked."""
    batches = []
    for images, labels in loader.batches(epoch):
        which = np.rint(images.asnumpy()[:, 0, 0, 0] * 255).astype(int)
        assert np.array_equal(labels.asnumpy(), loader.images.labels[which])
        batches.append(which.tolist())
    assert len(batches) == len(loader)
    return batches


def flat(batches):
    return [number for batch in batches for number in batch]


def pixels(images, augment, seed=1, epoch=1, **options):
    loader = Loader(images, train_transforms(PLAIN, augment), 4, seed=seed, **options)
    return np.concatenate([batch.asnumpy() for batch, _ in loader.batches(epoch)])


# order


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize(("count", "batch"), [(40, 7), (40, 8), (3, 18), (1, 1), (5, 1), (100, 3)])
def test_every_photo_comes_once_and_the_last_partial_batch_counts(numbered, folder, count, batch):
    images = numbered(count, min(2, count), folder)
    batches = numbers(Loader(images, eval_transforms(PLAIN), batch))
    assert flat(batches) == list(range(count))
    assert [len(part) for part in batches] == [batch] * (count // batch) + [count % batch] * (count % batch > 0)
    shuffled = numbers(Loader(images, train_transforms(PLAIN, "none"), batch, seed=1))
    assert sorted(flat(shuffled)) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_alone(numbered):
    images = numbered(40)

    def order(seed, epoch, **options):
        return flat(numbers(Loader(images, train_transforms(PLAIN, "none"), 8, seed=seed, **options), epoch))

    assert order(1, 1) == order(1, 1) == order(1, 1, workers=1) == order(1, 1, workers=3)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


@pytest.mark.parametrize("augment", AUGMENTS)
def test_augmentation_is_repeated_bit_by_bit(photos, augment):
    root = photos / "train"
    paths = tuple(str(path) for path in sorted(root.glob("*/*.jpg")))
    listed = ImageSet.from_paths(paths, np.repeat(np.arange(2, dtype=np.int32), 6), ("blue", "red"))
    first = pixels(listed, augment)
    assert np.array_equal(first, pixels(listed, augment))
    assert np.array_equal(first, pixels(dataclasses.replace(listed, folder=root), augment))
    assert np.array_equal(pixels(listed, augment, workers=2), pixels(listed, augment, workers=2))
    assert not np.array_equal(first, pixels(listed, augment, epoch=2))
    assert not np.array_equal(first, pixels(listed, augment, seed=2))


def test_streams_augment_differently(numbered):
    """The same photo in every place: no two batches are augmented alike."""
    one = numbered(1, 1)
    path = one.paths[0]
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    path = path.replace("000", "noise")
    Image.fromarray(noise).save(path)
    images = ImageSet.from_paths((path,) * 32, np.zeros(32, dtype=np.int32), ("a",))
    assert len({view.tobytes() for view in pixels(images, "tutorial")}) == 32


def test_more_workers_than_cores_are_no_error(numbered):
    assert len(flat(numbers(Loader(numbered(40), eval_transforms(PLAIN), 2, workers=200)))) == 40
    assert len(flat(numbers(Loader(numbered(40), eval_transforms(PLAIN), 2, workers=0)))) == 40


def test_an_epoch_may_be_left_early(numbered):
    loader = Loader(numbered(40), eval_transforms(PLAIN), 4)
    for _ in range(3):
        next(loader.batches())
    assert len(flat(numbers(loader))) == 40


# shards


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize(("count", "shards", "batch"), [(40, 2, 8), (41, 2, 8), (37, 4, 8), (40, 3, 9), (2, 4, 4)])
def test_shards_see_at_each_step_what_one_process_sees(numbered, folder, count, shards, batch):
    images = numbered(count, 2, folder)
    transforms = train_transforms(PLAIN, "none")
    alone = numbers(Loader(images, transforms, batch, seed=3))
    parts = [numbers(Loader(images, transforms, batch // shards, 3, None, None, shards, k)) for k in range(shards)]
    sizes = [[len(step) for step in part] for part in parts]
    assert sizes == [sizes[0]] * shards  # no device waits for another at the all-reduce
    together = [sorted(flat(steps)) for steps in zip(*parts, strict=True)]
    assert together[:-1] == [sorted(step) for step in alone[:-1]]
    padding = -count % shards
    assert len(together[-1]) == len(alone[-1]) + padding
    assert not set(alone[-1]) - set(together[-1])
    assert set(flat(together)) == set(range(count))


@pytest.mark.parametrize(("count", "shards"), [(40, 2), (37, 4), (3, 8)])
def test_evaluation_shards_see_every_photo_just_once(numbered, count, shards):
    images = numbered(count)
    loaders = [Loader(images, eval_transforms(PLAIN), 5, num_shards=shards, shard_id=k) for k in range(shards)]
    parts = [flat(numbers(loader)) for loader in loaders]
    assert sorted(flat(parts)) == list(range(count))
    assert (
        parts
        == [list(range(k, count, shards)) for k in range(shards)]
        == [loader.order().tolist() for loader in loaders]
    )


def test_shards_augment_differently(numbered):
    images = dataclasses.replace(numbered(1, 1), samples=numbered(1, 1).samples * 8)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)).save(images.paths[0])
    try:
        first, second = (pixels(images, "tutorial", num_shards=2, shard_id=k) for k in (0, 1))
    finally:
        os.unlink(images.paths[0])
    assert len(first) == len(second) == 4
    assert not {view.tobytes() for view in first} & {view.tobytes() for view in second}


# draws


@pytest.mark.parametrize("folder", [True, False])
def test_balanced_sampler_draws_classes_alike(numbered, folder):
    images = numbered(100, 2, folder)
    images = ImageSet.from_paths(images.paths, np.repeat([0, 1], [50, 50]), images.classes)
    rare = dataclasses.replace(images, samples=images.samples[:60], folder=None)
    loader = Loader(rare, train_transforms(PLAIN, "none"), 16, seed=1, sampler="balanced")
    drawn = [flat(numbers(loader, epoch)) for epoch in range(8)]
    assert [len(epoch) for epoch in drawn] == [60] * 8
    assert np.mean(rare.labels[np.concatenate(drawn)]) == pytest.approx(0.5, abs=0.1)
    assert drawn[1] == flat(numbers(loader, 1)) and drawn[0] != drawn[1]


def test_balanced_shards_draw_together_what_one_draws(numbered):
    images, transforms = numbered(40), train_transforms(PLAIN, "none")
    alone = numbers(Loader(images, transforms, 8, seed=2, sampler="balanced"))
    parts = [numbers(Loader(images, transforms, 4, 2, None, "balanced", 2, k)) for k in (0, 1)]
    assert [sorted(first + second) for first, second in zip(*parts, strict=True)] == [sorted(step) for step in alone]


@pytest.mark.parametrize(
    "options",
    [{"sampler": "weighted", "seed": 1}, {"sampler": "balanced"}, {"num_shards": 2, "shard_id": 2}, {"num_shards": 0}],
)
def test_wrong_arguments(numbered, options):
    with pytest.raises(ValueError, match="sampler|shard"):
        Loader(numbered(3), eval_transforms(PLAIN), 2, **options)


# files of every kind

NOISE = np.random.default_rng(7).integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
TURNED = {  # EXIF's orientation: from the stored pixels to the upright ones
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: np.rot90,
}


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def kinds():
    """Name, the arguments to write it with, the pixels that must be seen, and how far off they may be."""
    rgb = Image.fromarray(NOISE)
    grey = np.asarray(rgb.convert("L"))
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    sixteen = Image.fromarray(grey.astype(np.uint16) * 257)
    clear = Image.fromarray(np.dstack([NOISE, np.where(grey > 100, 255, 0).astype(np.uint8)]))
    palette = rgb.quantize(64)
    for orientation, turn in TURNED.items():
        yield f"{orientation}.jpg", (rgb, {"exif": exif(orientation), "quality": 95, "subsampling": 0}), turn(NOISE), 12
        yield f"{orientation}.png", (rgb, {"exif": exif(orientation)}), turn(NOISE), 0
    yield "6.tif", (rgb, {"exif": exif(6)}), TURNED[6](NOISE), 0
    yield "6.webp", (rgb, {"exif": exif(6), "lossless": True}), TURNED[6](NOISE), 0
    yield "plain.bmp", (rgb, {}), NOISE, 0
    yield "plain.gif", (palette, {}), NOISE, 0
    yield "moving.gif", (palette, {"save_all": True, "append_images": [rgb.rotate(180)]}), NOISE, 0
    yield "plain.webp", (rgb, {"lossless": True}), NOISE, 0
    yield "plain.tif", (rgb, {}), NOISE, 0
    yield "lzw.tif", (rgb, {"compression": "tiff_lzw"}), NOISE, 0
    yield "plain.ppm", (rgb, {}), NOISE, 0
    yield "cmyk.jpg", (rgb.convert("CMYK"), {"quality": 98}), NOISE, 12
    yield "cmyk.tif", (rgb.convert("CMYK"), {}), NOISE, 0
    yield "grey.jpg", (rgb.convert("L"), {"quality": 95}), as_rgb, 12
    yield "grey.png", (rgb.convert("L"), {}), as_rgb, 0
    yield "grey.tif", (rgb.convert("L"), {}), as_rgb, 0
    yield "sixteen.png", (sixteen, {}), as_rgb, 0
    yield "sixteen.tif", (sixteen, {}), as_rgb, 0
    yield "6sixteen.tif", (sixteen, {"exif": exif(6)}), TURNED[6](as_rgb), 0
    yield "alpha.png", (clear, {}), NOISE, 0
    yield "alpha.tif", (clear, {}), NOISE, 0
    yield "palette.png", (palette, {}), NOISE, 0
    yield "palette.gif", (palette, {"transparency": 3}), NOISE, 0
    yield "bilevel.png", (rgb.convert("1", dither=0), {}), np.where(as_rgb > 127, 255, 0), 0
    stretched = np.rint((as_rgb - float(grey.min())) * 255 / np.ptp(grey.astype(float)))
    yield "float.tif", (Image.fromarray(grey.astype(np.float32) / 1000), {}), stretched, 1


@pytest.mark.parametrize(("name", "written", "want", "tolerance"), kinds(), ids=lambda value: str(value)[:12])
def test_every_kind_of_file_is_seen_upright(tmp_path, monkeypatch, name, written, want, tolerance):
    """Under a name that says nothing of the kind."""
    picture, options = written
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    picture.save(tmp_path / name, **options)
    (tmp_path / name).rename(tmp_path / "photo.jpg")
    images = ImageSet.from_paths((str(tmp_path / "photo.jpg"),), np.zeros(1, dtype=np.int32), ("a",))
    seen = next(Loader(images, eval_transforms(PLAIN), 1, seed=1).batches(1))[0].asnumpy()[0].transpose(1, 2, 0) * 255
    assert np.abs(np.rint(seen) - want).mean() <= tolerance / 4
    assert np.abs(np.rint(seen) - want).max() <= tolerance + (48 if tolerance == 12 else 0)  # JPEG rings at edges
    assert os.listdir() == []


# files that break


DAMAGES = {
    "gone": (os.unlink, "red-3.jpg has vanished"),
    "empty": (lambda path: os.truncate(path, 0), r"cannot read \S+red-3.jpg \(empty file"),
    "text": (lambda path: path.write_text("hello"), r"cannot read \S+red-3.jpg \("),
    "cut in its head": (lambda path: os.truncate(path, 300), r"cannot read \S+red-3.jpg"),
    "cut off": (lambda path: os.truncate(path, os.path.getsize(path) - 90), r"red-3.jpg \(image file is truncated"),
}


@pytest.mark.parametrize(("damage", "folder"), [(name, folder) for name in DAMAGES for folder in (True, False)])
@pytest.mark.parametrize("augment", ["none", "light"])
def test_a_file_that_breaks_is_named_in_one_line(photos, tmp_path, monkeypatch, augment, damage, folder):
    """MindSpore's own decoder would end the process over some of these."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    root = photos / "train"
    paths = tuple(str(path) for path in sorted(root.glob("*/*.jpg")))
    images = ImageSet.from_paths(
        paths, np.repeat(np.arange(2, dtype=np.int32), 6), ("blue", "red"), root if folder else None
    )
    break_it, match = DAMAGES[damage]
    break_it(root / "red" / "red-3.jpg")
    with pytest.raises(MstlError, match=match) as caught:
        list(Loader(images, train_transforms(PLAIN, augment), 4, seed=1).batches(1))
    assert "\n" not in str(caught.value)
    assert os.listdir() == []


def test_a_folder_that_gains_a_file_is_noticed(tmp_path):
    root = write_folder(tmp_path / "photos", {"train": 6}) / "train"
    paths = tuple(str(path) for path in sorted(root.glob("*/*.jpg")))
    images = ImageSet.from_paths(paths, np.repeat(np.arange(2, dtype=np.int32), 6), ("blue", "red"), root)
    Image.new("RGB", (40, 40), COLORS["blue"]).save(root / "blue" / "another.jpg")
    with pytest.raises(MstlError, match="other images than those of the set; did files change"):
        list(Loader(images, train_transforms(PLAIN, "light"), 4).batches())


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted by Linux")
def test_an_error_that_is_kept_keeps_no_pipeline(numbered, tmp_path):
    """MindSpore loses threads of pipelines while others are freed, and then waits for ever: one in a thousand did."""
    images = numbered(240)
    (tmp_path / "broken.png").write_text("hello")
    paths = (*images.paths[:120], str(tmp_path / "broken.png"), *images.paths[121:])
    broken = ImageSet.from_paths(paths, images.labels, images.classes)
    transforms = train_transforms(PLAIN, "light")
    next(Loader(images, transforms, 1, seed=1).batches())  # MindSpore's own threads run from now on
    mindspore_thread.run(bool)  # closing is a job that nobody waits for
    before = len(os.listdir("/proc/self/task"))
    with pytest.raises(MstlError, match=r"broken\.png") as held:  # its traceback holds all that the frames do
        list(Loader(broken, transforms, 1, seed=1).batches())
    assert len(os.listdir("/proc/self/task")) == before
    assert held.tb is not None
