r"""File names that are not UTF-8, such as b"caf\xe9.jpg" from an old system: used like any other, shown escaped."""

import csv
import json
import os
import shutil

import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError, Predictor, load_data
from mstl.__main__ import main
from mstl.data.finding.lists.list_file import Row, read_rows, write_rows
from tests.conftest import COLORS, write_photo

pytestmark = pytest.mark.usefixtures("narrow_model", "no_pictures")

ODD = os.fsdecode(b"caf\xe9")
SHOWN = r"caf\udce9"
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "epochs": 1}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))


@pytest.fixture
def odd(tmp_path):
    """Two parts of two class folders, each with an image whose name is not UTF-8."""
    probe = os.path.join(tmp_path, ODD)
    try:
        os.mkdir(probe)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    shade = 0
    for part, count in (("train", 6), ("val", 2)):
        for name, color in (("cat", "red"), ("dog", "blue")):
            for number in range(count):
                shade += 1
                write_photo(tmp_path / "pets" / part / name / f"{number}.jpg", COLORS[color], shade)
            folder = tmp_path / "pets" / part / name
            os.rename(folder / "1.jpg", folder / f"{ODD}.jpg")
    return tmp_path / "pets"


def call(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("form", "cache"), [("folder", True), ("list", False), ("class", True), ("folder of all", False)]
)
def test_training_works_to_its_end(odd, tmp_path, monkeypatch, form, cache):
    data = odd
    if form == "list":
        files = [file for name in ("cat", "dog") for file in sorted((odd / "train" / name).iterdir())]
        data = odd / "list.csv"
        lines = b"".join(os.fsencode(f"{os.path.relpath(file, odd)},{file.parent.name}\n") for file in files)
        data.write_bytes(b"path,label\n" + lines)
    elif form == "class":
        for part in ("train", "val"):
            os.rename(odd / part / "cat", odd / part / ODD)
    elif form == "folder of all":
        data = tmp_path / ODD / "pets"
        shutil.move(odd, data)
    monkeypatch.chdir(tmp_path)
    state = mstl.fit(data=str(data), out="run", cache=cache, **TINY)
    assert state.classes == (ODD if form == "class" else "cat", "dog")
    files = ("config.json", "history.csv", "history.json", "manifest.csv", "report.html")
    texts = {name: (tmp_path / "run" / name).read_text(encoding="utf-8") for name in files}
    if form == "class":
        assert SHOWN in texts["history.json"] and SHOWN in texts["report.html"]
        assert Predictor(tmp_path / "run" / "best.ckpt").classes == (ODD, "dog")
    if form == "folder of all":
        assert json.loads(texts["config.json"])["data"] == str(data)
    call("evaluate", tmp_path / "run" / "best.ckpt")
    with open(tmp_path / "run" / "evaluation" / "predictions.csv", encoding="utf-8") as stream:
        paths = [row["path"] for row in csv.DictReader(stream)]
    assert len(paths) == len(state.val_set)
    for written in (tmp_path / "run").rglob("*.*"):
        if written.suffix in (".csv", ".json", ".html"):
            written.read_text(encoding="utf-8")


def test_commands_show_it_escaped(odd, tmp_path):
    call("train", "--data", odd, "--out", tmp_path / "run", *as_options(TINY))
    (odd / "train" / "cat" / f"{ODD}.png").write_text("no image")
    CliRunner().invoke(main, ["data", "check", str(odd), "--out", str(tmp_path / "check.csv")])
    assert SHOWN in (tmp_path / "check.csv").read_text(encoding="utf-8")
    for kind in ("table", "json", "jsonl", "csv"):
        call("predict", tmp_path / "run" / "best.ckpt", odd / "val", "--format", kind, "--out", tmp_path / kind)
        assert SHOWN in (tmp_path / kind).read_text(encoding="utf-8")
    paths = [row["path"] for row in json.loads((tmp_path / "json").read_text(encoding="utf-8"))]
    assert [os.path.exists(path) for path in paths if ODD in path] == [True, True]


def as_options(settings):
    return [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", value)]


def test_a_run_in_a_folder_of_such_a_name(odd, tmp_path, monkeypatch):
    data = tmp_path / ODD / ODD
    shutil.move(odd, data)
    monkeypatch.chdir(tmp_path)
    state = mstl.fit(data=str(data), report=False, **TINY)
    assert str(state.folder) == os.path.join("checkpoints", f"{ODD}-resnet18")
    assert Predictor(state.folder / "best.ckpt").classes == ("cat", "dog")
    assert len(mstl.fit(resume=str(state.folder), epochs=2).history) == 2


def test_a_list_with_bytes_that_are_no_file_is_not_text(odd):
    for name, content in (("a.txt", b"x/caf\xe9.jpg cat\n"), ("b.csv", b"path,label\ntrain/cat/0.jpg,caf\xe9\n")):
        (odd / name).write_bytes(content)
        with pytest.raises(MstlError, match="is not UTF-8 text .*at byte .*: save it as UTF-8"):
            read_rows(odd / name)
    rows = [Row(f"train/cat/{ODD}.jpg", "cat")]
    for name in ("c.txt", "d.csv"):
        write_rows(odd / name, rows)
        assert read_rows(odd / name) == rows
    assert len(load_data(odd)[0]) == 12
