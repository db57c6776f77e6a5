"""Samples carry what the scan has seen, and a file that has changed is scanned again."""

import os

import numpy as np
import pytest

from mstl import MstlError, load_data
from mstl.data.dataset import ImageSet, subset
from mstl.data.evaluation_data import refuse_unknown
from mstl.data.samples import Sample, stamp
from mstl.files import digest
from tests.conftest import COLORS, write_photo


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))


def content_digests(images):
    return tuple(digest(path) for path in images.paths)


def in_place(path, content):
    path.write_bytes(content)


def by_another_file(path, content):
    path.with_name("fresh").write_bytes(content)
    os.replace(path.with_name("fresh"), path)


@pytest.mark.parametrize("change", [in_place, by_another_file])
def test_a_file_changed_with_its_size_and_time_kept_is_noticed(photos, change):
    path = photos / "train" / "red" / "red-3.jpg"
    other = write_photo(photos.parent / "other.jpg", COLORS["red"], 7).read_bytes()
    size = max(len(other), path.stat().st_size)
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))  # what comes after a JPEG's end is ignored
    before, _ = load_data(photos)
    status, first_stamp = path.stat(), stamp(path)
    change(path, other.ljust(size, b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert stamp(path) != first_stamp
    after, _ = load_data(photos)
    index = after.paths.index(str(path))
    assert after.digests == content_digests(after)
    assert [i for i in range(12) if after.digests[i] != before.digests[i]] == [index]
    assert after.samples[index].scan.stamp == stamp(path) != before.samples[index].scan.stamp


def test_samples_say_what_they_are(photos):
    for name, images in zip(("train", "val"), load_data(photos), strict=True):
        for sample, label in zip(images.samples, images.labels, strict=True):
            assert sample.split == name
            assert sample.path == str(photos / name / sample.label / sample.relative_path)
            assert images.class_to_idx[sample.label] == label
            assert sample.scan.stamp == stamp(sample.path)
        assert images.digests == content_digests(images)
    for name, images in zip(("train", "val"), load_data(photos / "train"), strict=True):
        assert {sample.split for sample in images.samples} == {name}, "split off"
    _, other = load_data(photos, val=photos / "train")
    assert {sample.split for sample in other.samples} == {"val"}


def test_a_set_of_unread_files(photos):
    paths = sorted((photos / "train").glob("*/*.jpg"))
    images = ImageSet.from_paths([*paths, paths[0]], [0] * 6 + [1] * 6 + [0], ["blue", "red"])
    assert images.paths == tuple(map(str, [*paths, paths[0]])) and images.classes == ("blue", "red")
    assert images.labels.dtype == np.int32 and images.labels.tolist() == [0] * 6 + [1] * 6 + [0]
    assert images.counts.tolist() == [7, 6]
    assert {sample.digest for sample in images.samples} == {""}
    assert images.digests == content_digests(images)
    paths[0].unlink()
    assert len(images.digests) == 13, "read once"
    with pytest.raises(MstlError, match="cannot read .*blue-0.jpg .*No such file"):
        _ = subset(images, [0, 3]).digests


def test_subsets_and_other_classes(photos):
    train, _ = load_data(photos)
    some = subset(train, np.array([7, 2]))
    assert some.samples == (train.samples[7], train.samples[2]) and some.folder is None
    assert some.labels.tolist() == [1, 0] and some.digests == (train.digests[7], train.digests[2])
    other = ImageSet(train.samples, ("red", "green", "blue"))
    assert other.labels.tolist() == [2] * 6 + [0] * 6 and other.samples == train.samples and other.folder is None
    with pytest.raises(MstlError, match="the model does not know: red; it knows blue, green"):
        refuse_unknown({sample.label for sample in train.samples}, ("blue", "green"), "photos")


def test_a_stamp_of_nothing(tmp_path):
    assert stamp(tmp_path / "gone.jpg") is None
    assert Sample("x.jpg", "red", "train", "x.jpg").digest == ""
