"""Folders among the data that hold runs, or belong to systems and tools, are no classes and no data."""

import shutil

import pytest

import mstl
from mstl import MstlError, load_data
from mstl.data.finding.predict_inputs import find_images
from tests.conftest import COLORS, write_photo

TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "epochs": 1, "report": False}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))


@pytest.fixture
def pets(tmp_path):
    """A folder of two class folders, with 6 images each."""
    for name, color in (("cat", "red"), ("dog", "blue")):
        for number in range(6):
            write_photo(tmp_path / "pets" / name / f"{name}-{number}.jpg", COLORS[color], number)
    return tmp_path / "pets"


def make_run(folder, *names):
    """What a run leaves behind, pictures too."""
    folder.mkdir(parents=True)
    for name in names or ("config.json", "best.ckpt", "last.ckpt", "history.csv"):
        (folder / name).write_text("")
    write_photo(folder / "predictions.png", COLORS["green"], 0)


def found(folder):
    train, val = load_data(folder)
    return train.classes, len(train) + len(val)


@pytest.mark.usefixtures("narrow_model", "no_pictures")
@pytest.mark.parametrize("out", [None, "run1", "cat/run1", "results/of/run1"])
def test_training_twice_in_the_folder_of_the_data(pets, monkeypatch, caplog, out):
    monkeypatch.chdir(pets)
    caplog.set_level("INFO", logger="mstl")
    for _ in range(2):
        state = mstl.fit(data=".", out=out, **TINY)
        write_photo(state.folder / "predictions.png", COLORS["green"], 0)
        assert (state.classes, len(state.train_set) + len(state.val_set)) == (("cat", "dog"), 12)
    lines = [line for line in caplog.messages if "not used" in line]
    folder = "checkpoints" if out is None else out.partition("/of")[0]
    assert lines == [
        f"data: not used: {folder} ({'training runs' if out in (None, 'results/of/run1') else 'a training run'})"
    ]


@pytest.mark.parametrize("out", ["run1", "cat/run1"])
def test_a_run_inside_a_part(pets, out):
    for part in ("train", "val"):
        shutil.copytree(pets, pets.parent / "split" / part)
    make_run(pets.parent / "split" / "train" / out)
    assert found(pets.parent / "split") == (("cat", "dog"), 24)


@pytest.mark.parametrize("names", [("config.json", "manifest.csv"), ("config.json", "last.ckpt")])
def test_a_run_that_was_stopped_is_a_run(pets, names):
    make_run(pets / "run1", *names)
    assert found(pets) == (("cat", "dog"), 12)


def test_a_class_is_a_class_whatever_else_it_holds(pets, caplog):
    caplog.set_level("INFO", logger="mstl")
    (pets / "cat" / "config.json").write_text("{}")
    for name in ("runs", "checkpoints"):
        for number in range(3):
            write_photo(pets / name / f"{number}.jpg", COLORS["green"], number)
    make_run(pets / "runs" / "run1")
    assert found(pets) == (("cat", "checkpoints", "dog", "runs"), 18)
    assert [line for line in caplog.messages if "not used" in line] == [
        f"data: not used: {pets / 'runs' / 'run1'} (a training run)"
    ]


def test_folders_of_systems_and_tools(pets, caplog):
    caplog.set_level("INFO", logger="mstl")
    for name in ("@eaDir", "__MACOSX/cat", "__pycache__", "$RECYCLE.BIN", "runs/exp", "cat/@eaDir", ".hidden"):
        write_photo(pets / name / "thumb.jpg", COLORS["green"], 0)
    assert found(pets) == (("cat", "dog"), 12)
    (line,) = [line for line in caplog.messages if "not used" in line]
    for name in ("@eaDir", "__MACOSX", "__pycache__", "$RECYCLE.BIN", "runs"):
        assert str(pets / name) in line
    assert "and 1 more" in line
    assert len(list(find_images([str(pets)]))) == 12


def test_a_single_folder_with_the_data_is_found_beside_runs(pets):
    whole = pets.parent / "project"
    shutil.copytree(pets, whole / "photos")
    make_run(whole / "checkpoints" / "photos-resnet18")
    assert found(whole) == (("cat", "dog"), 12)


def test_the_folder_of_a_run_is_no_data(pets):
    make_run(pets.parent / "checkpoints" / "run")
    with pytest.raises(MstlError, match="no images in"):
        load_data(pets.parent / "checkpoints")


@pytest.mark.usefixtures("narrow_model", "no_pictures")
def test_a_run_is_not_written_into_a_class(pets):
    with pytest.raises(MstlError, match=f"cannot write the run into {pets / 'cat'}, which has images of the data"):
        mstl.fit(data=str(pets), out=str(pets / "cat"), **TINY)
    assert len(list((pets / "cat").iterdir())) == 6
