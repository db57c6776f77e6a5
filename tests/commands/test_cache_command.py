"""``mstl cache``: what it prints, and what is left after it."""

import logging
import os
import time
import zipfile

import click
import numpy as np
import pytest
from click.testing import CliRunner

from mstl.commands import cache_command
from mstl.data.finding.archives import archive
from mstl.features.cache_folders import features_folder, list_folders
from mstl.features.feature_cache import FeatureCache

DESCRIPTION = {
    "format": 1,
    "model": "resnet50",
    "weights": "0123456789abcdef",
    "stage": "backbone",
    "transforms": {"resize": 256},
    "mindspore": "2.10.0",
    "device": "CPU",
}


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MSTL_CACHE_SIZE", "500MB")


def run(*arguments):
    return CliRunner().invoke(cache_command.main, arguments)


def fill(description, rows, size=1000):
    one = FeatureCache(description)
    one.put({f"{index}": np.zeros(size, np.float32) for index in range(rows)})
    return one.folder


def test_an_empty_list():
    done = run("list")
    assert (done.exit_code, done.output) == (0, f"0 B of 500 MB (MSTL_CACHE_SIZE) in {features_folder()}\n")


def test_list():
    moment = time.mktime((2024, 3, 5, 7, 9, 0, 0, 0, -1))
    old = fill(DESCRIPTION | {"model": "resnet18", "stage": "layer3"}, 3, 250_000)
    os.utime(next(old.glob("*.safetensors")), (moment, moment))
    new = fill(DESCRIPTION, 1200)
    done = run("list")
    assert done.exit_code == 0
    head, first, second, total = done.output.splitlines()
    assert head.split() == ["name", "model", "stage", "images", "size", "last", "used"]
    assert first.split()[:6] == [new.name[:12], "resnet50", "backbone", "1,200", "4.82", "MB"]
    assert second.split() == [old.name[:12], "resnet18", "layer3", "3", "3", "MB", "2024-03-05", "07:09"]
    assert total == f"7.82 MB of 500 MB (MSTL_CACHE_SIZE) in {features_folder()}"
    assert head.index("size") + 4 == first.index("MB") + 2 == second.index("MB") + 2


@pytest.mark.parametrize(
    "description", [{}, {"model": None, "stage": ["a", 1]}, {"model": "a model of a very long name"}]
)
def test_list_of_folders_that_say_little(description):
    folder = fill(description, 2)
    assert run("list").exit_code == 0
    assert folder.name[:12] in run("list").output
    (folder / "description.json").unlink()
    line = run("list").output.splitlines()[1]
    assert line.split()[:4] == [folder.name[:12], "-", "-", "2"]


def test_list_of_a_folder_without_files():
    folder = fill(DESCRIPTION, 1)
    next(folder.glob("*.safetensors")).unlink()
    line = run("list").output.splitlines()[1]
    assert line.split() == [folder.name[:12], "resnet50", "backbone", "0", "0", "B", "-"]


def test_clear_all():
    folders = [fill(DESCRIPTION, 300), fill(DESCRIPTION | {"stage": "layer3"}, 700)]
    size = sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors"))
    done = run("clear")
    assert (done.exit_code, done.output) == (0, f"{size / 1e6:.2f} MB freed\n")
    assert list_folders() == [] and not any(folder.exists() for folder in folders)
    assert run("clear").output == "0 B freed\n"


def test_clear_one_by_the_name_that_the_list_shows():
    gone, stays = fill(DESCRIPTION, 3, 100_000), fill(DESCRIPTION | {"stage": "layer3"}, 7)
    names = [line.split()[0] for line in run("list").output.splitlines()[1:-1]]
    done = run("clear", next(name for name in names if gone.name.startswith(name)))
    assert (done.exit_code, done.output) == (0, "1.2 MB freed\n")
    assert [folder.name for folder in list_folders()] == [stays.name]


def test_an_unknown_name_is_one_line_and_removes_nothing():
    folder = fill(DESCRIPTION, 3)
    done = run("clear", folder.name[:12], "resnet50")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "mstl: error: nothing in the cache is named 'resnet50': `mstl cache list` shows the names"
    ]
    assert folder.exists()


