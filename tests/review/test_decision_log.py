"""review.csv: its form, several reviewers at once, and what happens where it is damaged or cannot be written."""

import csv
import errno
import os
import threading

import pytest

from mstl.errors import MstlError
from mstl.review.decision_log import DecisionLog
from mstl.review.decisions import Decision
from tests.review.trees import decide, review_of, write_classes


def decision(path="ant/0.png", verdict="keep", old="ant", new="", time="2026-01-02T03:04:05.000000+00:00"):
    return Decision(path, "0" * 64, verdict, old, new, time)


def test_the_file_is_a_table_that_other_programs_read(tmp_path):
    root = write_classes(tmp_path / "data")
    taken = decide(review_of(root), "ant/0.png", "relabel", "wasp, a")
    with open(root / "review.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == ["path", "sha256", "decision", "old_label", "new_label", "time"]
    assert row == {
        **{"path": "ant/0.png", "sha256": taken.sha256, "decision": "relabel"},
        **{"old_label": "ant", "new_label": "wasp, a", "time": taken.time},
    }
    assert taken.time.endswith("+00:00")


def test_names_that_are_not_unicode_or_have_line_breaks_come_back(tmp_path):
    log = DecisionLog(tmp_path)
    odd = decision(os.fsdecode(b"ant/\xe9\n\\.png"), "relabel", "a,\"b'", "蚂蚁")
    log.add(odd)
    assert log.read() == [odd]


def test_two_reviewers_lose_no_decision_of_the_other(tmp_path):
    logs = [DecisionLog(tmp_path) for _ in range(4)]

    def work(number):
        for index in range(10):
            logs[number].add(decision(f"{number}-{index}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [one.path for one in DecisionLog(tmp_path).read()]
    assert sorted(found) == sorted(f"{number}-{index}" for number in range(4) for index in range(10))


def test_a_table_that_a_spreadsheet_has_written_is_read(tmp_path):
    log = DecisionLog(tmp_path)
    log.add(decision())
    text = log.path.read_text().replace("\n", "\r\n")
    log.path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert log.read() == [decision()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\na,b\n", "its first line is not path,sha256,decision,old_label,new_label,time"),
        ("", "its first line is not"),
        ("path,sha256,decision,old_label,new_label,time\na,b\n", "line 2 has 2 cells in place of 6"),
        ("path,sha256,decision,old_label,new_label,time\na,b,drop,c,,d\n", "line 2 is no decision"),
        ("path,sha256,decision,old_label,new_label,time\na,b,relabel,c,,d\n", "line 2 is no decision"),
    ],
)
def test_a_damaged_file_is_said_and_left_as_it_is(tmp_path, text, words):
    log = DecisionLog(tmp_path)
    log.path.write_text(text)
    for change in (log.read, lambda: log.add(decision()), lambda: log.take_back(decision())):
        with pytest.raises(MstlError, match=words):
            change()
    assert log.path.read_text() == text


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    log = DecisionLog(tmp_path)
    log.add(decision())

    def replace(*paths):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(MstlError, match="review.csv: No space left on device; nothing was changed: make room"):
        log.add(decision("other"))
    assert log.read() == [decision()]
    assert set(os.listdir(tmp_path)) - {".review.csv.lock"} == {"review.csv"}


def test_a_folder_that_is_only_read_is_said(tmp_path, monkeypatch):
    def acquire(*more, **also):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    with pytest.raises(MstlError, match="cannot write .*review.csv: Read-only file system; nothing was changed"):
        DecisionLog(tmp_path).add(decision())


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    names = [".review-0123abcd.csv", "..review-journal-2-0123abcd.json", ".review-list-0123abcd.txt"]
    for name in [*names, ".review-journal-2.json", ".review-mine.csv"]:
        (tmp_path / name).write_text("")
    DecisionLog(tmp_path).add(decision())
    found = set(os.listdir(tmp_path)) - {".review.csv.lock"}
    assert found == {"review.csv", ".review-journal-2.json", ".review-mine.csv"}
