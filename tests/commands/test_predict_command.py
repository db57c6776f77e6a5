"""``mstl predict``: what is found in PATHS, what goes to stdout and stderr, and how it ends."""

import csv
import io
import json
import os
import signal
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import mstl
from mstl import MstlError
from mstl.commands import predict_command
from mstl.data.finding import predict_inputs
from mstl.data.finding.predict_inputs import Address, Unreadable, find_images
from mstl.download import opener
from tests import narrow
from tests.checkpoints import write_checkpoint
from tests.conftest import COLORS, write_photo
from tests.server import Page, Server

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("ants", "\u8702")  # bees; two columns wide


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data folder and a checkpoint of it, and one that cannot reject."""
    root = tmp_path_factory.mktemp("predict")
    colors = dict(zip(CLASSES, (COLORS["blue"], COLORS["red"]), strict=True))
    for part, count in (("train", 8), ("val", 3)):
        for name, color in colors.items():
            for number in range(count):
                write_photo(root / "photos" / part / name / f"{number}.jpg", color, number + 100 * (part == "val"))
    write_checkpoint(root / "best.ckpt", root / "photos")
    write_checkpoint(root / "plain.ckpt", root / "photos", rejector=False)
    return root


@pytest.fixture(scope="module")
def predictors(made):
    return {made / name: mstl.Predictor(made / name) for name in ("best.ckpt", "plain.ckpt")}


@pytest.fixture
def run(made, predictors, monkeypatch):
    """Run the command in this process, with nets that are compiled once."""
    monkeypatch.setattr("mstl.predictor.Predictor", lambda checkpoint, *how: predictors[checkpoint])

    def call(*arguments, checkpoint="best.ckpt", stdin=None):
        return CliRunner().invoke(predict_command.main, [str(made / checkpoint), *map(str, arguments)], input=stdin)

    return call


@pytest.fixture
def val(made):
    return sorted(str(path) for path in (made / "photos" / "val").rglob("*.jpg"))


# what is found


def names(*arguments, **options):
    """Paths, addresses in <>, and what is not there in ()."""
    shown = {Address: lambda photo: f"<{photo.url}>", Unreadable: lambda photo: f"({photo.path}: {photo.reason})"}
    return [shown.get(type(photo), str)(photo) for photo in find_images([str(x) for x in arguments], **options)]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.JPEG", "c.png", ".hidden.jpg", "notes.txt", "in/d.webp", "in/deep/e.gif", ".no/f.jpg"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "tree" / "in" / "loop").symlink_to(tmp_path / "tree")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_folders_are_searched(tree):
    files = ["tree/a.JPEG", "tree/b.jpg", "tree/c.png", "tree/in/d.webp", "tree/in/deep/e.gif"]
    assert names("tree") == files
    assert names("tree/in", "tree/b.jpg", "tree/notes.txt") == [*files[3:], "tree/b.jpg", "tree/notes.txt"]
    (tree / "tree" / "link").symlink_to(tree / "empty")
    (tree / "empty" / "g.bmp").touch()
    assert names("tree") == [*files, "tree/link/g.bmp"]


def test_patterns(tree):
    assert names("tree/*.jpg", "tree/[ac].*") == ["tree/b.jpg", "tree/a.JPEG", "tree/c.png"]
    (tree / "tree" / "in" / "loop").unlink()  # which patterns follow
    assert names("tree/**/*.gif") == ["tree/in/deep/e.gif"]
    assert names("tree/i*") == ["tree/in/d.webp", "tree/in/deep/e.gif"]
    (tree / "a[1].jpg").touch()
    assert names("a[1].jpg") == ["a[1].jpg"]  # a file's own name comes first


def test_what_is_not_there(tree):
    assert names("nope.jpg", "*.tif", "empty", "ftp://a/b.jpg") == [
        "(nope.jpg: no such file or folder)",
        "(*.tif: no file matches)",
        "(empty: a folder without images)",
        "(ftp://a/b.jpg: no such file or folder)",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_must_not_be_read(tree):
    (tree / "tree" / "in").chmod(0)
    assert names("tree") == ["tree/a.JPEG", "tree/b.jpg", "tree/c.png", "(tree/in: Permission denied)"]


def test_addresses(tree, monkeypatch):
    for address in ("http://host/a.jpg", "HTTPS://host/a.jpg"):
        with pytest.raises(MstlError, match="is on the network: add --allow-url"):
            find_images([address])
        assert names(address, allow_urls=True) == [f"<{address}>"]
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    with pytest.raises(MstlError, match="MSTL_OFFLINE forbids"):
        find_images(["http://host/a.jpg"], allow_urls=True)


def test_downloads(monkeypatch):
    with Server() as server:
        server.pages["/a.jpg"] = Page(b"photo" * 40_000)
        server.pages["/moved.jpg"] = Page(redirects_to="/a.jpg")
        server.pages["/elsewhere.jpg"] = Page(redirects_to="file:///etc/passwd")
        assert Address(f"{server.url}/a.jpg").read() == Address(f"{server.url}/moved.jpg").read() == b"photo" * 40_000
        for page, why in (("none.jpg", "the server says 404"), ("elsewhere.jpg", "cannot be downloaded")):
            with pytest.raises(OSError, match=why):
                Address(f"{server.url}/{page}").read()
        monkeypatch.setattr(predict_inputs, "LARGEST", 100_000)
        with pytest.raises(OSError, match="it has more than 0 MB"):
            Address(f"{server.url}/a.jpg").read()
        monkeypatch.setattr(predict_inputs, "LARGEST", 2**20)
        monkeypatch.setattr(predict_inputs, "PATIENCE", 0.0)
        with pytest.raises(OSError, match="it has not arrived after 0 s"):
            Address(f"{server.url}/a.jpg").read()
        monkeypatch.setattr(opener, "TIMEOUT", 0.1)
        server.pages["/late.jpg"] = Page(late=5)
        with pytest.raises(OSError, match="timed out"):
            Address(f"{server.url}/late.jpg").read()
    with pytest.raises(OSError, match="cannot be downloaded: Connection refused"):
        Address(f"{server.url}/a.jpg").read()
    with pytest.raises(OSError, match="cannot be downloaded"):
        Address("http://[host/a.jpg").read()


# what is printed


def records(done, predictor, paths, top=3, rejected=None):
    """What the answers must be, by the Predictor."""
    assert done.exit_code == 0 and done.stderr == ""
    for path, prediction in zip(paths, predictor(paths), strict=True):
        yield {
            "path": path,
            "label": prediction.label,
            "probability": pytest.approx(prediction.probability, abs=1e-6),
            "top": [{"label": name, "probability": pytest.approx(p, abs=1e-6)} for name, p in prediction.top[:top]],
            "rejected": rejected,
        }


def test_json(run, made, predictors, val):
    predictor = predictors[made / "best.ckpt"]
    done = run(made / "photos" / "val", "--format", "jsonl")
    assert [json.loads(line) for line in done.stdout.splitlines()] == list(records(done, predictor, val))
    assert "\u8702" in done.stdout  # readable
    done = run(*val, "--format", "json", "--top", "1", "--batch-size", "2")
    assert json.loads(done.stdout) == list(records(done, predictor, val, top=1))
    done = run(val[0], "--format", "json", checkpoint="plain.ckpt")
    assert json.loads(done.stdout) == list(records(done, predictors[made / "plain.ckpt"], val[:1]))


def test_csv(run, made, predictors, val):
    done = run(*val, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["path", "label", "probability", "top", "rejected"]
    for row, want in zip(rows, records(done, predictors[made / "best.ckpt"], val, rejected=""), strict=True):
        assert {**row, "probability": float(row["probability"]), "top": json.loads(row["top"])} == want


def test_table(run, made, val):
    """Percentages stand below each other, also after a name whose characters are two columns wide."""
    done = run(*val, made / "photos" / "val" / "ants" / "0.jpg")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["label", "or", "path"] and len(lines) == len(val) + 2

    def column(line, text):
        before = line[: line.index(text)]
        return len(before) + before.count("\u8702")

    assert len({column(line, "%") for line in lines[1:]}) == 1
    assert {column(line, path) for line, path in zip(lines[1:], val, strict=False)} == {column(lines[0], "path")}
    assert lines[1].split()[0] == "ants" and lines[1].split()[2] == "\u8702"
    assert len(run(*val, "--top", "1").stdout.splitlines()[1].split()) == 3


def test_rejection(run, made, predictors, val, tmp_path):
    """A chessboard is like nothing that it knows."""
    board = np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((8, 8))).astype(np.uint8) * 255
    Image.fromarray(board).save(tmp_path / "board.png")
    done = run(val[0], tmp_path / "board.png", "--reject", "--format", "jsonl")
    known, new = (json.loads(line) for line in done.stdout.splitlines())
    assert (known["rejected"], known["label"]) == (False, "ants")
    assert (new["rejected"], new["label"]) == (True, None)
    assert new["probability"] == new["top"][0]["probability"] and new["top"][0]["label"] in CLASSES
    done = run(val[0], tmp_path / "board.png", "--reject")
    assert done.stdout.splitlines()[1].startswith("ants") and done.stdout.splitlines()[2].startswith("none of these")
    done = run(val[0], tmp_path / "board.png", "--reject", "--format", "csv")
    assert [row["rejected"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["false", "true"]
    done = run(tmp_path / "board.png", "--format", "jsonl")
    assert json.loads(done.stdout)["rejected"] is None and json.loads(done.stdout)["label"] in CLASSES
    done = run(val[0], "--reject", checkpoint="plain.ckpt")
    assert done.exit_code == 1 and "has no data to reject by: train again" in done.stderr


@pytest.mark.parametrize("kind", ["table", "json", "jsonl", "csv"])
def test_what_cannot_be_read_is_named_and_stops_nothing(run, val, tmp_path, kind):
    (tmp_path / "text.jpg").write_text("hello")
    done = run(val[0], tmp_path / "text.jpg", "nope.jpg", val[1], "--format", kind)
    assert done.exit_code == 3
    assert done.stderr.splitlines() == [
        f"{tmp_path}/text.jpg: its content is not an image, whatever its name says",
        "nope.jpg: no such file or folder",
        "2 of 4 images could not be read",
    ]
    assert val[0] in done.stdout and val[1] in done.stdout and "text.jpg" not in done.stdout
    if kind == "json":
        assert len(json.loads(done.stdout)) == 2


def test_nothing_can_be_read(run, tmp_path):
    for kind in ("table", "json", "jsonl", "csv"):
        done = run("nope.jpg", tmp_path, "--format", kind, "--out", tmp_path / "answers")
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.splitlines() == [
            "nope.jpg: no such file or folder",
            f"{tmp_path}: a folder without images",
            "mstl: error: no image could be read (2 could not)",
        ]
        assert os.listdir(tmp_path) == []
    done = run("-", stdin="\n")
    assert done.exit_code == 1 and "the list has no images" in done.stderr
    assert run().exit_code == 2


def test_a_list_on_stdin(run, made, val):
    done = run(
        "-", val[0], "--format", "jsonl", stdin=f"{val[2]}\n\n{made / 'photos' / 'val' / 'ants'}\r\nhttp://a/b\n"
    )
    paths = [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert paths == [val[2], *val[:3], val[0]]
    assert done.exit_code == 3
    assert done.stderr.splitlines()[0] == "http://a/b: on the network, and nothing may be downloaded"


def test_addresses_are_downloaded_on_demand(run, val):
    with Server() as server, open(val[0], "rb") as file:
        server.pages["/a.jpg"] = Page(file.read())
        address = f"{server.url}/a.jpg"
        done = run(address, f"{server.url}/b.jpg", val[0], "--allow-url", "--format", "jsonl")
        first, second = (json.loads(line) for line in done.stdout.splitlines())
        assert done.exit_code == 3 and f"{server.url}/b.jpg: cannot be downloaded: the server says 404" in done.stderr
        assert (first.pop("path"), second.pop("path")) == (address, val[0]) and first == second
        done = run(address)
        assert done.exit_code == 1 and "add --allow-url" in done.stderr and len(server.requests) == 2


def test_out(run, val, tmp_path):
    """Its suffix says the format; it is there when it is whole."""
    to_stdout = run(*val, "--format", "csv").stdout
    for name, option in (("a.csv", []), ("new/folder/a.txt", ["--format", "csv"])):
        done = run(*val, "--out", tmp_path / name, *option)
        assert (done.exit_code, done.output) == (0, "")
        assert (tmp_path / name).read_text(encoding="utf-8") == to_stdout
    run(*val, "--out", tmp_path / "a.json")
    run(*val, "--out", tmp_path / "a.jsonl")
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == [json.loads(line) for line in lines]
    run(*val, "nope.jpg", "--out", tmp_path / "table")
    assert (tmp_path / "table").read_text(encoding="utf-8").startswith("label")
    done = run(*val, "--out", tmp_path)
    assert done.exit_code == 1 and "is a folder: give the name of a file" in done.stderr


def test_an_error_on_the_way_leaves_the_old_answers(run, val, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("old")

    def fail(self, images):
        raise MstlError("broken")

    monkeypatch.setattr(mstl.Predictor, "answers", fail)
    done = run(*val, "--out", tmp_path / "a.csv")
    assert done.exit_code == 1 and os.listdir(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


# as a process


@pytest.mark.slow
def test_as_a_process(made, val, tmp_path, monkeypatch):
    """Names that are no text, a reader that has enough, and Ctrl-C."""
    strange = os.fsencode(tmp_path) + b"/\xff\n.jpg"
    with open(strange, "wb") as file, open(val[0], "rb") as photo:
        file.write(photo.read())
    monkeypatch.setenv("LC_ALL", "C")

    def start(*arguments):
        command = narrow.command("mstl", "predict", made / "best.ckpt", *arguments)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(**command, **pipes)

    piped = start(*val * 500, "-b", 8)
    stopped = start("-", "-b", 8, "--out", tmp_path / "a.csv")
    stopped.stdin.write(os.fsencode(f"{made / 'photos'}\n") * 100)
    stopped.stdin.flush()  # and kept open, so that it does not end by itself

    assert piped.stdout.readline().split() == [b"label", b"or", b"path"]
    piped.stdout.close()
    assert piped.wait(60) == 0
    assert piped.stderr.read() == b""

    part = None
    while not part or not part.stat().st_size:
        part = next(tmp_path.glob(".a-*"), None)
        assert stopped.poll() is None
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=60)
    assert (stopped.returncode, err) == (130, b"mstl: error: interrupted\n")
    assert len(os.listdir(tmp_path)) == 1  # the photo

    done = start(os.fsdecode(strange), val[3], "--format", "jsonl")
    out, err = done.communicate(timeout=60)
    assert (done.returncode, err) == (0, b"")
    first, second = (json.loads(line) for line in out.splitlines())
    assert os.fsencode(first["path"]) == strange and second["label"] == "\u8702"
