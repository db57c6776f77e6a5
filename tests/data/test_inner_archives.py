"""A zip a class, a zip a part, a zip in a zip: read as the folders that they stand for, or one line."""

import time

import pytest

from mstl.data.finding.archives import archive
from mstl.data.finding.sources import find_dataset
from mstl.errors import MstlError
from tests.data.archives import files_in, image, write_tar, write_zip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))


def flat(path, first=0):
    """A zip of two images without folders."""
    return write_zip(path, {f"{n}.jpg": image(first + n) for n in (1, 2)})


def classes(path, first=0):
    """A zip with a folder for each of two classes."""
    return write_zip(path, {f"{name}/{n}.jpg": image(first + n) for name in ("cat", "dog") for n in (1, 2)})


def labels(split):
    return [sample.label for sample in split.samples]


@pytest.mark.parametrize("names", [("cat.zip", "dog.zip"), ("cat-samples.zip", "dog-samples.zip")])
def test_a_folder_of_a_zip_a_class(tmp_path, names):
    for number, name in enumerate(names):
        flat(tmp_path / "pets" / name, 10 * number)
    (tmp_path / "pets" / "README.txt").write_text("my pets")
    (tmp_path / "pets" / "check.csv").write_text("severity,problem")
    assert labels(find_dataset(tmp_path / "pets").train) == ["cat", "cat", "dog", "dog"]
    assert sorted(path.name for path in (tmp_path / "pets").iterdir() if path.suffix == ".zip") == sorted(names)


def test_a_zip_a_class_changes(tmp_path):
    flat(tmp_path / "pets" / "cat.zip")
    flat(tmp_path / "pets" / "dog.zip", 10)
    before = archive.unpacked_folder(tmp_path / "pets")
    assert archive.unpacked_folder(tmp_path / "pets") == before
    (tmp_path / "pets" / "dog.zip").rename(tmp_path / "pets" / "wolf.zip")
    assert labels(find_dataset(tmp_path / "pets").train) == ["cat", "cat", "wolf", "wolf"]
    flat(tmp_path / "pets" / "cow.zip", 20)
    assert labels(find_dataset(tmp_path / "pets").train) == ["cat", "cat", "cow", "cow", "wolf", "wolf"]


def test_a_folder_with_a_top_folder_in_each_zip(tmp_path):
    for name in ("cat", "dog"):
        write_zip(tmp_path / "pets" / f"{name}.zip", {f"{name}/1.jpg": image(1), "__MACOSX/x/._1.jpg": b"x"})
    assert files_in(archive.unpacked_folder(tmp_path / "pets")) == ["cat/1.jpg", "dog/1.jpg"]


def test_a_zip_a_part(tmp_path):
    classes(tmp_path / "pets" / "train.zip")
    write_tar(tmp_path / "pets" / "test.tar.gz", {f"test/{name}/9.jpg": image(9) for name in ("cat", "dog")})
    found = find_dataset(tmp_path / "pets")
    assert labels(found.train) == ["cat", "cat", "dog", "dog"] and labels(found.val) == ["cat", "dog"]


@pytest.mark.parametrize("outer", [write_zip, write_tar])
def test_a_zip_in_an_archive(tmp_path, outer):
    inner = classes(tmp_path / "inner.zip").read_bytes()
    path = outer(tmp_path / ("x.zip" if outer is write_zip else "x.tar"), {"pets/pets.zip": inner, "README.md": b"x"})
    assert labels(find_dataset(path).train) == ["cat", "cat", "dog", "dog"]


def test_zips_of_classes_and_parts_in_a_zip(tmp_path):
    one = {f"{name}.zip": flat(tmp_path / "a" / f"{name}.zip").read_bytes() for name in ("cat", "dog")}
    assert labels(find_dataset(write_zip(tmp_path / "x.zip", one)).train) == ["cat", "cat", "dog", "dog"]
    parts = {f"{name}.zip": classes(tmp_path / "b" / f"{name}.zip").read_bytes() for name in ("train", "val")}
    found = find_dataset(write_zip(tmp_path / "y.zip", {f"data/{name}": part for name, part in parts.items()}))
    assert labels(found.train) == labels(found.val) == ["cat", "cat", "dog", "dog"]


