"""The recipes, against what Pillow and NumPy give and against what their names promise, on drawn pictures."""

import dataclasses
import io

import mindspore.dataset as ds
import mindspore.dataset.transforms as transforms
import mindspore.dataset.vision as vision
import numpy as np
import pytest
from PIL import Image

from mstl import MstlError, Preprocessing
from mstl.config import AUGMENTS
from mstl.data.dataset import ImageSet
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import (
    AUGMENTATIONS,
    TRANSFORMS_VERSION,
    Transforms,
    cropped_for,
    eval_transforms,
    rand_augment,
    train_transforms,
)
from mstl.data.loading.views import view_batches
from mstl.data.loading.windows import whole
from tests.data import make_golden_transforms

SIDE = 48
PLAIN = Preprocessing(image_size=SIDE, resize=SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # pixels stay pixels


@pytest.fixture
def write(tmp_path):
    """Write pixels as a PNG; gives its path."""

    def write(pixels, name="photo.png"):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
        return str(tmp_path / name)

    return write


def see(path, operations, count=1, seed=5):
    """(count, size, size, 3): the same photo through a recipe again and again, from 0 to 1."""
    images = ImageSet.from_paths((path,) * count, np.zeros(count, dtype=np.int32), ("a",))
    batches = [batch.asnumpy() for batch, _ in Loader(images, operations, 32, seed=seed).batches(1)]
    return np.concatenate(batches).transpose(0, 2, 3, 1)


def gradient(height=200, width=200):
    """Red grows from left to right by 1 a pixel, green from top to bottom."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 90)], axis=-1)


def marked(side=64):
    """Grey, with a bright orange spot in the upper right quadrant."""
    pixels = np.full((side, side, 3), 60)
    at = slice(side * 5 // 16, side * 7 // 16)
    pixels[at, side * 9 // 16 : side * 11 // 16] = (250, 160, 40)
    return pixels


def spots(images):
    """(n, 2): where the spot is, from the middle, right and up."""
    bright = images[..., 0] > 0.45
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]] - (images.shape[1] - 1) / 2
    total = bright.sum(axis=(1, 2))
    return np.stack([(bright * columns).sum(axis=(1, 2)) / total, -(bright * rows).sum(axis=(1, 2)) / total], axis=1)


def test_the_settings_know_every_augmentation():
    assert tuple(AUGMENTATIONS) == AUGMENTS


@pytest.mark.parametrize("augment", AUGMENTS)
@pytest.mark.parametrize("training", [True, False])
def test_every_recipe_gives_normalised_squares(write, augment, training):
    pre = cropped_for(Preprocessing(image_size=32, resize=36), augment)
    made = train_transforms(pre, augment) if training else eval_transforms(pre)
    images = see(write(np.full((50, 70, 3), (200, 100, 50))), made, 3)
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.float32
    if not training:
        by_hand = (np.array([200, 100, 50]) / 255 - pre.mean) / pre.std
        assert images == pytest.approx(np.broadcast_to(by_hand, images.shape), abs=1e-4)


def test_no_pixel_has_changed_since_the_version_was_raised(tmp_path):
    """Else the feature cache would hold what today's transforms do not give."""
    with np.load(make_golden_transforms.FILE) as golden:
        hint = "raise TRANSFORMS_VERSION, then run `python -m tests.data.make_golden_transforms`"
        assert golden["version"] == TRANSFORMS_VERSION, hint
        for name, averages in make_golden_transforms.results(tmp_path).items():
            np.testing.assert_allclose(averages, golden[name], atol=2e-3, err_msg=f"{name}: {hint}")


@pytest.mark.parametrize("format", ["png", "jpg", "bmp", "webp", "gif"])
def test_views_are_made_of_the_pixels_that_are_evaluated(tmp_path, format):
    pixels = Image.fromarray(gradient(SIDE, SIDE).astype(np.uint8))
    pixels.save(tmp_path / f"photo.{format}")
    path = str(tmp_path / f"photo.{format}")
    seen = see(path, eval_transforms(PLAIN))[0] * 255
    view = next(view_batches([path], ["ab"], train_transforms(PLAIN, "none"), 1, 1, 1))[0].transpose(1, 2, 0) * 255
    assert np.abs(view - seen).max() < 1e-3


def test_the_parts_of_a_view_are_independent(write):
    """A flip and what is chosen from several operations draw from seeds of their own."""
    path = write(marked(64))
    turn = [vision.RandomHorizontalFlip(0.5), transforms.RandomChoice([vision.RandomRotation(10)] * 4)]
    turn += [transforms.RandomApply([vision.RandomVerticalFlip(1.0)], 0.25), vision.HWC2CHW()]
    turn = Transforms(PLAIN, whole(64), tuple(turn))
    images = np.concatenate([next(view_batches([path], [f"{number:x}"], turn, 1, 1, 5)) for number in range(400)])
    right, up = spots(images.transpose(0, 2, 3, 1) / 255).T
    assert np.sum(right > 0) == pytest.approx(200, abs=50)
    assert np.sum(up < 0) == pytest.approx(100, abs=45)
    assert abs(np.corrcoef(right > 0, up > 0)[0, 1]) < 0.2
    angle = np.degrees(np.arctan2(np.abs(up), np.abs(right))) - np.degrees(np.arctan2(7.5, 7.5))
    assert np.histogram(angle, bins=4, range=(-14, 14))[0].min() > 20


def test_unknown_recipe_is_one_line_with_the_known_ones():
    with pytest.raises(MstlError, match="unknown augment 'stronk': choose one of tutorial, food, light, strong, none"):
        train_transforms(PLAIN, "stronk")


def test_none_trains_as_it_evaluates(write):
    path = write(np.random.default_rng(0).integers(0, 256, (80, 100, 3)))
    trained = see(path, train_transforms(PLAIN, "none"), 2)
    assert np.array_equal(trained, see(path, eval_transforms(PLAIN), 2))


def test_food_evaluates_the_whole_photo(write):
    """By hand: at half the width, the antialiased bilinear kernel weighs four columns by 1/8, 3/8, 3/8 and 1/8."""
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, 2 * SIDE, 3))
    seen = see(write(pixels), eval_transforms(cropped_for(PLAIN, "food")))[0]
    shifted = [pixels[:, start : 2 * SIDE - 3 + start : 2][:, : SIDE - 2] for start in (1, 2, 3, 4)]
    by_hand = (shifted[0] + 3 * shifted[1] + 3 * shifted[2] + shifted[3]) / 8
    assert seen[:, 1:-1] * 255 == pytest.approx(by_hand, abs=1.01)


