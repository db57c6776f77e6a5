"""--path-column, --label-column and --images: wherever data is taken, and again by whatever comes after a run."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError
from mstl.commands import data_command, evaluate_command, visualize_command
from mstl.data.evaluation_data import RunData, load_held_out
from mstl.data.finding.lists.list_options import ListOptions
from mstl.data.load_data import load_data
from mstl.models.loading import read_weights
from tests.conftest import COLORS, write_photo

OPTIONS = {"path_column": "pic", "label_column": "kind", "images": "pics"}
FLAGS = ("--path-column", "pic", "--label-column", "kind", "--images", "pics")


def write_pets(folder):
    """Images 000.jpg to 015.jpg in pics/, and a list elsewhere, in which another column is called label."""
    rows = ["pic;label;kind"]
    for index in range(16):
        name = ("blue", "red")[index // 8]
        write_photo(folder / "pics" / f"{index:03}.jpg", COLORS[name], index)
        rows.append(f"{index:03};x{index % 3};{name}")
    (folder / "lists").mkdir()
    (folder / "lists" / "pets.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory, narrow_model):
    """A run, started in the folder of the list and its images, with relative paths."""
    folder = write_pets(tmp_path_factory.mktemp("made"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("mstl.report.plots.save", lambda figure, path: None)
        state = mstl.fit(
            data="lists/pets.csv", out="run", weights="none", model="resnet18", image_size=32, epochs=1, report=False,
            **OPTIONS,
        )  # fmt: skip
    assert state.classes == ("blue", "red")
    return folder


@pytest.fixture
def pets(made, tmp_path):
    """A copy of the list and the images; the run stays where it is."""
    for name in ("lists", "pics"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def held_out(made, data=None, **options):
    checkpoint = made / "run" / "best.ckpt"
    run = RunData.read(checkpoint, read_weights(checkpoint).metadata)
    sets = load_held_out(run, data, ListOptions(**options))
    return {name: [os.path.basename(path) for path in images.paths] for name, images in sets.items()}


def test_a_run_records_them_and_finds_its_images_again(made, tmp_path, monkeypatch):
    settings = json.loads((made / "run" / "config.json").read_text())
    assert {name: settings[name] for name in OPTIONS} == OPTIONS
    monkeypatch.chdir(tmp_path)  # the run's paths are relative to where it was started
    sets = held_out(made)
    assert {name: len(files) for name, files in sets.items()} == {"train": 12, "val": 4}


def test_a_run_goes_on_with_them(made, tmp_path, monkeypatch, no_pictures):
    shutil.copytree(made / "run", tmp_path / "run")
    monkeypatch.chdir(made)
    assert len(mstl.fit(resume=tmp_path / "run", epochs=2).history) == 2
    with pytest.raises(MstlError, match="with label_column 'label': it was started with 'kind'"):
        mstl.fit(resume=tmp_path / "run", epochs=3, label_column="label")


def test_a_run_goes_on_where_the_images_have_moved(made, pets, monkeypatch, no_pictures):
    shutil.copytree(made / "run", pets / "run")
    (pets / "pics").rename(pets / "moved")
    monkeypatch.chdir(pets)
    state = mstl.fit(resume="run", epochs=2, data="lists/pets.csv", images="moved")
    assert str(pets / "moved") in state.train_set.paths[0]


def test_data_that_has_moved_is_the_run_s_own(made, pets):
    wanted = held_out(made)
    moved = str(pets / "lists" / "pets.csv")
    assert held_out(made, moved, images=str(pets / "pics")) == wanted, "with the columns of the run"
    assert held_out(made, None, images=str(pets / "pics")) == wanted


def test_other_data_has_columns_of_its_own(made, tmp_path):
    for index, name in enumerate(("blue", "red")):
        write_photo(tmp_path / f"{name}.jpg", COLORS[name], 90 + index)
    (tmp_path / "new.csv").write_text("file,colour\nblue.jpg,blue\nred.jpg,red\n")
    assert held_out(made, str(tmp_path / "new.csv")) == {"val": ["blue.jpg", "red.jpg"]}, "it lacks those of the run"
    with pytest.raises(MstlError, match="no column what .--label-column.: its columns are file, colour"):
        held_out(made, str(tmp_path / "new.csv"), label_column="what")


def call(command, *arguments):
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


def test_the_commands_take_them(made, pets, monkeypatch, no_pictures):
    monkeypatch.chdir(pets)
    assert "16 to train on, of 2 classes" in call(data_command.main, "check", "lists/pets.csv", *FLAGS).output
    call(data_command.main, "preview", "lists/pets.csv", *FLAGS, "--image-size", "32", "-n", "2", "--out", "p.png")
    call(data_command.main, "split", "lists/pets.csv", "out", *FLAGS)
    train, val = load_data("out")
    assert (len(train), len(val), train.classes) == (12, 4, ("blue", "red"))
    moved = ("--data", "lists/pets.csv", "--images", "pics")
    monkeypatch.setattr(evaluate_command, "draw", lambda evaluation, out: None)
    for command, *more in ((visualize_command.main, "--out", "v.png"), (evaluate_command.main, "--no-suspects")):
        assert "of 4 " in call(command, made / "run" / "best.ckpt", *moved, *more).output
    for flag, value in (("--label-column", "nothing"), ("--images", "nowhere")):
        done = CliRunner().invoke(data_command.main, ["check", "lists/pets.csv", flag, value])
        assert done.exit_code == 1 and done.stderr.count("\n") == 1 and value in done.stderr


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv"])
@pytest.mark.parametrize("labels", [("00123", "00456"), ("golden retriever", "cat, small"), ("7", "10")])
def test_split_keeps_the_labels(tmp_path, suffix, labels):
    rows = []
    for index in range(8):
        write_photo(tmp_path / f"{index}.jpg", COLORS["red"], index, (8, 8))
        rows.append(f"{index}.jpg\t{labels[index % 2]}")
    (tmp_path / f"l{suffix}").write_text("\n".join(["path\tlabel", *rows]))
    call(data_command.main, "split", tmp_path / f"l{suffix}", tmp_path / "out")
    for images in load_data(tmp_path / "out"):
        assert set(images.classes) == set(labels)
        for path, label in zip(images.paths, images.labels, strict=True):
            assert images.classes[label] == labels[int(os.path.basename(path)[0]) % 2]
