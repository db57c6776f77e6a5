"""``mstl predict FOLDER``: what a folder holds is known by content, and what is left out is said."""

import csv
import io
import os
import random

import pytest
from click.testing import CliRunner
from PIL import Image

import mstl
from mstl.commands import predict_command
from mstl.data.finding.predict_inputs import Unreadable, find_images
from tests.checkpoints import write_checkpoint
from tests.conftest import COLORS, write_folder, write_photo
from tests.data.test_near_duplicates import scene


@pytest.fixture
def found(tmp_path, monkeypatch, caplog):
    """A function that gives the names that are found below the folder "photos", and one for what is logged."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    caplog.set_level("INFO", logger="mstl")
    return lambda: [x.reason if isinstance(x, Unreadable) else os.fspath(x)[7:] for x in find_images(["photos"])]


def test_content_counts_not_the_suffix(found, tmp_path, caplog):
    folder = tmp_path / "photos"
    for name, kind in (
        ("IMG_1", "JPEG"),
        ("b.dat", "PNG"),
        ("in/c.jpg_large", "GIF"),
        ("in/d.tmp", "TIFF"),
        ("e.jpg", "BMP"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        scene(1, (40, 30)).save(folder / name, kind)
    for name in ("notes.txt", "in/labels.csv", "in/Thumbs.db", "model.bin"):
        (folder / name).write_bytes(b"no image at all, but more bytes than a header has " * 9)
    (folder / "empty").touch()
    assert found() == ["IMG_1", "b.dat", "e.jpg", "in/c.jpg_large", "in/d.tmp"]
    assert caplog.messages == ["left out of photos: 5 files without an image, such as photos/empty"]


def test_damaged_images_are_no_other_files(found, tmp_path, caplog):
    """They are to be named, whatever they are called."""
    folder = tmp_path / "photos"
    scene(1).save(folder / "cut", "JPEG")
    (folder / "cut").write_bytes((folder / "cut").read_bytes()[:2000])
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.png").touch()
    (folder / "gone").symlink_to(folder / "nowhere")
    assert found() == ["cut", "empty.png", "gone", "text.jpg"]
    assert caplog.messages == []


def test_hidden_files_and_folders_of_others_are_left_out(found, tmp_path, caplog):
    folder = tmp_path / "photos"
    for name in ("a.jpg", ".b.jpg", "._a.jpg", ".thumbnails/c.jpg", "@eaDir/d.jpg", "in/__MACOSX/e.jpg", "in/f.jpg"):
        write_photo(folder / name, COLORS["red"])
    write_photo(folder / "run1" / "predictions.png", COLORS["red"])
    for name in ("config.json", "best.ckpt"):
        (folder / "run1" / name).write_text("{}")
    (folder / "in" / "loop").symlink_to(folder)
    (folder / "README").write_text("no image")
    assert found() == ["a.jpg", "in/f.jpg"]
    assert caplog.messages == [
        "left out of photos: 1 file without an image, such as photos/README; "
        "4 folders, such as photos/@eaDir (of the system or another program)"
    ]


def test_a_folder_of_other_files(found, tmp_path, caplog):
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    assert found() == ["a folder without images"]
    assert caplog.messages == ["left out of photos: 1 file without an image, such as photos/notes.txt"]


def test_what_nobody_can_open_does_not_block(found, tmp_path):
    os.mkfifo(tmp_path / "photos" / "pipe")
    assert found() == ["pipe"]


def damaged(folder, rng):
    """20 files that cannot be decoded, of 10 kinds; the names of their files."""
    kinds = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}
    names = []
    for suffix, kind in kinds.items():
        for number in range(2):
            content = io.BytesIO()
            scene(rng.randrange(1000), (90, 70)).save(
                content, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {})
            )
            whole = content.getvalue()
            names.append(f"cut-{number}.{suffix}")
            (folder / names[-1]).write_bytes(whole[: int(len(whole) * rng.uniform(0.2, 0.8))])
            if suffix in ("jpg", "png"):
                names.append(f"header-{number}.{suffix}")
                (folder / names[-1]).write_bytes(whole[:30])
    for name, content in (("empty.jpg", b""), ("page.png", b"<html>"), ("zeros.jpg", bytes(3000)), ("cut", None)):
        names.append(name)
        (folder / name).write_bytes((folder / "cut-0.jpg").read_bytes() if content is None else content)
    return set(names)


@pytest.mark.usefixtures("narrow_model")
def test_a_fifth_is_damaged(tmp_path, monkeypatch):
    """All others are answered, in order, and each damaged one is named once; the exit code says that some are."""
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "data", {"train": 6, "val": 3})
    write_checkpoint(tmp_path / "best.ckpt", tmp_path / "data")
    folder = tmp_path / "photos"
    folder.mkdir()
    bad = damaged(folder, random.Random(17))
    sound = [f"{number}{('.jpg', '.png', '')[number % 3]}" for number in range(80)]
    for number, name in enumerate(sound):
        scene(number, (60, 50)).save(folder / name, ("JPEG", "PNG", "GIF")[number % 3])
    predictor = mstl.Predictor(tmp_path / "best.ckpt")
    monkeypatch.setattr("mstl.predictor.Predictor", lambda checkpoint, *how: predictor)
    done = CliRunner().invoke(predict_command.main, ["best.ckpt", "photos", "--format", "csv"])
    assert done.exit_code == 3
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["path"] for row in rows] == [f"photos/{name}" for name in sorted(sound)]
    *lines, last = done.stderr.splitlines()
    assert {line.partition(": ")[0] for line in lines} == {f"photos/{name}" for name in bad} and len(lines) == len(bad)
    assert last == "20 of 100 images could not be read"
    alone = predictor([Image.open(folder / name) for name in sorted(sound)])
    assert [row["label"] for row in rows] == [answer.label for answer in alone]
