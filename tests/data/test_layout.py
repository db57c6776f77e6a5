"""Which folders are parts, which are classes, what is refused, and what is said to be not used."""

import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from mstl import MstlError, load_data
from mstl.data.finding.folders.layout import held_out_folder
from mstl.data.finding.sources import find_dataset
from mstl.data.load_data import load_splits
from mstl.data.split_to_disk import split_data
from tests.conftest import COLORS, write_folder, write_photo
from tests.data.test_layouts_public import counts, make

PETS = "{cat,dog}/[3].jpg"
TWO = "cat 3 dog 3"


@pytest.fixture
def read(tmp_path, monkeypatch, caplog):
    """Reads a layout: how many images of each class are in which part, and what was logged."""
    caplog.set_level(logging.INFO, "mstl")
    monkeypatch.chdir(tmp_path)

    def reading(*files):
        caplog.clear()
        for file in files:
            make(tmp_path / "data", file)
        found = find_dataset("data")
        assert "\n" not in "".join(caplog.messages)
        return {part: counts(split) for part, split in found.splits.items()}, caplog.text

    return reading


def refused(read, *files):
    with pytest.raises(MstlError) as caught:
        read(*files)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        *("Training Testing", "Train Test", "TRAIN VALID", "training_set test_set", "seg_train seg_test"),
        *("train_images dev_images", "x_train x_test", "asl_alphabet_train asl_alphabet_test", "PetsTrain PetsTest"),
        *("train2017 val2017", "训练集 验证集", "Final_Training/Images Final_Test/Images", "trainval holdout"),
        *("train/train val", "Train/images val/images", "train val/val/val", "training_set/training_set test_set"),
    ],
)
def test_parts_whatever_they_are_called(read, names):
    train, val = names.split()
    assert read(f"{train}/{PETS}", f"{val}/{PETS}")[0] == {"train": TWO, "val": TWO}


def test_three_parts_by_other_names(read):
    found, _ = read(f"Training Set/{PETS}", f"Validation-Set/{PETS}", f"Test.Set/{PETS}")
    assert found == {"train": TWO, "val": TWO, "test": TWO}


def test_several_folders_for_one_part(read):
    found, said = read(f"train/{PETS}", f"eval/{PETS}", f"val/{PETS}", f"Train_augmented/{PETS}")
    assert found == {"train": TWO, "val": TWO}
    for words in ("data/eval (6 images; val/ is used)", "data/Train_augmented (6 images; train/ is used)"):
        assert words in said and said.count("not used") == 1


def test_a_part_with_classes_is_preferred_to_one_without(read):
    found, said = read(f"train/{PETS}", "val/[5].jpg", f"validation/{PETS}")
    assert found == {"train": TWO, "val": TWO} and "data/val (5 images, but no class folders)" in said


def test_all_that_is_not_used_is_said_in_one_line(read):
    found, said = read(
        *(f"train/{PETS}", "Val/[5].jpg", "annotations/a.xml", f"more/{PETS}", "[2].png", "notes.csv", "LICENSE"),
        *("@eaDir/x.jpg", "train/@eaDir/x.jpg", "sub/deep/[3].jpg"),
    )
    assert found == {"train": TWO}
    assert said.count("not used") == 1
    assert "data/more (6 images in the same class folders; call it val/ or test/ to use it)" in said
    for words in ("Val (5 images, but no class folders)", "sub (3 images)", "2 of 3 files", "annotations (1 file, no"):
        assert words in said
    assert "and 2 more" in said and "LICENSE" not in said


def test_beside_class_folders(read):
    found, said = read(PETS, "annotations/[3].xml", "eel/.keep", "labels.json", "README.md")
    assert found == {"train": TWO}
    assert "annotations (3 files, no images)" in said and "eel (empty)" in said and "labels.json" in said
    assert said.count("not used") == 1


@pytest.mark.parametrize(
    "files",
    [
        [f"first/{PETS}", f"second/{PETS}"],
        [f"first/{PETS}", f"second/{PETS}", "unlabelled/[4].jpg"],
        [f"first/{PETS}", "second/cat/[3].jpg"],
        [f"first/{PETS}", "second/{Cat,DOG}/[3].jpg"],
        ["first/{cat,dog,eel}/[3].jpg", "second/{cat,dog,fox}/[3].jpg"],
        [f"first/images/{PETS}", f"second/{PETS}"],
        [f"{{p1,p2,p3,p4,p5,p6}}/{PETS}"],
        [f"train/{{north,south}}/{PETS}", f"val/{PETS}"],
        ["cat/{indoor,outdoor}/[3].jpg", "dog/{indoor,outdoor}/[3].jpg"],
    ],
)
def test_the_same_folders_everywhere_are_no_classes(read, files):
    line = refused(read, *files)
    assert "that all hold the same folders" in line and "call them train/, val/ and test/" in line


def test_other_folders_in_classes_stay_with_them(read):
    found, said = read("animals/{cat,dog}/[3].jpg", "plants/{oak,rose}/[3].jpg")
    assert found == {"train": "animals 6 plants 6"}
    assert "the folders in them (cat, dog, oak, rose) belong to their class" in said
    assert "name one folder, such as data/animals" in said


def test_parts_inside_classes_stay_with_them(read):
    found, said = read("{cat,dog}/{train,test}/[3].jpg")
    assert found == {"train": "cat 6 dog 6"} and "put train/ and val/ around the class folders" in said


