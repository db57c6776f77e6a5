"""The group column of a list: its groups are never divided, and what is said where a list divides them itself."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from mstl.commands import data_command
from mstl.data.checking.checks import check_dataset
from mstl.data.evaluation_data import RunData, load_held_out
from mstl.data.finding.lists.list_options import ListOptions
from mstl.data.finding.sources import find_dataset
from mstl.data.load_data import load_splits
from mstl.data.manifest import Manifest
from mstl.data.split import stratified
from mstl.errors import MstlError
from tests.conftest import COLORS, write_photo


def write_list(folder, patients, parts=None, name="list.csv", title="Patient ID"):
    """A list of images of two classes in turn, a patient of this name for each."""
    folder.mkdir(exist_ok=True)
    rows = []
    for index, patient in enumerate(patients):
        label = ("blue", "red")[index % 2]
        write_photo(folder / f"{name}-{index}.jpg", COLORS[label], hash(name) % 1000 + index)
        rows.append([f"{name}-{index}.jpg", label, patient, *([parts[index]] if parts else [])])
    with open(folder / name, "w", newline="") as stream:
        csv.writer(stream).writerows([["path", "label", title, *(["split"] if parts else [])], *rows])
    return folder / name


def of_patients(images):
    return {sample.group for sample in images.samples}


@pytest.mark.parametrize("seed", range(3))
def test_a_group_is_not_divided_by_the_split(tmp_path, seed):
    file = write_list(tmp_path / "data", [f"P{index // 4}" for index in range(40)])
    splits = load_splits(file, seed=seed, group_column="patient id")
    assert len(splits.train) + len(splits.val) == 40 and len(splits.val) == 8
    assert not of_patients(splits.train) & of_patients(splits.val)
    for images in (splits.train, splits.val):
        groups = np.array(images.groups)
        patients = np.array([sample.group for sample in images.samples])
        assert ((groups[:, None] == groups) == (patients[:, None] == patients)).all()
    without = load_splits(file, seed=seed)
    assert len(set(without.train.groups)) == len(without.train) and of_patients(without.train) == {""}


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_under_two_labels_is_on_one_side_and_each_class_is_trained_on(seed):
    rng = np.random.default_rng(seed)
    labels = [f"class {label}" for label in rng.integers(0, 4, 60)]
    groups = rng.integers(0, 12, 60).tolist()
    chosen = stratified(labels, 0.3, seed, groups)
    assert all(len(set(chosen[np.array(groups) == group])) == 1 for group in groups)
    assert 0 < chosen.mean() < 0.6 and set(np.array(labels)[~chosen]) == set(labels)


def test_groups_are_joined_by_copies_and_empty_cells_are_none(tmp_path, caplog):
    caplog.set_level("INFO", "mstl")
    file = write_list(tmp_path / "data", ["a", "a", "b", "b", "", "", "c", "c"])
    (tmp_path / "data" / "list.csv-6.jpg").write_bytes((tmp_path / "data" / "list.csv-3.jpg").read_bytes())
    checked = check_dataset(find_dataset(file, options=ListOptions(group_column="Patient ID")))
    groups = [checked.groups[sample.path] for sample in checked.usable["train"]]
    assert groups[0] == groups[1] != groups[2] == groups[3] == groups[6] == groups[7]
    assert len({groups[0], groups[2], groups[4], groups[5]}) == 4
    assert "3 groups by the column Patient ID; 2 rows have nothing in the column Patient ID" in caplog.text


def test_groups_that_a_list_divides_are_told(tmp_path, caplog):
    parts = ["train", "train", "train", "train", "val", "val", "test", "test"]
    file = write_list(tmp_path / "data", ["a", "a", "b", "b", "b", "c", "c", "d"], parts)
    load_splits(file, group_column="Patient ID")
    assert "2 groups are divided between the parts" in caplog.text
    out = tmp_path / "check.csv"
    done = CliRunner().invoke(
        data_command.main, ["check", str(file), "--group-column", "Patient ID", "--out", str(out)]
    )
    assert "divided_group" in done.output, done.output
    told = [row["detail"] for row in csv.DictReader(out.open()) if row["problem"] == "divided_group"]
    assert told == [
        "of the images of the group b, 2 trained on and 1 validated on",
        "of the images of the group c, 1 validated on and 1 tested on",
    ]


def test_a_split_on_disk_keeps_groups_together(tmp_path):
    file = write_list(tmp_path / "data", [f"P{index // 4}" for index in range(24)])
    done = CliRunner().invoke(
        data_command.main, ["split", str(file), str(tmp_path / "out"), "--group-column", "Patient ID"]
    )
    assert done.exit_code == 0, done.output
    numbers = [
        {int(row["path"].split("-")[-1][:-4]) // 4 for row in csv.DictReader((tmp_path / "out" / name).open())}
        for name in ("train.csv", "val.csv")
    ]
    assert numbers[1] and not numbers[0] & numbers[1]


def test_the_groups_of_a_run_are_known_later(tmp_path):
    file = write_list(tmp_path / "data", [f"P{index // 4}" for index in range(24)])
    splits = load_splits(file, group_column="Patient ID")
    lists = ListOptions(group_column="Patient ID")
    run = RunData(("blue", "red"), str(file), None, lists, None, Manifest.of(*splits))
    found = load_held_out(run)
    assert (found["train"].groups, found["val"].groups) == (splits.train.groups, splits.val.groups)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("camera", "has no column camera (--group-column): its columns are path, label, Patient ID"),
        ("label", "the column label of .* cannot hold groups, too"),
    ],
)
def test_columns_that_cannot_be_groups(tmp_path, column, message):
    file = write_list(tmp_path / "data", ["a", "b"] * 3)
    with pytest.raises(MstlError, match=message.replace("(", r"\(").replace(")", r"\)")):
        find_dataset(file, options=ListOptions(label_column="label", group_column=column))


def test_folders_have_no_columns(photos):
    with pytest.raises(MstlError, match="--group-column: for lists, but"):
        find_dataset(photos, options=ListOptions(group_column="patient"))
