"""From folders to batches."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from mstl import MstlError, Preprocessing, load_data
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms, train_transforms
from tests.conftest import COLORS, write_folder, write_photo

SMALL = Preprocessing(image_size=32, resize=36)


def test_folder_gives_sorted_classes_and_labels(photos):
    train, val = load_data(photos)
    assert train.classes == val.classes == ("blue", "red")
    assert (len(train), len(val)) == (12, 6)
    assert train.labels.tolist() == [0] * 6 + [1] * 6
    assert all(f"/{train.classes[label]}/" in path for path, label in zip(train.paths, train.labels, strict=True))


@pytest.mark.parametrize("name", ["valid", "validation", "test"])
def test_other_names_for_val(photos, name):
    (photos / "val").rename(photos / name)
    assert len(load_data(photos)[1]) == 6


def test_hidden_files_and_empty_folders_are_not_data(photos):
    (photos / "train" / ".cache").mkdir()
    write_photo(photos / "train" / ".cache" / "x.jpg", COLORS["red"])
    (photos / "train" / "amber").mkdir()
    train, _ = load_data(photos)
    assert train.classes == ("blue", "red")
    assert len(train) == 12
    assert train.folder == photos / "train"


@pytest.mark.parametrize("junk", ["train/blue/.DS_Store", "val/red/.hidden.jpg", "val/blue/Thumbs.db"])
def test_a_file_that_is_no_photo_shifts_no_label(photos, junk):
    """ImageFolderDataset would count it, and every photo after it would get another's label."""
    (photos / junk).write_bytes(b"junk")
    for images in load_data(photos):
        batches = list(Loader(images, eval_transforms(SMALL), 5).batches())
        assert np.concatenate([labels.asnumpy() for _, labels in batches]).tolist() == images.labels.tolist()
        middles = np.concatenate([pixels.asnumpy()[:, :, 16, 16] for pixels, _ in batches])
        assert ((middles[:, 0] > middles[:, 2]) == (images.labels == 1)).all(), "red photos are labelled red"


def test_folders_inside_a_class_belong_to_it(photos):
    inner = photos / "train" / "blue" / "2024" / "may"
    inner.mkdir(parents=True)
    (photos / "train" / "blue" / "blue-5.jpg").rename(inner / "x.jpg")
    train, val = load_data(photos)
    assert train.labels.tolist() == [0] * 6 + [1] * 6
    assert str(inner / "x.jpg") in train.paths
    assert train.folder is None and val.folder == photos / "val"
    labels = [labels.asnumpy() for _, labels in Loader(train, eval_transforms(SMALL), 5).batches()]
    assert np.concatenate(labels).tolist() == train.labels.tolist()


def test_broken_files_are_left_out_and_named(photos, caplog):
    red = photos / "train" / "red"
    (red / "empty.jpg").write_bytes(b"")
    (red / "text.jpg").write_text("hello")
    (red / "notes.txt").write_text("hello")
    whole = (red / "red-0.jpg").read_bytes()
    (red / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (20, 20)).save(red / "moving.gif")
    train, _ = load_data(photos)
    assert len(train) == 13, "the GIF is used"
    text = caplog.text
    assert "left out 4 of 23" in text
    for name, reason in {
        "empty.jpg": "empty file",
        "text.jpg": "its content is not an image",
        "notes.txt": "not an image file",
        "cut.jpg": "truncated",
    }.items():
        assert sum(name in line and reason in line for line in text.splitlines()) == 1, (name, text)
    batches = list(Loader(train, eval_transforms(SMALL), 5).batches())
    assert sum(len(labels) for _, labels in batches) == 13


def test_not_more_than_twenty_broken_files_are_named(photos, caplog):
    for number in range(24):
        (photos / "train" / "red" / f"broken-{number:02}.jpg").touch()
    load_data(photos)
    assert caplog.text.count("empty file") == 20
    assert "and 4 more" in caplog.text


def test_val_takes_the_training_indices(tmp_path):
    folder = write_folder(tmp_path, {"train": 3}, ("blue", "green", "red"))
    write_folder(tmp_path, {"val": 2}, ("green", "red"))
    _, val = load_data(folder)
    assert val.labels.tolist() == [1, 1, 2, 2]
    labels = np.concatenate([labels.asnumpy() for _, labels in Loader(val, eval_transforms(SMALL), 3).batches()])
    assert labels.tolist() == [1, 1, 2, 2]  # ImageFolderDataset by itself would give 0, 0, 1, 1


