"""Folders inside class folders: what they tell of classes that are none."""

from pathlib import Path

import pytest

from mstl.data.checking.checks import check_dataset
from mstl.data.checking.subfolders import subfolder_findings
from mstl.data.finding.found import Split
from mstl.data.finding.sources import find_dataset
from mstl.data.samples import Sample
from tests.conftest import COLORS, write_photo


def found(*files, folder=Path("pets")):
    """The findings about files, given as ``class/path``; pairs of the problem and its detail."""
    parts = [file.partition("/") for file in files]
    samples = tuple(
        Sample(f"pets/{file}", label, "train", path) for file, (label, _, path) in zip(files, parts, strict=True)
    )
    return [(x.problem, x.detail) for x in subfolder_findings(Split(Path("pets"), samples, folder))]


def test_classes_that_all_hold_the_same_folders():
    ((problem, detail),) = found(
        "lab1/cat/0.jpg", "lab1/dog/a/0.jpg", "lab2/cat/1.jpg", "lab2/cow/0.jpg", "lab2/dog/1.jpg"
    )
    assert problem == "same_folders"
    assert detail.startswith(
        "all 2 classes (lab1, lab2) hold the same folders (cat, dog), so they are probably no classes"
    )


def test_parts_in_the_classes():
    """They belong to the class, which is said."""
    ((problem, detail),) = found("cat/train/0.jpg", "cat/test/1.jpg", "dog/train/0.jpg", "dog/test/1.jpg", "dog/2.jpg")
    assert problem == "same_folders" and "to use them, put the classes into them (test/cat)" in detail


def test_classes_in_groups():
    ((problem, detail),) = found("animals/cat/0.jpg", "animals/dog/0.jpg", "plants/rose/0.jpg", "stones/0.jpg")
    assert (problem, detail.partition(":")[0]) == (
        "folders",
        "2 of 3 classes hold folders, such as animals/ (cat, dog)",
    )


def test_a_folder_that_is_called_as_another_class():
    findings = found("fruits/apple/0.jpg", "fruits/pear/0.jpg", "fruits-360/fruits/apple/0.jpg")
    assert [problem for problem, _ in findings] == ["folders", "same_folders"]
    assert "a folder in the class fruits-360 that is called as another class" in findings[1][1]


@pytest.mark.parametrize(
    "files",
    [
        (),
        ("cat/0.jpg", "dog/0.jpg"),
        ("cat/images/0.jpg", "dog/images/0.jpg"),  # as Tiny ImageNet has it
        ("cat/cat_images/0.jpg", "dog/dog_images/0.jpg"),
        ("cat/cat/0.jpg", "dog/dog/0.jpg"),
    ],
)
def test_what_says_nothing(files):
    assert found(*files) == []


def test_of_a_list_nothing_is_found():
    assert found("cat/a/0.jpg", "cat/b/0.jpg", "dog/a/0.jpg", "dog/b/0.jpg", folder=None) == []


def test_the_check_says_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    for number, place in enumerate(("cat/test", "cat/train", "dog/test", "dog/train")):
        for index in range(3):
            write_photo(
                tmp_path / "pets" / place / f"{index}.jpg", COLORS["red" if number < 2 else "blue"], 10 * number + index
            )
    findings = check_dataset(find_dataset(tmp_path / "pets")).findings
    assert [(x.problem, x.severity) for x in findings] == [("same_folders", "warning")]
