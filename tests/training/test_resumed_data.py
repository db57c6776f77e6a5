"""A run goes on with the images that its manifest names, wherever they are now, and with no others."""

import json
import shutil

import pytest

import mstl
from mstl import MstlError
from mstl.checkpoint import read_checkpoint
from mstl.data.manifest import Manifest
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "report": False}


@pytest.fixture(scope="module")
def started(tmp_path_factory, narrow_model):
    """Two runs of an epoch, started with relative paths: on images in two parts, and on images that were split."""
    root = tmp_path_factory.mktemp("resumed-data")
    write_folder(root / "parts", {"train": 6, "val": 3})
    write_folder(root, {"flat": 8})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in ("parts", "flat"):
            mstl.fit(data=name, out=f"run-{name}", epochs=1, **TINY)
    return root


@pytest.fixture
def copy(started, tmp_path, monkeypatch):
    """The same, to be changed."""
    shutil.copytree(started, tmp_path / "copy")
    for file in (tmp_path / "copy").glob("run-*/*"):  # as if it had been started there
        if file.name == "config.json":
            file.write_text(file.read_text().replace(str(started), str(tmp_path / "copy")))
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_the_digest_of_the_manifest_is_in_every_record(started):
    for name in ("parts", "flat"):
        folder = started / f"run-{name}"
        manifest = Manifest.read(folder / "manifest.csv")
        assert json.loads((folder / "config.json").read_text())["record"]["manifest"] == manifest.digest
        for file in ("best.ckpt", "last.ckpt"):
            assert read_checkpoint(folder / file)[1]["record"]["manifest"] == manifest.digest
        assert len(manifest.used) == {"parts": 18, "flat": 16}[name]


def add(data):
    write_photo(data / "val" / "red" / "new.jpg", COLORS["red"], 77)


def remove(data):
    (data / "val" / "red" / "red-0.jpg").unlink()


def change(data):
    write_photo(data / "val" / "red" / "red-0.jpg", COLORS["red"], 78)


def relabel(data):
    (data / "val" / "red" / "red-0.jpg").rename(data / "val" / "blue" / "red-0.jpg")


def to_other_part(data):
    (data / "val" / "red" / "red-0.jpg").rename(data / "train" / "red" / "red-0v.jpg")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (add, "1 new, 0 gone, 0 changed"),
        (remove, "0 new, 1 gone, 0 changed"),
        (change, "0 new, 0 gone, 1 changed"),
        (relabel, "0 new, 0 gone, 1 changed"),
        (to_other_part, "0 new, 0 gone, 0 changed, 1 in another part of the dataset"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_validation_images_are_compared_too(copy, act, message):
    act(copy / "parts")
    before = (copy / "run-parts" / "last.ckpt").read_bytes()
    with pytest.raises(MstlError) as caught:
        mstl.fit(resume="run-parts", data=str(copy / "parts"), epochs=2)
    assert f"cannot resume run-parts: the images of {copy / 'parts'} are not those" in str(caught.value)
    assert f": {message}; undo that, or start a new run" in str(caught.value) and "\n" not in str(caught.value)
    assert (copy / "run-parts" / "last.ckpt").read_bytes() == before


def test_an_image_added_to_a_set_without_parts_is_noticed(copy):
    write_photo(copy / "flat" / "red" / "new.jpg", COLORS["red"], 77)
    with pytest.raises(MstlError, match="1 new, 0 gone, 0 changed"):
        mstl.fit(resume="run-flat", data=str(copy / "flat"), epochs=2)


@pytest.mark.parametrize("name", ["parts", "flat"])
def test_a_moved_folder_with_the_same_content_is_accepted(copy, monkeypatch, name):
    """Under other file names and from another directory, and the run has the same images in the same order."""
    (copy / "elsewhere").mkdir()
    (copy / name).rename(copy / "elsewhere" / "moved")
    for path in sorted((copy / "elsewhere" / "moved").rglob("*.jpg")):
        path.rename(path.with_name(f"z{99 - int(path.stem.split('-')[1])}.jpg"))  # in the opposite order, too
    monkeypatch.chdir(copy / "elsewhere")
    state = mstl.fit(resume=f"../run-{name}", data="moved", epochs=2)
    rows = Manifest.read(copy / f"run-{name}" / "manifest.csv").used
    images = [*state.train_set.samples, *state.val_set.samples]
    assert [(image.digest, image.label, image.split) for image in images] == [
        (row.sha256, row.label, row.split) for row in rows
    ]
    config = json.loads((copy / f"run-{name}" / "config.json").read_text())
    assert config["data"] == str(copy / "elsewhere" / "moved")
    assert config["record"]["manifest"] == Manifest.read(copy / f"run-{name}" / "manifest.csv").digest
    monkeypatch.chdir(copy)
    assert len(mstl.Predictor(f"run-{name}/last.ckpt").image_sets()[1]) == len(state.val_set)


def test_relative_paths_are_those_of_the_directory_of_the_start(started, tmp_path, monkeypatch):
    shutil.copytree(started / "run-parts", tmp_path / "run")
    write_folder(tmp_path / "parts", {"train": 1, "val": 1})  # of the same name, but not meant
    monkeypatch.chdir(tmp_path)
    state = mstl.fit(resume="run", epochs=2)
    assert len(state.train_set) == 12 and state.train_set.paths[0].startswith(str(started / "parts"))


def test_without_a_manifest_nothing_is_guessed(copy):
    manifest = copy / "run-parts" / "manifest.csv"
    content = manifest.read_text()
    manifest.write_text(content.replace(",val,", ",train,", 1))
    with pytest.raises(MstlError, match="unknown .*manifest.csv is not that of the run, or has been changed.*; start"):
        mstl.fit(resume="run-parts", epochs=2)
    manifest.unlink()
    with pytest.raises(MstlError, match="unknown .there is no manifest.csv beside .*; start a new run"):
        mstl.fit(resume="run-parts", epochs=2)


def test_settings_of_a_run_start_another_one(started, monkeypatch):
    from mstl.config import read_config

    monkeypatch.chdir(started)
    assert "record" not in read_config("run-parts/config.json")
    assert mstl.TrainConfig(**read_config("run-parts/config.json")).data == "parts"
