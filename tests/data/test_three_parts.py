"""Training, validation and test images are kept apart."""

import logging
import shutil

import pytest
from click.testing import CliRunner

from mstl import MstlError, load_data
from mstl.commands import data_command
from mstl.data.load_data import load_splits
from tests.conftest import COLORS, write_folder, write_photo

COUNTS = {"train": 6, "val": 3, "test": 2}


@pytest.fixture
def parts(tmp_path):
    """Two classes in three parts, of different images."""
    folder = write_folder(tmp_path / "photos", {"train": 6, "val": 3})
    for name in ("blue", "red"):
        for index in range(2):
            write_photo(folder / "test" / name / f"{name}-{index}.jpg", COLORS[name], 5000 + index)
    return folder


def write_lists(folder, whole):
    """The parts as one list with a split column, or as one list for each part."""
    there = [part for part in COUNTS if (folder / part).exists()]
    rows = {part: [(str(path), path.parent.name) for path in sorted((folder / part).rglob("*.jpg"))] for part in there}
    lists = folder.parent / "lists"
    lists.mkdir()
    if whole:
        lines = [f"{path},{label},{part}" for part in rows for path, label in rows[part]]
        (lists / "all.csv").write_text("\n".join(["path,label,split", *lines]))
    for part in () if whole else rows:
        (lists / f"{part}.txt").write_text("".join(f"{path} {label}\n" for path, label in rows[part]))
    return lists


def check(folder, *arguments):
    done = CliRunner().invoke(
        data_command.main, ["check", str(folder), "--out", str(folder.parent / "c.csv"), *arguments]
    )
    return done.exit_code, done.output


@pytest.mark.parametrize("form", ["folder", "one list", "three lists"])
def test_a_third_part_is_a_test_split(parts, form):
    where = parts if form == "folder" else write_lists(parts, form == "one list")
    splits = load_splits(where)
    assert [len(images) for images in splits] == [12, 6, 4] and splits.validated_on == "val"
    assert [{sample.split for sample in images.samples} for images in splits] == [{"train"}, {"val"}, {"test"}]
    train, val = load_data(where)
    assert (train, val) == (splits.train, splits.val)


@pytest.mark.parametrize("form", ["folder", "one list", "three lists"])
def test_without_a_validation_part_test_is_validated_on(parts, form, caplog):
    shutil.rmtree(parts / "val")
    where = parts if form == "folder" else write_lists(parts, form == "one list")
    with caplog.at_level(logging.INFO, "mstl"):
        splits = load_splits(where)
    assert (len(splits.val), splits.test, splits.validated_on) == (4, None, "test")
    assert {sample.split for sample in splits.val.samples} == {"val"}
    assert "is validated on, as there is no other part for that" in caplog.text


def test_where_nothing_is_split_off_there_is_no_test(parts):
    splits = load_splits(parts / "train")
    assert splits.test is None and splits.validated_on == "split" and len(list(splits)) == 2


def test_other_validation_data_leaves_the_test_part_alone(parts, tmp_path):
    shutil.copytree(parts / "val", tmp_path / "mine")
    assert [len(images) for images in load_splits(parts, val=tmp_path / "mine")] == [12, 6, 4]
    shutil.rmtree(parts / "val")
    splits = load_splits(parts, val=tmp_path / "mine")
    assert [len(images) for images in splits] == [12, 6, 4], "test/ is free again"
    assert {sample.split for sample in splits.test.samples} == {"test"}
    splits = load_splits(parts, val=parts / "test")
    assert (len(splits.val), splits.test, splits.validated_on) == (4, None, "test")


def test_a_test_part_without_labels_is_left_out(parts, caplog):
    shutil.rmtree(parts / "test")
    shutil.copytree(parts / "val" / "red", parts / "test" / "unknown")
    assert load_splits(parts).test is None
    assert "test is not used: it has none of the classes to train on, but unknown" in caplog.text


def test_a_test_part_with_another_class_is_refused(parts):
    write_photo(parts / "test" / "green" / "0.jpg", COLORS["green"])
    with pytest.raises(MstlError, match="test has classes that the training data lacks: green"):
        load_splits(parts)


def test_the_check_knows_three_parts(parts):
    code, said = check(parts)
    assert code == 0 and "12 to train on, 6 to validate on, 4 to test on, of 2 classes" in said
    shutil.copy(parts / "train" / "red" / "red-1.jpg", parts / "test" / "red" / "copy.jpg")
    code, said = check(parts)
    assert code == 3 and "test/red/copy.jpg" in said and "red-1.jpg, which is trained on" in said
    shutil.copy(parts / "val" / "red" / "red-1.jpg", parts / "test" / "red" / "copy.jpg")
    code, said = check(parts)
    assert code == 3 and "red-1.jpg, which is validated on" in said
    shutil.rmtree(parts / "test" / "red")
    code, said = check(parts)
    assert code == 0 and "class red has no test image" in said
