"""What is wrong with a data set is found, said and kept; nothing else is."""

import csv
import json
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, features

from mstl import MstlError, load_data
from mstl.commands import data_command as tools
from mstl.data.checking import scan, scan_cache
from mstl.data.checking.checks import check_dataset
from mstl.data.checking.scan import examine
from mstl.data.finding.sources import find_dataset
from tests.conftest import COLORS, write_folder, write_photo
from tests.data.test_near_duplicates import orientation, scene


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))


@pytest.fixture
def clean(tmp_path):
    """A folder with nothing wrong in it."""
    return write_folder(tmp_path / "photos", {"train": 6, "val": 3})


def findings(*data):
    """{(problem, file name)}"""
    return {
        (finding.problem, os.path.basename(finding.path)) for finding in check_dataset(find_dataset(*data)).findings
    }


def details(*data):
    return {finding.problem: finding.detail for finding in check_dataset(find_dataset(*data)).findings}


def run(*arguments):
    return CliRunner().invoke(tools.main, ["check", *(str(argument) for argument in arguments)])


def png(width, height, depth, kind, rows):
    """A PNG's bytes, written by hand: Pillow writes neither 16-bit colours nor false headers."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def unusual(folder):
    """Usable photos with something to note, and what."""
    base = scene(77, (60, 50))
    wide = (np.asarray(base.convert("L")).astype(np.uint16) << 8) + 5
    base.save(folder / "moving.gif", save_all=True, append_images=[scene(78, (60, 50))])
    base.save(folder / "web.webp")
    base.save(folder / "named.png", "JPEG")
    base.save(folder / "no suffix", "PNG")
    Image.fromarray(wide).save(folder / "wide.png")
    Image.fromarray(wide).save(folder / "wide.tif")
    (folder / "wide-rgb.png").write_bytes(png(2, 2, 16, 2, (b"\0" + bytes(range(12))) * 2))
    Image.fromarray(np.asarray(base.convert("L"), np.float32)).save(folder / "float.tif")
    base.convert("CMYK").save(folder / "cmyk.jpg")
    base.convert("P").save(folder / "palette.png")
    base.convert("RGBA").save(folder / "alpha.png")
    base.convert("P").save(folder / "key.png", transparency=3)
    base.convert("L").save(folder / "grey.jpg")
    base.save(folder / "turned.jpg", exif=orientation(6))
    base.save(folder / "upright.jpg", exif=orientation(1))
    return {
        "moving.gif": {"animated", "palette"}, "web.webp": set(),
        "named.png": {"wrong_suffix"}, "no suffix": {"wrong_suffix"}, "wide.png": {"deep", "grey"},
        "wide.tif": {"deep", "grey"},
        "wide-rgb.png": {"deep", "dark", "tiny"}, "float.tif": {"deep", "grey"}, "cmyk.jpg": {"cmyk"},
        "palette.png": {"palette"},
        "alpha.png": {"alpha"}, "key.png": {"palette", "alpha"}, "grey.jpg": {"grey"}, "turned.jpg": {"rotated"},
        "upright.jpg": set(),
    }  # fmt: skip


def unusable(folder):
    """Files that cannot be used, and why."""
    scene(5).save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    scene(5).save(folder / "whole.png")
    whole_png = (folder / "whole.png").read_bytes()
    (folder / "whole.png").unlink()
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a photo")
    (folder / "notes.txt").write_text("not a photo")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.png").write_bytes(whole_png[: len(whole_png) // 2])
    (folder / "damaged.png").write_bytes(whole_png[:200] + bytes(60) + whole_png[260:])
    (folder / "bomb.png").write_bytes(png(12_000, 12_000, 8, 2, bytes(1000)))
    (folder / "huge.png").write_bytes(png(60_000, 60_000, 8, 2, bytes(1000)))
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (folder / "drawing.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    (folder / "gone.jpg").symlink_to(folder / "nowhere")
    return {
        "empty.jpg": "empty", "text.jpg": "unreadable", "notes.txt": "not_an_image", "cut.jpg": "truncated",
        "cut.png": "truncated", "damaged.png": "unreadable", "bomb.png": "too_large", "huge.png": "too_large",
        "phone.heic": "unreadable", "drawing.eps": "unreadable", "gone.jpg": "unreadable",
    }  # fmt: skip


def test_nothing_wrong(clean, tmp_path):
    assert findings(clean) == set()
    done = run(clean, "--out", tmp_path / "check.csv")
    assert done.exit_code == 0, done.output
    assert "12 to train on, 6 to validate on, of 2 classes; 0 files cannot be used" in done.output
    assert (tmp_path / "check.csv").read_text() == "path,problem,detail,severity\n"


def test_unusual_photos_are_used_and_noted(clean):
    wanted = unusual(clean / "train" / "red")
    found = {name: set() for name in wanted}
    for problem, name in findings(clean):
        if name in wanted and problem not in ("near_duplicate", "duplicate"):
            found[name].add(problem)
    assert found == wanted
    train, _ = load_data(clean, strict=True)
    assert len(train) == 12 + len(wanted)


@pytest.mark.parametrize("name", ["cmyk.jpg", "palette.png", "alpha.png", "grey.jpg", "wide.png", "upright.jpg"])
def test_what_mindspore_decodes_itself_keeps_the_folder(clean, tmp_path, name):
    (tmp_path / "all").mkdir()
    unusual(tmp_path / "all")
    shutil.copy(tmp_path / "all" / name, clean / "train" / "red")
    train, _ = load_data(clean)
    assert train.folder == clean / "train" and len(train) == 13


def test_unusable_files(clean, tmp_path, monkeypatch):
    red = clean / "train" / "red"
    wanted = unusable(red)
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    done = run(clean)
    assert done.exit_code == 3, done.output
    with open("check.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["path", "problem", "detail", "severity"]
    by_name = {os.path.basename(row["path"]): row for row in rows}
    assert {name: row["problem"] for name, row in by_name.items()} == wanted
    assert all(row["severity"] == ("warning" if row["problem"] == "not_an_image" else "error") for row in rows)
    assert "12000 x 12000 pixels, more than the limit of 100,000,000" in by_name["bomb.png"]["detail"]
    assert "3600000000" in by_name["huge.png"]["detail"]
    assert "convert it to JPEG" in by_name["phone.heic"]["detail"]
    assert "must be fixed" in done.output and "error     truncated" in done.output
    assert os.listdir() == ["check.csv"]
    assert len(load_data(clean)[0]) == 12
    with pytest.raises(MstlError, match="must be fixed first: .*2 truncated.*mstl data check") as caught:
        load_data(clean, strict=True)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_not_decoded(tmp_path, monkeypatch):
    """Its header says enough."""
    (tmp_path / "bomb.png").write_bytes(png(12_000, 12_000, 8, 2, bytes(1000)))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("it was decoded"))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", None)
    assert examine(tmp_path / "bomb.png").problem == "too_large"


def test_what_is_beside_the_photos_is_said_but_stops_nobody(clean, tmp_path):
    (clean / "train" / "red" / "Thumbs.db").write_bytes(b"junk")
    write_photo(clean / "train" / "loose.jpg", COLORS["red"])
    assert findings(clean) == {("not_an_image", "Thumbs.db"), ("loose", "loose.jpg")}
    assert run(clean, "--out", tmp_path / "c.csv").exit_code == 0


def test_the_same_picture_in_both_parts(clean, caplog):
    shutil.copy(clean / "train" / "red" / "red-2.jpg", clean / "val" / "red" / "copy.jpg")
    scene(1).save(clean / "train" / "blue" / "scene.jpg", quality=95)
    scene(1).resize((200, 150)).save(clean / "val" / "blue" / "small.png")
    assert findings(clean) == {("leak", "copy.jpg"), ("near_leak", "small.png")}
    assert "red-2.jpg, which is trained on" in details(clean)["leak"]
    load_data(clean)
    assert caplog.text.count("WARNING") == 2
    with pytest.raises(MstlError, match="1 leak, 1 near_leak"):
        load_data(clean, strict=True)


def test_the_same_picture_under_two_labels(clean):
    shutil.copy(clean / "train" / "red" / "red-2.jpg", clean / "train" / "blue" / "other.jpg")
    scene(1).save(clean / "train" / "blue" / "scene.jpg")
    scene(1).save(clean / "train" / "red" / "scene.png")
    shutil.copy(clean / "train" / "red" / "red-3.jpg", clean / "val" / "blue" / "both.jpg")
    assert findings(clean) == {
        ("two_labels", "red-2.jpg"), ("near_two_labels", "scene.png"), ("leak", "both.jpg"), ("two_labels", "both.jpg"),
    }  # fmt: skip
    assert details(clean)["near_two_labels"].startswith("labelled red, but looks like ")
    assert details(clean)["near_two_labels"].endswith("scene.jpg, labelled blue")


def test_duplicates_in_one_class_are_no_errors(clean):
    shutil.copy(clean / "train" / "red" / "red-2.jpg", clean / "train" / "red" / "red-a.jpg")
    shutil.copy(clean / "train" / "red" / "red-2.jpg", clean / "train" / "red" / "red-b.jpg")
    assert findings(clean) == {("duplicate", "red-a.jpg"), ("duplicate", "red-b.jpg")}
    assert not check_dataset(find_dataset(clean)).errors


def test_a_split_does_not_divide_duplicates(tmp_path):
    folder = write_folder(tmp_path, {"x": 12}) / "x"
    for number in range(4):
        scene(number).save(folder / "red" / f"scene {number}.jpg")
        scene(number).resize((150, 110)).save(folder / "red" / f"small {number}.jpg")
    for seed in range(8):
        train, val = load_data(folder, seed=seed)
        for number in range(4):
            sides = {
                path in val.paths
                for path in (str(folder / "red" / f"{size} {number}.jpg") for size in ("scene", "small"))
            }
            assert len(sides) == 1
        assert val.counts.tolist() == [2, 4]


def test_classes_that_do_not_match(tmp_path):
    folder = write_folder(tmp_path, {"train": 6, "val": 2}, ("red", "blue"))
    for index in range(2):
        write_photo(folder / "train" / "Red" / f"{index}.jpg", (90, 10, 90), index)
        write_photo(folder / "val" / "green" / f"{index}.jpg", COLORS["green"], index)
    found = details(folder)
    assert "Red, red" in found["case"]
    assert found["few"] == "class Red has 2 training images"
    assert found["unknown_class"] == "class green has 2 validation images but none to train on"
    assert found["not_validated"] == "class Red has no validation image"
    assert run(folder, "--out", tmp_path / "c.csv").exit_code == 3
    with pytest.raises(MstlError, match="lacks: green"):
        load_data(folder)


def test_composed_and_decomposed_letters_are_one_name(tmp_path):
    folder = write_folder(tmp_path, {"train": 6, "val": 2}, ("red", "blue"))
    (folder / "train" / "red").rename(folder / "train" / "caf\u00e9")
    (folder / "val" / "red").rename(folder / "val" / "cafe\u0301")
    assert "case" in details(folder)


def test_imbalance(tmp_path):
    for index in range(50):
        write_photo(tmp_path / "d" / "blue" / f"{index}.jpg", COLORS["blue"], index)
    for index in range(5):
        write_photo(tmp_path / "d" / "red" / f"{index}.jpg", COLORS["red"], index)
    assert details(tmp_path / "d") == {"imbalance": "50 training images of blue, 5 of red"}
    write_photo(tmp_path / "d" / "red" / "x.jpg", COLORS["red"], 99)
    assert details(tmp_path / "d") == {}


def test_quarantine(clean, tmp_path):
    wanted = unusable(clean / "train" / "red")
    (clean / "val" / "blue" / "empty.jpg").touch()
    (tmp_path / "bad" / "train" / "red").mkdir(parents=True)
    (tmp_path / "bad" / "train" / "red" / "cut.jpg").write_text("mine")
    done = run(clean, "--out", tmp_path / "check.csv", "--quarantine", tmp_path / "bad")
    assert done.exit_code == 0, "nothing is left to mend"
    moved = {path.relative_to(tmp_path / "bad").as_posix() for path in (tmp_path / "bad").rglob("*.*")}
    names = {"cut-2.jpg" if name == "cut.jpg" else name for name in wanted if name != "notes.txt"}
    assert moved == {f"train/red/{name}" for name in names} | {"train/red/cut.jpg", "val/blue/empty.jpg"}
    assert (tmp_path / "bad" / "train" / "red" / "cut.jpg").read_text() == "mine"
    assert (clean / "train" / "red" / "notes.txt").exists(), "it does no harm"
    assert findings(clean) == {("not_an_image", "notes.txt")}


def test_quarantine_leaves_what_can_be_used(clean, tmp_path):
    shutil.copy(clean / "train" / "red" / "red-2.jpg", clean / "val" / "red" / "copy.jpg")
    done = run(clean, "--out", tmp_path / "c.csv", "--quarantine", tmp_path / "bad")
    assert done.exit_code == 3 and (clean / "val" / "red" / "copy.jpg").exists()


def test_quarantine_inside_the_data_is_refused(clean, tmp_path):
    (clean / "train" / "red" / "x.jpg").touch()
    done = run(clean, "--out", tmp_path / "c.csv", "--quarantine", clean / "train" / "bad")
    assert done.exit_code == 1 and "inside the data" in done.stderr
    assert (clean / "train" / "red" / "x.jpg").exists()


def test_a_list_is_checked_too(clean, tmp_path):
    (clean / "train" / "red" / "x.jpg").touch()
    files = [*(clean / "train").rglob("*.jpg"), clean / "gone.jpg"]
    (tmp_path / "l.txt").write_text("".join(f"{path} {path.parent.name}\n" for path in files))
    done = run(
        tmp_path / "l.txt", "--val", clean / "val", "--out", tmp_path / "c.csv", "--quarantine", tmp_path / "bad"
    )
    assert done.exit_code == 3, "the list still names them"
    assert "empty" in done.output and "gone.jpg: cannot be read" in done.output
    assert (tmp_path / "bad" / "train" / "red" / "x.jpg").exists()


def test_no_data_is_one_line(tmp_path):
    done = run(tmp_path / "nothing")
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert run(write_folder(tmp_path / "d", {"train": 2, "val": 2}), "--out", tmp_path / "no" / "c.csv").exit_code == 1


class Counted:
    """examine(), which remembers what it was asked."""

    def __init__(self, monkeypatch):
        self.asked = []
        monkeypatch.setattr(scan, "examine", self)

    def __call__(self, path):
        self.asked.append(os.path.basename(path))
        return examine(path)

    def take(self):
        asked, self.asked = sorted(self.asked), []
        return asked


def test_only_what_has_changed_is_looked_at_again(clean, monkeypatch):
    counted = Counted(monkeypatch)
    (clean / "train" / "red" / "x.jpg").touch()
    load_data(clean)
    assert len(counted.take()) == 19
    load_data(clean)
    assert counted.take() == ["x.jpg"], "what could not be used is tried again"
    write_photo(clean / "train" / "red" / "red-3.jpg", COLORS["red"], seed=500)
    write_photo(clean / "train" / "red" / "red-7.jpg", COLORS["red"], seed=501)
    (clean / "val" / "red" / "red-0.jpg").unlink()
    shutil.copy(clean / "train" / "red" / "red-7.jpg", clean / "val" / "red" / "copy.jpg")
    assert findings(clean) == {("empty", "x.jpg"), ("leak", "copy.jpg")}
    assert counted.take() == ["copy.jpg", "red-3.jpg", "red-7.jpg", "x.jpg"]
    assert findings(clean) == {("empty", "x.jpg"), ("leak", "copy.jpg")}


def test_look_alikes_are_searched_for_once(clean, monkeypatch):
    scene(1).save(clean / "train" / "red" / "scene.jpg")
    scene(1).save(clean / "val" / "red" / "scene.png")
    first = findings(clean)
    assert ("near_leak", "scene.png") in first
    monkeypatch.setattr("mstl.data.checking.checks.near_duplicates", lambda *args: pytest.fail("searched again"))
    assert findings(clean) == first


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]\n", b"null\n", b"\xff\xfe\x00", b'{"version": 1}\n', b"[" * 100_000]
)
def test_what_is_kept_may_be_damaged(clean, tmp_path, content):
    (clean / "train" / "red" / "x.jpg").touch()
    first = findings(clean)
    (file,) = (tmp_path / "home" / "scans").iterdir()
    whole = file.read_bytes()
    for spoilt in (content, whole[: whole.rindex(b"\n", 0, -1) + 1], whole[:-20], content + whole, whole + content):
        file.write_bytes(spoilt)
        assert findings(clean) == first
        assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines()), "it is made anew"


def test_damage_inside_what_is_kept(clean, tmp_path):
    first = findings(clean)
    (file,) = (tmp_path / "home" / "scans").iterdir()
    for spoil in (lambda row: row.pop(), lambda row: row.__setitem__(4, "AAAA"), lambda row: row.__setitem__(3, 7)):
        head, scanned, *others = file.read_text().splitlines()
        row = json.loads(scanned)
        spoil(row)
        file.write_text("\n".join([head, json.dumps(row), *others]))
        assert findings(clean) == first


def test_a_home_that_cannot_be_written(clean, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "file" / "home"))
    assert len(load_data(clean)[0]) == 12


def test_it_is_said_that_it_takes_time(clean, monkeypatch, caplog):
    caplog.set_level("INFO", logger="mstl")
    load_data(clean)
    assert "once for all runs" not in caplog.text
    monkeypatch.setattr(scan_cache, "MANY", 3)
    write_folder(clean, {"train": 12})
    load_data(clean)
    assert caplog.text.count("reading 24 files, once for all runs") == 1


@pytest.mark.skipif(not features.check("webp"), reason="this Pillow does not know WebP")
def test_every_orientation_is_brought_upright(tmp_path):
    upright = scene(4)
    straight = np.asarray(upright.convert("L").resize((16, 16), Image.Resampling.BOX), float)
    stored_as = [None, 0, 3, 1, 5, 2, 6, 4]  # Pillow's transpose from the upright picture to the one in the file
    for value in range(1, 9):
        stored = upright if value == 1 else upright.transpose(Image.Transpose(stored_as[value - 1]))
        stored.save(tmp_path / "x.webp", lossless=True, exif=orientation(value))
        thumb = np.frombuffer(examine(tmp_path / "x.webp").thumb, np.uint8).reshape(16, 16).astype(float)
        assert np.abs(thumb - straight).mean() < 3, value