def test_food_turns_and_mirrors_independently(write):
    """The spot's angle says which mirrors were used (its quadrant) and how far it was turned (within it)."""
    side = 64  # resized to 64: 48 * 300 / 224
    images = see(write(marked(side)), train_transforms(PLAIN, "food"), 600)
    right, up = spots(images).T
    quadrants = np.array([[np.sum((right > 0) == h) for h in (True, False)], [np.sum((up > 0) == v) for v in (1, 0)]])
    assert quadrants == pytest.approx(300, abs=60)  # 5 standard deviations
    both = [np.sum(((right > 0) == h) & ((up > 0) == v)) for h in (True, False) for v in (True, False)]
    assert both == pytest.approx([150] * 4, abs=55)
    angle = np.degrees(np.arctan2(np.abs(up), np.abs(right)))  # 45 degrees, turned by -45 to 45
    assert np.histogram(angle, bins=6, range=(0, 90))[0] == pytest.approx(100, abs=50)
    mirrored = (right > 0) != (up > 0)
    assert abs(np.corrcoef(mirrored, angle)[0, 1]) < 0.2


def test_food_makes_a_tenth_grey_as_pillow_does(write):
    pixels = np.full((64, 64, 3), (220, 40, 90))
    middle = see(write(pixels), train_transforms(PLAIN, "food"), 600)[:, SIDE // 2, SIDE // 2] * 255
    grey = np.ptp(middle, axis=1) < 0.5
    assert 30 < grey.sum() < 90
    by_pillow = np.asarray(Image.fromarray(pixels.astype(np.uint8)).convert("L"))[0, 0]
    assert middle[grey] == pytest.approx(by_pillow, abs=1.01)
    assert middle[~grey] == pytest.approx(np.broadcast_to([220, 40, 90], middle[~grey].shape), abs=0.01)


def test_food_at_another_size_cuts_the_same_share(write):
    """Unturned edges: the crop keeps 224 / 300 of each side."""
    pre = Preprocessing(image_size=112, resize=128, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    made = train_transforms(pre, "food")
    pixels = made.pixels(Image.fromarray(gradient(200, 200).astype(np.uint8)), np.random.default_rng())
    assert pixels.shape[:2] == (150, 150)
    cut = made.operations[1](pixels)
    assert cut.shape[:2] == (112, 112)
    assert np.ptp(cut[..., 0].astype(int)) == pytest.approx(200 * 224 / 300, abs=2)


@pytest.mark.parametrize(("augment", "smallest"), [("tutorial", 0.08), ("light", 0.5)])
def test_crops_keep_the_area_and_shape_that_they_promise(write, augment, smallest):
    made = train_transforms(PLAIN, augment)
    steps = tuple(step for step in made.operations if type(step).__name__ != "RandomColorAdjust")
    images = see(write(gradient()), dataclasses.replace(made, operations=steps), 200) * 255
    width, height = (np.ptp(images[..., channel], axis=(1, 2)) + 1 for channel in (0, 1))
    area = width * height / 200**2
    assert area.min() > smallest * 0.9 and area.max() > 0.8
    assert area.min() < smallest + 0.15
    ratio = width / height
    assert 0.7 < ratio.min() < 0.95 and 1.05 < ratio.max() < 1.42
    flipped = images[:, 0, 0, 0] > images[:, 0, -1, 0]
    assert 65 < flipped.sum() < 135


def test_light_changes_colours_a_little(write):
    images = see(write(np.full((60, 60, 3), (120, 100, 80))), train_transforms(PLAIN, "light"), 100) * 255
    brightness = images.mean(axis=(1, 2, 3))
    assert 85 < brightness.min() < 95 and 105 < brightness.max() < 115


def test_strong_erases_a_quarter_of_the_photos_and_blackens_none(write):
    pre = Preprocessing(image_size=SIDE, resize=SIDE)
    noise = np.random.default_rng(0).integers(60, 200, (80, 80, 3))
    images = see(write(noise), train_transforms(pre, "strong"), 400)
    erased = np.all(images == 0, axis=3).mean(axis=(1, 2))
    assert 60 < (erased > 0).sum() < 140
    assert 0.15 < erased.max() <= 0.25
    pixels = images * pre.std + pre.mean
    assert np.median(pixels.reshape(400, -1), axis=1).min() > 0.1


def test_rand_augment_operations_change_but_never_destroy():
    """MindSpore's own RandAugment gives a black picture for two of its fourteen."""
    photo = np.random.default_rng(0).integers(60, 200, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    unchanged = 0
    for operation in rand_augment():
        source = ds.NumpySlicesDataset([photo] * 30, ["image"], shuffle=False)
        source = source.map(operation, "image", num_parallel_workers=1)
        results = [row[0] for row in source.create_tuple_iterator(num_epochs=1, output_numpy=True)]
        assert all(result.shape == photo.shape and result.std() > 10 for result in results)
        assert all(0.5 < result.mean() / photo.mean() < 1.5 for result in results)
        unchanged += all(np.array_equal(result, photo) for result in results)
    assert unchanged == 1  # the identity


def test_bicubic_weights_get_bicubic_pixels(write):
    path = write(np.random.default_rng(2).integers(0, 256, (30, 30, 3)))
    other = Preprocessing(SIDE, SIDE, "bicubic", PLAIN.mean, PLAIN.std)
    for augment in ("tutorial", "food"):
        linear, cubic = (see(path, eval_transforms(cropped_for(pre, augment))) for pre in (PLAIN, other))
        assert np.abs(linear - cubic).max() > 0.02


def test_recipes_take_files_of_every_size(tmp_path):
    for size in ((1, 1), (1, 90), (180, 2)):
        file = io.BytesIO()
        Image.new("RGB", size, (10, 200, 30)).save(file, "JPEG")
        path = tmp_path / f"{size[0]}.jpg"
        path.write_bytes(file.getvalue())
        for augment in AUGMENTS:
            assert np.all(np.isfinite(see(str(path), train_transforms(PLAIN, augment), 2)))