def test_errors_are_one_line(tmp_path, photos):
    cases = {
        "no data 'nowhere'.*demo, Canidae.*folder.*[.]csv.*[.]tar": "nowhere",
    }
    write_photo(photos / "val" / "amber" / "a.jpg", (200, 150, 0))
    cases["classes that the training data lacks: amber"] = photos
    one = write_folder(tmp_path / "one", {"train": 2, "val": 2}, ("red",))
    cases["has 1 class .red.; a classifier needs two"] = one
    empty = tmp_path / "empty"
    for part in ("train", "val"):
        (empty / part / "red").mkdir(parents=True)
    cases["no images in"] = empty
    (tmp_path / "lone" / "val" / "red").mkdir(parents=True)
    cases["has val/ but no train/ folder"] = tmp_path / "lone"
    cases["no data 'aaaa"] = "a" * 5000
    cases["cannot be data"] = write_photo(tmp_path / "photo.jpg", COLORS["red"])
    for pattern, data in cases.items():
        with pytest.raises(MstlError, match=pattern) as caught:
            load_data(data)
        assert "\n" not in str(caught.value)


def test_last_batch_counts_and_sizes_are_right(photos):
    train, _ = load_data(photos)
    loader = Loader(train, eval_transforms(SMALL), 5)
    batches = list(loader.batches())
    assert len(loader) == len(batches) == 3
    assert [images.shape for images, _ in batches] == [(5, 3, 32, 32), (5, 3, 32, 32), (2, 3, 32, 32)]
    assert str(batches[0][0].dtype) == "Float32" and str(batches[0][1].dtype) == "Int32"


def test_a_set_smaller_than_a_batch(photos):
    train, _ = load_data(photos)
    assert [len(labels) for _, labels in Loader(train, eval_transforms(SMALL), 500, seed=1).batches(1)] == [12]


@pytest.mark.parametrize("make", [eval_transforms, train_transforms])
def test_folder_and_list_sources_give_the_same_batches(photos, make):
    train, _ = load_data(photos)
    listed = dataclasses.replace(train, folder=None)
    both = [list(Loader(images, make(SMALL), 5, seed=3).batches(2)) for images in (train, listed)]
    for (images, labels), (other_images, other_labels) in zip(*both, strict=True):
        assert np.array_equal(images.asnumpy(), other_images.asnumpy())
        assert np.array_equal(labels.asnumpy(), other_labels.asnumpy())


def test_order_depends_on_seed_and_epoch_alone(photos):
    train, _ = load_data(photos)

    def pixels(seed, epoch):
        loader = Loader(train, train_transforms(SMALL), 4, seed=seed)
        return np.concatenate([images.asnumpy() for images, _ in loader.batches(epoch)])

    assert np.array_equal(pixels(1, 1), pixels(1, 1))
    assert not np.array_equal(pixels(1, 1), pixels(1, 2))
    assert not np.array_equal(pixels(1, 1), pixels(2, 1))


def test_evaluation_pixels_against_pillow(tmp_path):
    """The middle of a photo that needs no resizing, normalised by hand."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (36, 40, 3), dtype=np.uint8)
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / part / name / "x.png")
    _, val = load_data(tmp_path)
    images, _ = next(Loader(val, eval_transforms(SMALL), 2).batches())
    middle = pixels[2:34, 4:36] / 255
    by_hand = ((middle - SMALL.mean) / SMALL.std).transpose(2, 0, 1)
    assert images.asnumpy()[0] == pytest.approx(by_hand, abs=1e-5)


def test_a_vanished_file_is_one_line(photos):
    train, _ = load_data(photos)
    (photos / "train" / "red" / "red-3.jpg").unlink()
    for images in (train, dataclasses.replace(train, folder=None)):
        with pytest.raises(MstlError, match="photos") as caught:
            list(Loader(images, eval_transforms(SMALL), 4).batches())
        assert "\n" not in str(caught.value)


def test_fingerprint_follows_the_files(photos):
    before = load_data(photos)[0].fingerprint
    assert load_data(photos)[0].fingerprint == before
    write_photo(photos / "train" / "red" / "red-3.jpg", COLORS["red"], seed=77)
    assert load_data(photos)[0].fingerprint != before


def test_nothing_is_written_into_the_working_directory(photos, tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(photos / "train" / "red" / "moving.gif")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    train, _ = load_data(photos)
    list(Loader(train, train_transforms(SMALL), 4, seed=1).batches(1))
    assert list((tmp_path / "cwd").iterdir()) == []
