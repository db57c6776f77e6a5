"""Images whose label is corrected: kept under names of the server's own, in folders of classes, and nowhere else."""

import hashlib
import os

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
import mstl
from mstl import files
from tests.serving.color_model import COLORS
from tests.serving.requests import client_of, image_file

BLUE, GREEN = (image_file(COLORS[name], kind=kind) for name, kind in (("blue", "PNG"), ("green", "JPEG")))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "collected").mkdir()
    return tmp_path / "collected"


@pytest.fixture
def client(color_file, root):
    with client_of(color_file, collect=root) as client:
        yield client


def kept(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def collect(client, label, content=BLUE):
    return client.post("/collect", params={"label": label}, content=content)


def test_an_image_lies_in_the_folder_of_its_class(client, root):
    name = hashlib.sha256(BLUE).hexdigest()[:20] + ".png"
    answer = collect(client, "红")
    assert (answer.status_code, answer.json()) == (201, {"file": f"红/{name}"})
    assert (root / "红" / name).read_bytes() == BLUE
    other = collect(client, "a new class", GREEN).json()["file"]
    assert other.startswith("a new class/") and other.endswith(".jpg")
    assert kept(root) == sorted([f"红/{name}", other])
    assert client.get("/model").json()["collects"] is True


def test_the_last_word_counts(client, root):
    """The same image again is the same file; under another label it is only there."""
    for label in ("blue", "blue", "green"):
        assert collect(client, label).status_code == 201
    collect(client, "blue", GREEN)
    assert [name.partition("/")[0] for name in kept(root)] == ["blue", "green"]


def test_what_was_collected_is_trained_on(client, root):
    for label, (red, green, blue) in COLORS.items():
        for shade in range(4):
            assert collect(client, label, image_file((red, green, blue + 10 * shade))).status_code == 201
    train, val = mstl.load_data(str(root))
    assert set(train.classes) == COLORS.keys() and len(train) + len(val) == 12


@pytest.mark.parametrize(
    "label",
    [
        *("", " ", " x", "x ", ".", "..", ".hidden", "~x", "../x", "x/../y", "/etc", "a/b", "a\\b", "C:x"),
        *("x\0y", "x\ny", "x\u202ey", "x" * 101, "红" * 90, "train", "Test", "val"),
    ],
)
def test_labels_that_are_no_names_of_classes(client, root, label):
    answer = collect(client, label)
    assert answer.status_code == 422 and answer.json()["detail"].startswith("the label ")
    assert kept(root.parent) == [] and list(root.iterdir()) == []


def test_a_label_is_needed(client):
    assert client.post("/collect", content=BLUE).status_code == 422


def test_a_class_that_is_coded_in_another_way_is_meant(tmp_path, root):
    from tests.serving.color_model import write_model

    decomposed = "cafe\N{COMBINING ACUTE ACCENT}"
    path = write_model(tmp_path / "m.onnx", (decomposed, "green", "test"))
    with client_of(path, collect=root) as client:
        assert collect(client, "caf\N{LATIN SMALL LETTER E WITH ACUTE}").json()["file"].startswith(decomposed + "/")
        assert collect(client, "test").status_code == 201  # the model's own class


def test_only_images_are_kept(client, root):
    for content in (b"", b"hello", BLUE[:50]):
        assert collect(client, "blue", content).status_code == 422
    assert kept(root) == []


def test_links_are_not_followed(client, root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (root / "blue").symlink_to(tmp_path / "elsewhere")
    (root / "green").mkdir()
    assert collect(client, "blue").status_code == 409
    assert collect(client, "green").status_code == 201
    assert kept(tmp_path / "elsewhere") == []


def test_a_full_disk(client, root, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "/secret/path")

    monkeypatch.setattr(files, "flush", full)
    answer = collect(client, "blue")
    assert answer.status_code == 507 and answer.json()["detail"] == (
        "the image cannot be written: No space left on device"
    )
    assert kept(root) == []
    monkeypatch.undo()
    assert collect(client, "blue").status_code == 201


def test_nothing_is_written_otherwise(color_file, tmp_path, monkeypatch):
    """Large bodies and files of forms, which libraries like to put into temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "temporary")
    opened = []
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: opened.append(1))
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", lambda *_, **__: opened.append(1))
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, *more, **options: opened.append(path) or real(path, flags))
    with client_of(color_file) as client:
        large = BLUE.ljust(5_000_000, b"\0")
        assert client.post("/predict", content=large).status_code == 200
        assert client.post("/predict", files=[("file", ("../x.png", large))] * 3).status_code == 200
        assert client.post("/collect?label=blue", content=large).status_code == 404
    assert opened == [] and list((tmp_path / "temporary").iterdir()) == []