def test_masks_beside_images_in_a_class_are_no_images(read):
    found, said = read("{cat,dog}/images/[3].jpg", "{cat,dog}/masks/[3].png")
    assert found == {"train": TWO} and "data/cat/masks (beside images/)" in said


def test_copies_are_used_once(read, tmp_path):
    read(f"fruits/{PETS}")
    shutil.copytree("data/fruits", "data/fruits-360/fruits")
    found, said = read(f"fruits/{PETS}")
    assert found == {"train": TWO} and "fruits-360 (6 images, the same folders and files once more)" in said
    write_photo(tmp_path / "data/fruits-360/fruits/dog/1.jpg", COLORS["red"])
    assert "that all hold the same folders" in refused(read, f"fruits/{PETS}"), "as they are not the same any more"


@pytest.mark.parametrize("where", ["", "train/"])
def test_the_class_folders_once_more_beside_themselves(read, where):
    found, said = read(f"{where}{PETS}", f"{where}pets/{PETS}")
    assert found == {"train": TWO} and "pets (6 images: the class folders beside it once more)" in said


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["train/{cat,dog}.[3].jpg", "test1/[3].jpg"], "images in test1/ and train/ but no class folders there"),
        (["train/[3].jpg", "test/[3].jpg", "unlabeled/[3].jpg"], "but no class folders there"),
        (["cars_train/[3].jpg", "cars_test/[3].jpg"], "but no class folders there"),
        (
            ["images/{train,val}/[3].jpg", "labels/{train,val}/[3].txt"],
            "images in train/ and val/ but no class folders",
        ),
        (["train/[3].jpg", f"val/{PETS}"], "images in train/ but no class folders there, unlike val/"),
        ([f"Validation/{PETS}"], "has Validation/ but no train/ folder; put the training images into train/"),
        ([f"val/{PETS}", f"base/{PETS}"], "if base/ has the training images, call it train/"),
        ([f"photos/{PETS}", "test/[3].jpg"], "if photos/ holds the training images, call it train/"),
        ([f"photos/{PETS}", "train/[3].jpg"], "name data/photos as the data"),
        ([f"{{a,b}}/train/{PETS}", f"{{a,b}}/val/{PETS}"], "2 datasets in it, a/ and b/"),
        ([f"trainval/{{train,val}}/{PETS}", f"test/{PETS}"], "holds train/ and val/ itself"),
        (["images_{001,002}/[3].jpg"], "pieces of one download"),
        (["images/[3].jpg", "annotations/trimaps/[3].png"], "whose names are not those of classes"),
    ],
)
def test_what_is_no_dataset_is_refused(read, files, words):
    assert words in refused(read, *files)


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ([f"images/{{train,val}}/{PETS}", "annotations/x.xml"], "images"),
        ([f"images/train/{PETS}", f"images/val/{PETS}", "masks/train/cat/[3].png"], "images"),
        ([f"a/b/train/{PETS}", f"a/b/val/{PETS}", "a/notes.csv"], "a/b"),
        ([f"processed/train/{PETS}", f"processed/val/{PETS}", f"raw/{PETS}"], "processed"),
        ([f"trainval/{{train,val}}/{PETS}"], "trainval"),
        ([f"x/train/{PETS}", f"x/val/{PETS}", "train.csv"], "x"),
    ],
)
def test_the_folder_inside_that_has_the_data(read, files, where):
    found, said = read(*files)
    assert found == {"train": TWO, "val": TWO} and f"data: in data/{where}" in said


def test_one_class_beside_an_empty_folder_is_not_entered(read):
    assert read("cat/{indoor,outdoor}/[3].jpg", "dog/.keep")[0] == {"train": "cat 6"}


def test_a_folder_called_like_a_part_without_images(read):
    found, said = read(PETS, "test/cases/[2].txt")
    assert found == {"train": TWO} and "data/test (2 files, no images)" in said


def test_classes_called_like_parts(read):
    found, said = read("training/[3].jpg", "resting/[3].jpg", "masks/[3].jpg")
    assert found == {"train": "masks 3 resting 3 training 3"}
    assert "masks/ and training/ taken for classes" in said


def test_images_without_a_suffix_make_a_class(read, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        pixels = np.full((8, 8, 3), 90, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / name / f"{name}0", format="JPEG")
    found, _ = read("notes/0")
    assert found == {"train": "cat 1 dog 1"}


def test_links_between_folders(read, tmp_path):
    make(tmp_path / "elsewhere", PETS)
    (tmp_path / "data").mkdir()
    for name in ("Train", "Val"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    assert read()[0] == {"train": TWO, "val": TWO}


def test_other_data_to_validate_on_by_other_names(tmp_path):
    own = write_folder(tmp_path / "own", {"Training": 6})
    other = write_folder(tmp_path / "other", {"Testing": 3})
    for val in (other, other / "Testing"):
        assert [len(images) for images in load_data(own, val=val)] == [12, 6]
        assert held_out_folder(val) == other / "Testing"
    assert held_out_folder(own) == own
    make(other, "Validation/{red,blue}/notes.txt")
    assert held_out_folder(other) == other / "Testing", "there is no image in the other one"


def test_a_split_on_disk_of_data_by_other_names(tmp_path):
    own = write_folder(tmp_path / "own", {"Train": 6})
    split_data(own, tmp_path / "out", 0.5)
    assert [len(images) for images in load_splits(tmp_path / "out")] == [6, 6]
    write_folder(own, {"Test": 1})
    with pytest.raises(MstlError, match="is split already"):
        split_data(own, tmp_path / "again")
