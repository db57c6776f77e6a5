"""Which images of a folder are to be labelled."""

import os
import shutil

import pytest

from mstl.errors import MstlError
from mstl.files import digest
from mstl.review.label_list import LabelList
from mstl.review.unlabelled import find_unlabelled
from tests.conftest import COLORS, write_photo


def found(root, known=()):
    return find_unlabelled(root, LabelList(root / "labels.csv"), known)


def test_each_content_once_and_none_that_is_known_or_damaged(tmp_path, caplog):
    caplog.set_level("INFO", "mstl")
    first = write_photo(tmp_path / "b" / "first.jpg", COLORS["red"], 1)
    known = write_photo(tmp_path / "known.jpg", COLORS["red"], 2)
    deep = write_photo(tmp_path / "a" / "deep" / "er" / "image.jpg", COLORS["blue"], 3)
    deep.rename(deep.with_suffix(""))
    shutil.copy(first, tmp_path / "copy.jpg")
    (tmp_path / "broken.jpg").write_bytes(first.read_bytes()[:300])
    (tmp_path / "notes.txt").write_text("no image")
    write_photo(tmp_path / ".hidden" / "x.jpg", COLORS["blue"], 4)
    write_photo(tmp_path / " blank.jpg", COLORS["blue"], 5)
    images = found(tmp_path, {digest(known)})
    assert [image.place for image in images.images] == ["copy.jpg", os.path.join("a", "deep", "er", "image")]
    assert [image.sha256 for image in images.images] == [digest(tmp_path / "copy.jpg"), digest(images.images[1].path)]
    assert len(set(images.groups)) == 2 and [sample.path for sample in images.samples] == [
        image.path for image in images.images
    ]
    text = caplog.text
    assert "left out 2 files that cannot be used" in text and "broken.jpg: " in text and " blank.jpg: blanks" in text
    assert "left out 1 image with the content of" in text
    assert "left out 1 image that the model was trained or validated on" in text


def test_nothing_to_be_labelled_is_said(tmp_path):
    with pytest.raises(MstlError, match="is not a folder"):
        found(tmp_path / "none")
    with pytest.raises(MstlError, match="no image in .* could be labelled"):
        found(tmp_path)


def test_of_too_many_those_with_a_label_and_a_sample(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("mstl.review.unlabelled.MOST", 3)
    for index in range(8):
        write_photo(tmp_path / f"{index}.jpg", COLORS["red"], index)
    for name in ("1.jpg", "6.jpg"):
        LabelList(tmp_path / "labels.csv").add(name, "red")
    places = [image.place for image in found(tmp_path).images]
    assert len(places) == 5 and {"1.jpg", "6.jpg"} < {*places} and places == sorted(places)
    assert "3 of the 8 images are left for another time" in caplog.text
