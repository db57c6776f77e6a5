"""The sheet of augmented photos: what is on it is what the net sees."""

import numpy as np
import pytest
from PIL import Image

from mstl import Preprocessing
from mstl.config import AUGMENTS
from mstl.data.dataset import ImageSet
from mstl.report.plots import save
from mstl.report.plots.preview import augmentation_sheet

PRE = Preprocessing(image_size=32, resize=32)


@pytest.fixture
def three(tmp_path):
    """A set of three classes with 6, 2 and 1 photos, each of one colour of its own, left half a little darker."""
    paths, labels = [], []
    for label, count in enumerate((6, 2, 1)):
        for number in range(count):
            pixels = np.full((32, 32, 3), (40 * len(paths), 80 * label + 20, 120), dtype=np.uint8)
            pixels[:, :16] //= 2
            paths.append(str(tmp_path / f"{label}-{number}.png"))
            labels.append(label)
            Image.fromarray(pixels).save(paths[-1])
    return ImageSet.from_paths(tuple(paths), np.array(labels, dtype=np.int32), ("ant", "bee", "cat"))


def rows_of(figure):
    """A row of axes for each photo."""
    return [figure.axes[start : start + 6] for start in range(0, len(figure.axes), 6)]


def pictures(axes):
    return [np.asarray(place.get_images()[0].get_array()) for place in axes]


def test_each_row_is_a_photo_as_evaluated_then_augmented(three):
    rows = rows_of(augmentation_sheet(three, "none", PRE, count=24, seed=2))
    assert len(rows) == 4
    originals = [np.asarray(Image.open(path)) for path in three.paths]
    for axes in rows:
        shown = pictures(axes)
        match = [index for index, pixels in enumerate(originals) if np.abs(shown[0].astype(int) - pixels).max() <= 1]
        assert len(match) == 1  # un-normalised, the evaluation view is the photo itself
        assert axes[0].get_ylabel() == three.classes[three.labels[match[0]]]
        assert all(np.array_equal(view, shown[0]) for view in shown[1:])  # as this recipe changes nothing


def test_classes_come_in_turn(three):
    for seed in range(5):
        labels = [axes[0].get_ylabel() for axes in rows_of(augmentation_sheet(three, "none", PRE, 24, seed))]
        assert sorted(labels[:3]) == ["ant", "bee", "cat"]


@pytest.mark.parametrize("augment", [name for name in AUGMENTS if name != "none"])
def test_augmented_views_stay_with_their_photo(three, augment, tmp_path):
    figure = augmentation_sheet(three, augment, PRE, count=18, seed=1)
    again = augmentation_sheet(three, augment, PRE, count=18, seed=1)
    for axes, same in zip(rows_of(figure), rows_of(again), strict=True):
        shown = pictures(axes)
        assert np.array_equal(shown, pictures(same))
        assert len({view.tobytes() for view in shown[1:]}) > 1
        assert all(view.dtype == np.uint8 and view.std() > 0 for view in shown)
        if augment == "tutorial":  # which leaves the colours alone: red to blue tells the photos apart
            ratios = [float(view[..., 0].mean() / view[..., 2].mean()) for view in shown]
            assert ratios == pytest.approx([ratios[0]] * 6, abs=0.05)
    save(figure, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000


def test_no_more_rows_than_photos_and_at_least_one(three):
    assert len(rows_of(augmentation_sheet(three, "none", PRE, count=600))) == len(three)
    assert len(rows_of(augmentation_sheet(three, "none", PRE, count=1))) == 1
