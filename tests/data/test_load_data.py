"""Whatever form the data comes in, the same photos with the same labels come out."""

import csv
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from mstl import MstlError, Preprocessing, load_data
from mstl.commands import data_command as tools
from mstl.data.finding.sources import find_dataset
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms
from mstl.data.split import stratified
from tests.conftest import COLORS, write_folder, write_photo

SMALL = Preprocessing(image_size=32, resize=36)


def named(images):
    """Pairs of the file's name and the class's name."""
    names = [images.classes[label] for label in images.labels]
    return list(zip([os.path.basename(path) for path in images.paths], names, strict=True))


def labelled(images):
    """What an ImageSet says, in whatever order."""
    return set(named(images))


def right(images):
    """Whether each photo has the label of its colour, which its name begins with."""
    return all(file.startswith(name) for file, name in named(images))


def refusal(*args, **kwargs):
    with pytest.raises(MstlError) as caught:
        load_data(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_lists(photos, suffix=".txt", label=str):
    """A list beside the photos for each part, paths relative to it."""
    for part in ("train", "val"):
        files = sorted((photos / part).rglob("*.jpg"), key=lambda path: path.name[::-1])
        rows = [(path.relative_to(photos).as_posix(), label(path.parent.name)) for path in files]
        with open(photos / (part + suffix), "w", newline="") as stream:
            if suffix == ".csv":
                csv.writer(stream).writerows([("path", "label"), *rows])
            else:
                stream.writelines(f"{path} {name}\n" for path, name in rows)
    return photos / ("train" + suffix), photos / ("val" + suffix)


def run(*arguments):
    return CliRunner().invoke(tools.main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_lists(photos, suffix):
    wanted = [labelled(images) for images in load_data(photos)]
    train, val = write_lists(photos, suffix)
    sets = load_data(train, val=val)
    assert [labelled(images) for images in sets] == wanted
    assert sets[0].folder is None and sets[0].labels.dtype == np.int32
    pixels = []
    for images in (sets[0], load_data(photos)[0]):
        batches = Loader(images, eval_transforms(SMALL), 5).batches()
        pixels.append(dict(zip(named(images), np.concatenate([batch.asnumpy() for batch, _ in batches]), strict=True)))
    assert all(np.array_equal(pixels[0][key], pixels[1][key]) for key in wanted[0])


def test_the_order_of_a_list_is_kept(photos):
    train, val = write_lists(photos)
    names = [line.rsplit(" ", 1)[0] for line in train.read_text().splitlines()]
    assert [os.path.relpath(path, photos) for path in load_data(train, val=val)[0].paths] == names


def test_a_list_is_read_with_care(tmp_path):
    """Spaces in paths, a byte order mark, Windows' line ends, tabs, blank lines, absolute paths."""
    for number, name in enumerate(("blue", "red")):
        for index in range(2):
            write_photo(tmp_path / "a folder" / f"{name} {index} .jpg", COLORS[name], index + 10 * number)
    outside = write_photo(tmp_path / "elsewhere" / "blue.jpg", COLORS["blue"], 99)
    lines = ["a folder/blue 0 .jpg blue", "", "a folder/blue 1 .jpg\tblue  ", "a folder/red 0 .jpg red"]
    lines += ["a folder/red 1 .jpg red", f"{outside} blue"]
    (tmp_path / "l.txt").write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    train, val = load_data(tmp_path / "l.txt", val=tmp_path / "l.txt")
    assert labelled(train) == labelled(val) == {
        ("blue 0 .jpg", "blue"), ("blue 1 .jpg", "blue"), ("blue.jpg", "blue"),
        ("red 0 .jpg", "red"), ("red 1 .jpg", "red"),
    }  # fmt: skip


def test_whole_numbers_are_sorted_as_such_or_named_by_classes_txt(photos, caplog):
    numbers = {"red": "2", "blue": "10"}
    train, val = write_lists(photos, label=numbers.get)
    assert load_data(train, val=val)[0].classes == ("2", "10")
    (photos / "classes.txt").write_text("zero\none\nred\n" + "\n".join("abcdefg") + "\nblue\n\n")
    sets = load_data(train, val=val)
    assert all(images.classes == ("red", "blue") and right(images) for images in sets), "in the order of classes.txt"
    assert "9 names have no image to train on, and are no classes: a, b, c, d, e, f, g, one, zero" in caplog.text
    (photos / "classes.txt").write_text("zero\none\nred\n")
    assert "label 10" in refusal(train, val=val)
    (photos / "classes.txt").write_text("red\nred\n")
    assert "different name on each line" in refusal(train, val=val)


def test_a_csv_with_splits(photos):
    rows = [
        (path.relative_to(photos), path.parent.name, {"train": "train", "val": "Validation"}[part], "more")
        for part in ("train", "val")
        for path in sorted((photos / part).rglob("*.jpg"))
    ]
    rows.append(("train/red/red-0.jpg", "red", "test", "more"))
    with open(photos / "all.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("Path", " label", "split", "remark"), *rows])
    assert [labelled(x) for x in load_data(photos / "all.csv")] == [labelled(x) for x in load_data(photos)]


BAD_LISTS = {
    "no label": ("l.txt", "a.jpg\n", "line 1: 'a.jpg' is not a path, a space and a label"),
    "empty": ("l.txt", "\n \n", "has no lines"),
    "latin": ("l.txt", "é.jpg 1\n".encode("latin-1"), "not UTF-8 text"),
    "no header": ("l.csv", "one,red\n", "must begin with the header path,label"),
    "empty csv": ("l.csv", "", "must begin with the header path,label or path,label,split, not with nothing"),
    "cells missing": ("l.csv", "path,label\na.jpg,red\nb.jpg\n", "line 3"),
    "too many cells": ("l.csv", "path,label\na,b.jpg,red\n", "line 2"),
    "no split": ("l.csv", "path,label,split\na.jpg,red,\n", "line 2"),
    "other split": ("l.csv", "path,label,split\na.jpg,red,fold1\n", "split 'fold1'; known are train, val"),
    "no training": ("l.csv", "path,label,split\na.jpg,red,val\n", "no row whose split is train"),
    "files not there": ("l.txt", "a.jpg red\nb.jpg blue\n", "none of the 2 files.*No such file.*start at its folder"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_a_bad_list_is_one_line(tmp_path, kind):
    name, content, pattern = BAD_LISTS[kind]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(MstlError, match=pattern) as caught:
        load_data(tmp_path / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_listed_file_that_is_not_there_is_named(photos, caplog):
    train, val = write_lists(photos)
    (photos / "train" / "red" / "red-3.jpg").unlink()
    assert len(load_data(train, val=val)[0]) == 11
    assert "red-3.jpg: cannot be read: No such file or directory" in caplog.text


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("content", ["parts", "classes", "lists"])
def test_archives(photos, tmp_path, kind, content):
    if content == "classes":
        shutil.rmtree(photos / "val")
        for path in (photos / "train").iterdir():
            path.rename(photos / path.name)
        (photos / "train").rmdir()
    elif content == "lists":
        write_lists(photos)
        (photos / "train").rename(photos / "images")
        for name in ("train.txt", "val.txt"):
            text = (photos / name).read_text().replace("train/", "images/train/").replace("val/", "images/val/")
            (photos / name).write_text(text)
        (photos / "val").rename(photos / "images" / "val")
        (photos / "images" / "train").mkdir()
        for name in ("blue", "red"):
            (photos / "images" / name).rename(photos / "images" / "train" / name)
    archive = tmp_path / f"my photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as out:
            for path in photos.rglob("*"):
                out.write(path, f"top/{path.relative_to(photos)}")
            out.writestr("__MACOSX/top/._x", b"")
    else:
        with tarfile.open(archive, "w:gz") as out:
            out.add(photos, "top")
    wanted, found = load_data(photos), load_data(archive)
    assert [labelled(images) for images in found] == [labelled(images) for images in wanted]
    assert all(right(images) for images in found)


def test_a_folder_of_classes_is_split(tmp_path, caplog):
    folder = tmp_path / "photos"
    for name, count in {"blue": 20, "green": 2, "red": 7}.items():
        for index in range(count):
            write_photo(folder / name / f"{name}-{index}.jpg", COLORS[name], index)
    write_photo(folder / "single" / "single-0.jpg", (9, 9, 9))
    write_photo(folder / "loose.jpg", (200, 9, 9))
    (folder / "LICENSE.txt").write_text("free")
    train, val = load_data(folder, val_split=0.25)
    assert train.classes == val.classes == ("blue", "green", "red", "single")
    assert val.counts.tolist() == [5, 1, 2, 0]
    assert train.counts.tolist() == [15, 1, 5, 1]
    assert right(train) and right(val)
    assert not {*train.paths} & {*val.paths}
    assert "1 images have no label" in caplog.text and "loose.jpg" in caplog.text and "LICENSE" not in caplog.text
    assert load_data(folder, val_split=0.25)[1].paths == val.paths
    assert load_data(folder, val_split=0.25, seed=2)[1].paths != val.paths
    for wrong in (0, 1, -0.2, 5):
        assert "between 0 and 1" in refusal(folder, val_split=wrong)


def test_a_split_does_not_depend_on_where_the_folder_is(tmp_path):
    first = write_folder(tmp_path / "a", {"x": 9})  # classes blue and red
    shutil.copytree(first, tmp_path / "b")
    names = [[os.path.basename(path) for path in load_data(tmp_path / where / "x")[1].paths] for where in "ab"]
    assert names[0] == names[1]


def test_train_without_val_is_split(photos):
    shutil.rmtree(photos / "val")
    assert [len(images) for images in load_data(photos)] == [10, 2]
    assert len(load_data(photos / "train")[1]) == 2


def test_versions_of_one_picture_stay_on_one_side():
    labels, groups = [0] * 40 + [1] * 40, list(range(38)) + [0, 0] + list(range(38, 78))
    for seed in range(30):
        val = stratified(labels, 0.2, seed, groups)
        assert val[0] == val[38] == val[39]
        assert 6 <= val[:40].sum() <= 8 and val[40:].sum() == 8
    assert stratified([0] * 5, 0.2, 1, [3] * 5).sum() == 0, "one picture five times cannot be divided"


def test_other_validation_data(photos, tmp_path):
    other = write_folder(tmp_path / "other", {"val": 2}, ("blue", "red"))
    train, val = load_data(photos, val=other / "val")
    assert (len(train), len(val)) == (12, 4)
    assert all(str(other) in path for path in val.paths)
    lists = write_lists(photos)
    assert len(load_data(photos, val=lists[1])[1]) == 6


def test_a_class_called_train(tmp_path):
    for name in ("train", "test", "ship"):
        for index in range(3):
            write_photo(tmp_path / name / f"{name}-{index}.jpg", (index, 90, 200), ord(name[1]))
    assert load_data(tmp_path)[0].classes == ("ship", "test", "train")
    shutil.rmtree(tmp_path / "ship")
    assert "no class folders" in refusal(tmp_path), "else it would learn to tell train from test"


def test_classes_that_do_not_match(photos):
    train, val = write_lists(photos)
    with open(val, "a") as stream:
        stream.write("val/red/red-0.jpg Blue\n")
    line = refusal(train, val=val)
    assert "lacks: Blue" in line and "Blue is blue written otherwise" in line
    lines = val.read_text().splitlines()[:-1]
    val.write_text("\n".join(line for line in lines if line.endswith("red")))
    _, images = load_data(train, val=val)
    assert images.classes == ("blue", "red") and images.labels.tolist() == [1] * 3


NAMES = ["ümläut 画像 🐜", "a" * 240, " spaces  inside ", "quote\"'`$(x)", "percent%20%s{}", "-dash", "new\nline"]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(tmp_path, name):
    folder = tmp_path / "data"
    for part in ("train", "val"):
        for number, kind in enumerate((name, "other")):
            for index in range(2):
                seed = index + 10 * (part == "val")
                write_photo(folder / part / kind / f"{index} {name[:200]}.jpg", (90 * number, 50, 50), seed)
    for images in load_data(folder):
        assert images.folder is not None
        for source in (images, load_data(folder / "train")[0]):
            labels = [batch.asnumpy() for _, batch in Loader(source, eval_transforms(SMALL), 3).batches()]
            assert np.concatenate(labels).tolist() == source.labels.tolist()


def test_a_name_that_is_no_text(photos):
    bad = os.fsencode(photos / "train" / "red") + b"/\xff\xfe.jpg"
    try:
        os.link(photos / "train" / "red" / "red-0.jpg", bad)
    except OSError:
        pytest.skip("this file system wants UTF-8")
    train, _ = load_data(photos)
    assert len(train) == 13 and train.folder is None
    assert train.fingerprint
    assert load_data(photos)[0].paths == train.paths, "and from what is kept"


def test_links_are_followed_and_a_loop_is_not_fatal(photos, tmp_path, caplog):
    red = photos / "train" / "red"
    (red / "up").symlink_to(photos / "train" / "red", target_is_directory=True)
    (red / "self").symlink_to(red / "self")
    (photos / "train" / "again").symlink_to(photos, target_is_directory=True)
    elsewhere = write_photo(tmp_path / "elsewhere" / "red-x.jpg", COLORS["red"], 55)
    (red / "red-link.jpg").symlink_to(elsewhere)
    (red / "red-gone.jpg").symlink_to(tmp_path / "gone")
    real = photos / "val" / "red"
    real.rename(tmp_path / "red")
    real.symlink_to(tmp_path / "red", target_is_directory=True)
    train, val = load_data(photos)
    assert (len(train), len(val)) == (13, 6)
    assert right(train) and right(val)
    assert "2 links lead back" in caplog.text
    assert (
        "red-gone.jpg: cannot be read: No such file" in caplog.text and "self: cannot be read: Too many" in caplog.text
    )
    labels = [batch.asnumpy() for _, batch in Loader(val, eval_transforms(SMALL), 5).batches()]
    assert np.concatenate(labels).tolist() == val.labels.tolist()


def test_a_pipe_does_not_hang(photos, caplog):
    os.mkfifo(photos / "train" / "red" / "pipe.jpg")
    assert len(load_data(photos)[0]) == 12
    assert "pipe.jpg: neither a file nor a link to one" in caplog.text


def test_what_may_not_be_read(photos, caplog):
    hidden = photos / "train" / "red" / "red-0.jpg"
    hidden.chmod(0)
    if os.access(hidden, os.R_OK):
        pytest.skip("nothing is forbidden to root")
    assert len(load_data(photos)[0]) == 11
    assert "red-0.jpg: cannot be read: Permission denied" in caplog.text
    hidden.chmod(0o644)
    assert len(load_data(photos)[0]) == 12, "it is not remembered"
    (photos / "train" / "red").chmod(0)
    line = refusal(photos)
    (photos / "train" / "red").chmod(0o755)
    assert "cannot read the folder" in line


def test_nothing_is_written_into_the_data(photos, tmp_path, monkeypatch):
    def tree(folder):
        return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}

    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    (photos / "train" / "red" / "broken.jpg").write_bytes(b"x")
    before = tree(photos)
    folders = [path for path in before if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    load_data(photos)
    load_data(photos / "train")
    for path in folders:
        path.chmod(0o755)
    assert tree(photos) == before
    assert not list(cwd.iterdir())


def test_the_source_of_a_folder_inside_a_folder(photos, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    photos.rename(tmp_path / "a" / "b" / "photos")
    assert [len(images) for images in load_data(tmp_path / "a")] == [12, 6]
    assert len(find_dataset(tmp_path / "a" / "b" / "photos" / "train").train.samples) == 12


@pytest.mark.parametrize("link", [False, True])
def test_split_writes_a_folder(tmp_path, link):
    src = write_folder(tmp_path / "x", {"photos": 10}) / "photos"
    (src / "red" / "inner").mkdir()
    (src / "red" / "red-0.jpg").rename(src / "red" / "inner" / "red-0.jpg")
    (src / "red" / "broken.jpg").touch()
    done = run("split", src, tmp_path / "out", "--val-split", "0.3", *(["--link"] if link else []))
    assert done.exit_code == 0, done.output
    assert "train: 14 images" in done.stdout and "broken.jpg: empty file" in done.stderr
    train, val = load_data(tmp_path / "out")
    assert (train.counts.tolist(), val.counts.tolist()) == ([7, 7], [3, 3])
    assert right(train) and right(val)
    assert os.path.islink(train.paths[0]) == link
    assert labelled(train) | labelled(val) == {(f"{name}-{n}.jpg", name) for name in ("blue", "red") for n in range(10)}
    assert labelled(load_data(src, val_split=0.3)[1]) == labelled(val), "as a training would split it"
    again = run("split", src, tmp_path / "out")
    assert again.exit_code == 1 and "exists already" in again.stderr
    assert "is split already" in run("split", tmp_path / "out", tmp_path / "other").stderr
    assert "inside the data" in run("split", src, src / "out").stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x"]


@pytest.mark.parametrize(("suffix", "numbers"), [(".txt", False), (".txt", True), (".csv", False)])
def test_split_writes_lists(photos, tmp_path, suffix, numbers):
    label = {"blue": "1", "red": "0"}.get if numbers else str
    train, _ = write_lists(photos, suffix, label)
    if numbers:
        (photos / "classes.txt").write_text("red\nblue\n")
    done = run("split", train, tmp_path / "deep" / "out")
    assert done.exit_code == 0, done.output
    out = tmp_path / "deep" / "out"
    sets = load_data(out / f"train{suffix}", val=out / f"val{suffix}")
    assert [len(images) for images in sets] == [10, 2]
    assert sets[0].classes == (("red", "blue") if numbers else ("blue", "red"))
    assert all(right(images) for images in sets)
    assert [labelled(images) for images in load_data(out)] == [labelled(images) for images in sets]


def test_list_and_get(monkeypatch, tmp_path):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    done = run("list")
    assert [line.split()[0] for line in done.output.splitlines()[1:]][:3] == ["demo", "Canidae", "hymenoptera"]
    assert " yes " not in done.output
    monkeypatch.setattr("mstl.data.finding.demo.COUNTS", {"train": 1, "val": 1})
    done = run("get", "demo")
    assert done.output.strip() == str(tmp_path / "home" / "data" / "demo-1")
    assert run("list").output.splitlines()[1].split()[1] == "yes"
    assert "known are demo, Canidae" in run("get", "nothing").stderr
    assert "did you mean hymenoptera?" in refusal("Hymenopteras")


def test_preview(photos, tmp_path):
    done = run("preview", photos, "--augment", "light", "--out", tmp_path / "s.png", "-n", "6", "--image-size", "32")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "s.png").stat().st_size > 1000
