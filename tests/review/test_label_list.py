"""The list of labels: what is in it comes back, for training too, and nothing else is overwritten."""

import os
import threading

import pytest

from mstl.data.finding.lists.list_file import read_rows
from mstl.errors import MstlError
from mstl.review.label_list import LabelList
from tests.conftest import COLORS, write_photo

ODD = [os.fsdecode(b"ant/\xe9.jpg"), 'a, "b".jpg', "c\n\\d.jpg", "蚂蚁.jpg", "e;f\tg.jpg"]


def test_odd_names_come_back_for_training_too(tmp_path):
    labels = LabelList(tmp_path / "labels.csv")
    for number, name in enumerate(ODD):
        write_photo(tmp_path / name, COLORS["red"], number)
        labels.add(labels.place(str(tmp_path / name)), f"class, {number}")
    expected = [(name, f"class, {number}") for number, name in enumerate(ODD)]
    assert [(row.path, row.label) for row in labels.read()] == expected
    assert [(row.path, row.label) for row in read_rows(labels.path, quiet=True)] == expected


def test_an_image_elsewhere_has_its_whole_path(tmp_path):
    labels = LabelList(tmp_path / "lists" / "labels.csv")
    assert labels.place(str(tmp_path / "a.jpg")) == str(tmp_path / "a.jpg")
    assert labels.place(str(tmp_path / "lists" / "b" / "a.jpg")) == os.path.join("b", "a.jpg")


def test_a_new_label_takes_the_place_of_an_old_one_and_can_be_taken_back(tmp_path):
    labels = LabelList(tmp_path / "labels.csv")
    assert labels.read() == []
    for path, label in (("a", "ant"), ("b", "bee"), ("a", "bee")):
        labels.add(path, label)
    assert [(row.path, row.label) for row in labels.read()] == [("b", "bee"), ("a", "bee")]
    labels.take_back("b")
    before = labels.path.stat()
    labels.take_back("never there")
    assert labels.path.stat() == before
    assert labels.path.read_text() == "path,label\na,bee\n"


def test_several_at_once_lose_nothing(tmp_path):
    def work(number):
        for index in range(10):
            LabelList(tmp_path / "labels.csv").add(f"{number}-{index}", "ant")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(LabelList(tmp_path / "labels.csv").read()) == 40


@pytest.mark.parametrize(
    "text", ["", "path,label,split\na,b,train\n", "a.jpg,ant\n", "path,label\na\n", 'path,label\n"a']
)
def test_another_kind_of_list_is_left_as_it_is(tmp_path, text):
    labels = LabelList(tmp_path / "labels.csv")
    labels.path.write_text(text)
    for change in (labels.read, lambda: labels.add("a", "ant"), lambda: labels.take_back("a")):
        with pytest.raises(MstlError, match="is not a list of labels"):
            change()
    assert labels.path.read_text() == text


def test_what_training_would_not_read_is_refused(tmp_path):
    labels = LabelList(tmp_path / "labels.csv")
    labels.add("a.jpg", "ant")
    with pytest.raises(MstlError, match="more than one label"):
        labels.add("b.jpg", "ant|bee")
    assert len(labels.read()) == 1
    with pytest.raises(MstlError, match=r"not called \*\.csv"):
        LabelList(tmp_path / "labels.txt")


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path, monkeypatch):
    from mstl.review import label_list

    def fail(path, rows):
        raise OSError(28, "No space left on device")

    labels = LabelList(tmp_path / "labels.csv")
    labels.add("a.jpg", "ant")
    monkeypatch.setattr(label_list, "write_rows", fail)
    with pytest.raises(MstlError, match="cannot write .*labels.csv: No space left on device; .* make room"):
        labels.add("b.jpg", "ant")
    assert len(labels.read()) == 1