def test_a_nested_tar(tmp_path):
    inner = write_tar(tmp_path / "inner.tar", {"cat/1.jpg": image(1), "dog/1.jpg": image(2)}, "w").read_bytes()
    path = write_tar(tmp_path / "x.tar.gz", {"inner.tar": inner})
    assert labels(find_dataset(path).train) == ["cat", "dog"]


def test_the_zips_into_which_google_drive_divides_a_folder_are_one(tmp_path):
    for number, members in enumerate((["cat/1.jpg", "dog/1.jpg"], ["cat/2.jpg", "dog/2.jpg"]), 1):
        path = tmp_path / "down" / f"pets-20240101T120000Z-00{number}.zip"
        write_zip(path, {f"pets/{name}": image(number) for name in members})
    assert labels(find_dataset(tmp_path / "down").train) == ["cat", "cat", "dog", "dog"]


def test_archives_beside_images_are_left_and_said(tmp_path, caplog):
    members = {"cat/1.jpg": image(1), "dog/1.jpg": image(2), "more.zip": flat(tmp_path / "m.zip").read_bytes()}
    assert labels(find_dataset(write_zip(tmp_path / "x.zip", members)).train) == ["cat", "dog"]
    assert "archives in x.zip are not unpacked, as images are there: more.zip" in caplog.text


def test_a_folder_with_a_list_or_with_classes_is_no_folder_of_archives(tmp_path, caplog):
    caplog.set_level("INFO", logger="mstl")
    flat(tmp_path / "listed" / "images.zip")
    (tmp_path / "listed" / "labels.csv").write_text("path,label\n1.jpg,cat\n")
    assert archive.unpacked_folder(tmp_path / "listed") == tmp_path / "listed"
    assert "(images.zip) are not unpacked, as labels.csv lies beside them" in caplog.text
    flat(tmp_path / "pets" / "old.zip")
    (tmp_path / "pets" / "cat").mkdir()
    (tmp_path / "pets" / "cat" / "1.jpg").write_bytes(image())
    assert archive.unpacked_folder(tmp_path / "pets") == tmp_path / "pets"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"Rar!\x1a\x07\0", "RAR archive"), (b"PK\3\4 cut", "damaged"), (b"", "is empty"), (b"<html>", "web page")],
)
def test_a_bad_archive_among_them_is_named(tmp_path, content, words):
    flat(tmp_path / "pets" / "cat.zip")
    (tmp_path / "pets" / "dog.zip").write_bytes(content)
    outer = write_zip(
        tmp_path / "x.zip",
        {"cat.zip": b"", "dog.zip": content} | {"cat.zip": (tmp_path / "pets" / "cat.zip").read_bytes()},
    )
    for where in (tmp_path / "pets", outer):
        with pytest.raises(MstlError, match=words) as error:
            find_dataset(where)
        line = str(error.value)
        assert "dog.zip" in line and str(where) in line and "home" not in line and "\n" not in line
    assert [path.name for path in (tmp_path / "home" / "data").iterdir() if path.is_dir()] == []


def test_two_of_one_name(tmp_path):
    flat(tmp_path / "pets" / "cat.zip")
    write_tar(tmp_path / "pets" / "cat.tar", {"1.jpg": image()}, "w")
    with pytest.raises(MstlError, match="rename one"):
        find_dataset(tmp_path / "pets")


def test_one_class_alone_gets_a_hint(tmp_path, caplog):
    path = flat(tmp_path / "cat-samples.zip")
    archive.unpacked(path)
    archive.unpacked(path)
    assert caplog.text.count("cat-samples.zip holds 2 images, but no folder for each class") == 1


def test_a_zip_that_is_written_again_is_unpacked_again(tmp_path):
    path = classes(tmp_path / "x.zip")
    before = archive.unpacked(path)
    time.sleep(0.01)
    classes(path, 100)  # of the same size and names
    after = archive.unpacked(path)
    assert after != before and (after / "cat" / "1.jpg").read_bytes() == image(101)
