"""Reviews of lists: a new list is written, the old one and the images stay, and undo removes the new one."""

import errno
import os
import shutil

import pytest

from mstl.data.finding.lists.list_options import ListOptions
from mstl.data.finding.sources import find_dataset
from mstl.errors import MstlError
from mstl.review import moving
from mstl.review.applying import apply, undo
from mstl.review.review_status import status_lines
from tests.review.trees import decide, review_of, tree, write_image

LISTS = {
    "table.csv": "path,patient,label,split\nimg/0.png,p1,ant,train\nimg/1.png,p1,bee,train\nimg/2.png,p2,ant,val\n"
    "img/3.png,p2,bee,train\nimg/4.png,p2,ant,train\n",
    "lines.txt": "img/0.png ant\nimg/1.png bee\nimg/2.png ant\nimg/3.png bee\nimg/4.png ant\n",
    "semicolons.csv": "patient;file;class\np1;0.png;ant\np1;1.png;bee\np2;2.png;ant\np2;3.png;bee\np2;4.png;ant\n",
    "onehot.csv": "image,ant,bee\n0,1,0\n1,0,1\n2,1,0\n3,0,1\n4,1,0\n",
    "numbers.csv": "path,label\nimg/0.png,0\nimg/1.png,1\nimg/2.png,0\nimg/3.png,1\nimg/4.png,0\n",
}
NEW = {
    "table.csv": "path,patient,label,split\nimg/0.png,p1,bee,train\nimg/2.png,p2,wasp,val\nimg/3.png,p2,bee,train\n"
    "img/4.png,p2,ant,train\n",
    "lines.txt": "img/0.png\tbee\nimg/2.png\twasp\nimg/3.png\tbee\nimg/4.png\tant\n",
    "semicolons.csv": "patient;file;class\np1;img/0.png;bee\np2;img/2.png;wasp\np2;img/3.png;bee\np2;img/4.png;ant\n",
    "onehot.csv": "image,label\nimg/0.png,bee\nimg/2.png,wasp\nimg/3.png,bee\nimg/4.png,ant\n",
    "numbers.csv": "path,label\nimg/0.png,bee\nimg/2.png,wasp\nimg/3.png,bee\nimg/4.png,ant\n",
}


def write_list(tmp_path, name):
    for index in range(5):
        write_image(tmp_path / "img" / f"{index}.png", index)
    if name == "numbers.csv":
        (tmp_path / "classes.txt").write_text("ant\nbee\n")
    (tmp_path / name).write_text(LISTS[name])
    return tmp_path / name


def decide_three(file):
    review = review_of(file)
    decide(review, "img/0.png", "relabel", "bee")
    decide(review, "img/1.png", "exclude")
    decide(review, "img/2.png", "relabel", "wasp")
    decide(review, "img/3.png", "keep")
    return review.source


@pytest.mark.parametrize("name", LISTS)
def test_a_new_list_has_the_other_columns_of_the_old_one(tmp_path, name):
    file = write_list(tmp_path, name)
    source = decide_three(file)
    before = tree(tmp_path)
    (new,) = apply(source).lists
    assert (new.name, new.parent) == (f"{file.stem}-reviewed{file.suffix}", tmp_path)
    assert new.read_text() == NEW[name]
    assert {name: value for name, value in tree(tmp_path).items() if name in before} == before
    found = find_dataset(str(new)).splits.values()
    labels = {os.path.basename(one.path): one.label for split in found for one in split.samples}
    assert labels == {"0.png": "bee", "2.png": "wasp", "3.png": "bee", "4.png": "ant"}
    assert not review_of(new).standing().pending  # nothing of it is asked about again
    undo(source)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", LISTS)
def test_applied_again_nothing_is_written_until_something_else_is_decided(tmp_path, name):
    file = write_list(tmp_path, name)
    source = decide_three(file)
    (new,) = apply(source).lists
    before = tree(tmp_path)
    again = apply(source)
    assert (again.done, again.lists, again.written) == ((), (), (new,)) and tree(tmp_path) == before
    assert status_lines(source)[-2:] == [
        *("--apply would relabel 0 and exclude 0", "--undo would move 0 files back, and remove 1 lists")
    ]
    decide(review_of(file), "img/4.png", "exclude")
    assert status_lines(source)[-2] == "--apply would relabel 2 and exclude 2"
    (second,) = apply(source).lists
    assert second.name == f"{file.stem}-reviewed-2{file.suffix}" and not apply(source).done
    new.unlink()
    assert not apply(source).done, "the second one is there"
    undo(source)
    assert apply(source).lists == (new,)


def test_a_second_list_has_another_name_and_undo_removes_the_last_one_only(tmp_path):
    file = write_list(tmp_path, "table.csv")
    source = decide_three(file)
    apply(source)
    new = file.with_stem("table-reviewed")
    decide(review_of(new), "img/4.png", "exclude")
    (second,) = apply(review_of(new).source).lists
    assert second.name == "table-reviewed-2.csv"
    assert second.read_text().count("\n") == 4
    undo(source)
    assert new.exists() and not second.exists()