def test_a_size_that_is_none(monkeypatch):
    monkeypatch.setenv("MSTL_CACHE_SIZE", "plenty")
    done = run("list")
    assert done.exit_code == 1 and done.output.startswith("mstl: error: MSTL_CACHE_SIZE is 'plenty'")
    assert run("clear").exit_code == 0


def unpack(path, members):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return archive.unpacked(path)


def test_list_of_unpacked_archives(tmp_path):
    older = unpack(tmp_path / "pets.zip", {"cat/1.jpg": b"x" * 3000, "dog/1.jpg": b"y" * 2000})
    newer = unpack(tmp_path / "flowers.zip", {"rose/1.jpg": b"z" * 700})
    moment = time.mktime((2024, 3, 5, 7, 9, 0, 0, 0, -1))
    os.utime(older / ".mstl-unpacked.json", (moment, moment))
    _, empty, head, first, second, total = run("list").output.splitlines()
    assert empty == "" and head.split() == ["name", "files", "size", "unpacked", "last", "used", "archive"]
    assert first.split()[:2] == [newer.name, "1"] and first.split()[-1] == str(tmp_path / "flowers.zip")
    day = time.strftime("%Y-%m-%d")
    assert second.split()[0] == older.name and second.split()[1] == "2"
    assert second.split()[4] == day and second.split()[-3:] == ["2024-03-05", "07:09", str(tmp_path / "pets.zip")]
    assert total.endswith(f"of unpacked archives in {tmp_path / 'home' / 'data'}")
    assert archive.unpacked(tmp_path / "pets.zip") == older
    assert run("list").output.splitlines()[3].startswith(older.name), "it was used last"


def test_clear_one_archive_and_all(tmp_path):
    pets = unpack(tmp_path / "pets.zip", {"cat/1.jpg": b"x" * 3000})
    flowers = unpack(tmp_path / "flowers.zip", {"rose/1.jpg": b"z" * 700})
    features = fill(DESCRIPTION, 300)
    demo = tmp_path / "home" / "data" / "Canidae"  # a download, which is no copy
    demo.mkdir()
    assert run("clear", "pets", "nothing").exit_code == 1 and pets.exists()
    assert run("clear", "pets").exit_code == 0
    assert not pets.exists() and flowers.exists() and features.exists()
    assert archive.unpacked(tmp_path / "pets.zip") == pets, "unpacked again"
    assert (pets / "cat" / "1.jpg").read_bytes() == b"x" * 3000
    assert run("clear").exit_code == 0
    assert not pets.exists() and not flowers.exists() and not features.exists() and demo.exists()
    assert (tmp_path / "pets.zip").exists() and (tmp_path / "flowers.zip").exists()
    assert run("clear").output == "0 B freed\n"


def test_a_name_that_may_mean_two_archives(tmp_path):
    folders = [unpack(tmp_path / "pets.zip", {"cat/1.jpg": b"x" * size}) for size in (10, 20)]
    done = run("clear", "pets")
    assert done.exit_code == 1 and all(folder.name in done.output and folder.exists() for folder in folders)


def test_what_a_killed_process_has_left_is_cleared_and_what_one_writes_is_not(tmp_path):
    data = tmp_path / "home" / "data"
    for name in ("pets-0123456789ab", "cars-0123456789ab"):
        (data / f".{name}-01234567").mkdir(parents=True)
        (data / f".{name}-01234567" / "1.jpg").write_bytes(b"x" * 1000)
    assert run("list").output.count("unfinished") == 2
    logging.getLogger("mstl").handlers.clear()  # so that messages go where the next run's output goes
    with archive.lock(data / "cars-0123456789ab"):
        done = run("clear")
    assert "1 KB freed" in done.output and "cars-0123456789ab" in done.output and "another process" in done.output
    assert [path.name for path in data.iterdir() if path.is_dir()] == [".cars-0123456789ab-01234567"]


@pytest.mark.parametrize("name", ["list", "clear"])
def test_help(name):
    done = run(name, "-h")
    assert done.exit_code == 0 and cache_command.main.commands[name].help.split()[0] in done.output
    assert all(option.help for option in cache_command.main.commands[name].params if isinstance(option, click.Option))
