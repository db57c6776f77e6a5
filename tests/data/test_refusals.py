"""Whatever training refuses, `mstl data check` refuses in the same words, with exit code 3; and nothing else."""

import csv
import shutil

import pytest
from click.testing import CliRunner

from mstl import MstlError, load_data
from mstl.commands import data_command
from tests.conftest import COLORS, write_folder, write_photo


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))


def nothing(root):
    root.mkdir()


def one_class(root):
    write_folder(root, {"train": 4, "val": 2}, ("red",))


def one_class_and_a_broken_one(root):
    write_folder(root, {".": 4}, ("red",))
    (root / "blue").mkdir()
    (root / "blue" / "0.jpg").write_bytes(b"no image")


def no_class(root):
    for number in range(4):
        write_photo(root / f"cat.{number}.jpg", COLORS["red"], number)


def empty_val(root):
    write_folder(root, {"train": 4})
    for name in ("blue", "red"):
        (root / "val" / name).mkdir(parents=True)


def broken_val(root):
    empty_val(root)
    (root / "val" / "red" / "0.jpg").write_bytes(b"no image")


def broken_test(root):
    write_folder(root, {"train": 4, "val": 2})
    (root / "test" / "red").mkdir(parents=True)
    (root / "test" / "red" / "0.jpg").touch()


def more_in_val(root):
    write_folder(root, {"train": 4, "val": 2})
    write_photo(root / "val" / "green" / "0.jpg", COLORS["green"])


def more_in_test(root):
    write_folder(root, {"train": 4, "val": 2, "test": 2})
    write_photo(root / "test" / "green" / "0.jpg", COLORS["green"])


def otherwise_written(root):
    write_folder(root, {"train": 4, "val": 2})
    (root / "val" / "red").rename(root / "val" / "RED")


def unreadable(root):
    for name in ("blue", "red"):
        (root / name).mkdir(parents=True)
        (root / name / "0.jpg").write_bytes(b"no image")


def one_of_each(root):
    write_folder(root, {".": 1})


def copies_of_one(root):
    """Versions of one picture stay on one side of a split."""
    one_of_each(root)
    for name in ("blue", "red"):
        shutil.copy(root / name / f"{name}-0.jpg", root / name / "copy.jpg")


def nothing_to_train_on(root):
    write_folder(root, {"val": 2})


REFUSED = [
    *(nothing, one_class, one_class_and_a_broken_one, no_class, empty_val, broken_val, broken_test, more_in_val),
    *(more_in_test, otherwise_written, unreadable, one_of_each, copies_of_one, nothing_to_train_on),
]


def check(data, out, *options):
    """What the check ends with, what it shows, and the rows of its CSV."""
    done = CliRunner().invoke(data_command.main, ["check", str(data), "--out", str(out), *map(str, options)])
    rows = []
    if out.exists():
        with open(out, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    return done.exit_code, done.output, rows


@pytest.mark.parametrize("make", REFUSED)
def test_check_refuses_what_training_refuses(tmp_path, make):
    make(tmp_path / "data")
    with pytest.raises(MstlError) as caught:
        load_data(tmp_path / "data")
    code, output, rows = check(tmp_path / "data", tmp_path / "check.csv")
    assert code == 3
    assert str(caught.value) in output
    refused = [row for row in rows if row["problem"] == "refused"]
    assert refused == [{"path": "", "problem": "refused", "detail": str(caught.value), "severity": "error"}]


@pytest.mark.parametrize("make", [one_class, unreadable, no_class])
def test_archives(tmp_path, make):
    make(tmp_path / "data")
    archive = shutil.make_archive(str(tmp_path / "data"), "zip", tmp_path / "data")
    with pytest.raises(MstlError) as caught:
        load_data(archive)
    code, output, _ = check(archive, tmp_path / "check.csv")
    assert code == 3 and str(caught.value) in output


def test_lists(tmp_path):
    write_folder(tmp_path / "data", {"train": 4})
    lines = [f"{path} one" for path in (tmp_path / "data").rglob("*.jpg")]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    code, output, rows = check(tmp_path / "list.txt", tmp_path / "check.csv")
    assert code == 3 and "list.txt has 1 class (one)" in output and rows[0]["problem"] == "refused"


def test_other_validation_data(tmp_path):
    write_folder(tmp_path / "data", {"train": 4, "val": 2})
    write_folder(tmp_path / "other", {".": 2}, ("green",))
    assert check(tmp_path / "data", tmp_path / "check.csv")[0] == 0
    code, output, _ = check(tmp_path / "data", tmp_path / "check.csv", "--val", tmp_path / "other")
    assert code == 3 and "has classes that the training data lacks: green" in output


def test_what_is_left_after_the_quarantine_may_be_refused(tmp_path):
    unreadable(tmp_path / "data")
    code, output, _ = check(tmp_path / "data", tmp_path / "check.csv", "--quarantine", tmp_path / "bad")
    assert "2 files moved" in output and code == 3 and "1 must be fixed" in output


def test_what_cannot_be_found_or_read_is_an_error(tmp_path):
    """There is nothing to check: the exit code is that of any other command, and an older table is left alone."""
    (tmp_path / "check.csv").write_text("old")
    (tmp_path / "list.csv").write_text("path;label;label\n")
    (tmp_path / "data.zip").write_bytes(b"no archive")
    for name in ("nowhere", "list.csv", "data.zip"):
        code, output, _ = check(tmp_path / name, tmp_path / "check.csv")
        assert code == 1 and output.startswith("mstl: error: "), output
        assert (tmp_path / "check.csv").read_text() == "old"


@pytest.mark.parametrize("counts", [{".": 2}, {"train": 1, "val": 1}, {"train": 2, "test": 1}])
def test_what_the_check_passes_is_loaded(tmp_path, counts):
    write_folder(tmp_path / "data", counts)
    assert check(tmp_path / "data", tmp_path / "check.csv")[0] == 0
    assert len(load_data(tmp_path / "data")[0]) > 0