def test_a_list_that_was_changed_since_stays(tmp_path):
    file = write_list(tmp_path, "table.csv")
    source = decide_three(file)
    (new,) = apply(source).lists
    new.write_text(new.read_text() + "img/1.png,p1,bee,train\n")
    assert undo(source).problems == ("table-reviewed.csv has been changed since it was written: it stays",)
    assert new.exists()


def test_a_folder_with_a_list_is_read_as_before(tmp_path):
    write_list(tmp_path, "table.csv")
    before = find_dataset(str(tmp_path))
    review = review_of(tmp_path)
    decide(review, "img/0.png", "relabel", "bee")
    apply(review.source)
    assert find_dataset(str(tmp_path)) == before
    assert (tmp_path / "table-reviewed.csv").exists()


def test_lists_of_parts_each_get_one_if_they_change(tmp_path):
    for index in range(6):
        write_image(tmp_path / f"{index}.png", index)
    (tmp_path / "train.csv").write_text("path,label\n0.png,ant\n1.png,bee\n2.png,ant\n3.png,bee\n")
    (tmp_path / "val.csv").write_text("path,label\n4.png,ant\n5.png,bee\n")
    review = review_of(tmp_path)
    decide(review, "5.png", "relabel", "ant")
    (new,) = apply(review.source).lists
    assert new.name == "val-reviewed.csv"
    assert new.read_text() == "path,label\n4.png,ant\n5.png,ant\n"


def test_the_same_image_twice_in_a_list_is_once_in_the_new_one(tmp_path):
    write_image(tmp_path / "0.png", 0)
    write_image(tmp_path / "1.png", 1)
    (tmp_path / "list.csv").write_text("path,label\n0.png,ant\n0.png,bee\n1.png,bee\n")
    review = review_of(tmp_path / "list.csv")
    (image,) = (image for image in review.images if (image.place, image.label) == ("0.png", "ant"))
    review.decide(image, "relabel", "bee")
    (new,) = apply(review.source).lists
    assert new.read_text() == "path,label\n0.png,bee\n1.png,bee\n"


def test_columns_that_the_user_has_named_and_images_elsewhere(tmp_path):
    for index in range(4):
        write_image(tmp_path / "pictures" / f"{index}.png", index)
    file = tmp_path / "lists" / "l.csv"
    file.parent.mkdir()
    file.write_text("a,b,c\n0.png,x,one\n1.png,y,two\n2.png,x,three\n3.png,y,four\n")
    options = ListOptions(label_column="b", images=str(tmp_path / "pictures"))
    review = review_of(file, lists=options)
    decide(review, "../pictures/0.png", "relabel", "y")
    decide(review, "../pictures/1.png", "exclude")
    (new,) = apply(review.source).lists
    found = find_dataset(str(new), options=options).train.samples
    assert [(os.path.basename(one.path), one.label) for one in found] == [
        ("0.png", "y"),
        ("2.png", "x"),
        ("3.png", "y"),
    ]
    assert "three" in new.read_text()


def test_a_class_of_a_list_may_have_a_name_that_no_folder_has(tmp_path):
    for index in range(3):
        write_image(tmp_path / f"{index}.png", index)
    (tmp_path / "list.csv").write_text("path,label\n0.png,a/b\n1.png,.c\n2.png,d\n")
    review = review_of(tmp_path / "list.csv")
    decide(review, "2.png", "relabel", "a/b")
    (new,) = apply(review.source).lists
    assert new.read_text() == "path,label\n0.png,a/b\n1.png,.c\n2.png,a/b\n"


def test_a_full_disk_leaves_no_list(tmp_path, monkeypatch):
    source = decide_three(write_list(tmp_path, "table.csv"))
    before, real = tree(tmp_path), moving.move_file

    def move_file(one, other):
        if other.suffix == ".csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(one), None, str(other))
        return real(one, other)

    monkeypatch.setattr(moving, "move_file", move_file)
    with pytest.raises(MstlError, match="No space left on device; nothing was changed: make room"):
        apply(source)
    assert tree(tmp_path) == before


def test_a_folder_of_classes_is_read_as_before_with_the_files_of_a_review(tmp_path, caplog):
    root = tmp_path / "data"
    for index in range(6):
        write_image(root / ("ant" if index % 2 else "bee") / f"{index}.png", index)
    before = {sample.path for sample in find_dataset(str(root)).train.samples}
    review = review_of(root)
    decide(review, "ant/1.png", "relabel", "wasp")
    assert {sample.path for sample in find_dataset(str(root)).train.samples} == before
    decide(review, "bee/0.png", "exclude")
    apply(review.source)
    caplog.clear()
    with caplog.at_level("INFO", "mstl"):
        found = find_dataset(str(root))
    assert {os.path.relpath(sample.path, root) for sample in found.train.samples} == {
        *("ant/3.png", "ant/5.png", "bee/2.png", "bee/4.png", "wasp/1.png")
    }
    assert "review" not in caplog.text
    with caplog.at_level("INFO", "mstl"):
        outer = find_dataset(str(tmp_path))  # beside data-excluded
    assert {sample.path for sample in outer.train.samples} == {sample.path for sample in found.train.samples}
    assert "data-excluded (excluded by a review)" in caplog.text
    shutil.rmtree(root / "ant")
    assert find_dataset(str(root)).train.labels == {"bee", "wasp"}
