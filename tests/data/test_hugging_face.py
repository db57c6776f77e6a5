"""Datasets of Hugging Face: exported once, byte for byte, and then data like any other folder."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import mstl
from mstl.commands import cache_command, data_command
from mstl.data.finding.hugging_face.hub_dataset import HubDataset, choose_parts, is_saved
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.sources import find_dataset, locate
from mstl.errors import MstlError
from tests.conftest import environment

datasets = pytest.importorskip("datasets")
CLASSES = ["cat/lynx", "dog"]


def picture(seed, kind="JPEG"):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 48, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def split(seeds, labels=None, **more):
    """A dataset with an image for each seed, of the classes in turn."""
    rows = {
        "image": [{"bytes": picture(seed, "PNG" if seed % 3 == 0 else "JPEG"), "path": None} for seed in seeds],
        "label": labels or [seed % 2 for seed in seeds],
        **{name: values for name, (values, _) in more.items()},
    }
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)}
    kinds |= {name: kind for name, (_, kind) in more.items()}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))


@pytest.fixture
def saved(tmp_path):
    """A folder with train, validation and test as `save_to_disk` writes them."""
    parts = {"train": split(range(8)), "validation": split(range(10, 14)), "test": split(range(20, 24))}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "pets"))
    return tmp_path / "pets"


def test_it_becomes_class_folders_with_the_bytes_as_they_are(saved):
    assert is_saved(saved)
    folder = locate(str(saved))
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*g"))
    assert names[:4] == [
        "test/cat-lynx/000000.jpg",
        "test/cat-lynx/000002.jpg",
        "test/dog/000001.png",
        "test/dog/000003.jpg",
    ]
    assert len(names) == 16
    assert (folder / "train" / "dog" / "000003.png").read_bytes() == picture(3, "PNG")
    assert (folder / "val" / "cat-lynx" / "000002.png").read_bytes() == picture(12, "PNG")
    splits = mstl.load_splits(str(saved))
    assert splits.train.classes == ("cat-lynx", "dog")
    assert [len(images) for images in (splits.train, splits.val, splits.test)] == [8, 4, 4]


def test_it_is_exported_once_and_listed_and_cleared(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    folder = locate(str(saved))
    monkeypatch.setattr("mstl.data.finding.hugging_face.hub_export.write", None)
    assert locate(str(saved)) == folder
    listed = CliRunner().invoke(cache_command.main, ["list"]).stdout
    assert folder.name in listed and str(saved) in listed
    CliRunner().invoke(cache_command.main, ["clear", folder.name])
    assert not folder.exists()


def test_other_content_is_another_folder(saved, tmp_path):
    split(range(8)).save_to_disk(str(tmp_path / "other" / "pets"))
    split(range(2, 10)).save_to_disk(str(tmp_path / "third" / "pets"))
    folders = {locate(str(tmp_path / name)) for name in ("pets", "other/pets", "third/pets")}
    assert len(folders) == 3


def test_one_split_is_trained_on_whatever_it_is_called(tmp_path):
    datasets.DatasetDict({"validation": split(range(6))}).save_to_disk(str(tmp_path / "pets"))
    found = find_dataset(str(tmp_path / "pets"))
    assert len(found.train.samples) == 6 and found.val is None


def test_which_split_is_which_part():
    assert choose_parts("x", ["train", "train_clean", "dev", "unsupervised"]) == {"train": "train", "val": "dev"}
    with pytest.raises(MstlError, match="x has no split to train on: it has test, extra"):
        choose_parts("x", ["test", "extra"])


def test_what_has_no_label_or_no_image_is_left_out_and_counted(tmp_path, caplog):
    data = split(range(6), labels=[0, 1, -1, 1, 0, 1])
    rows = data.cast_column("image", datasets.Image(decode=False)).to_list()
    rows[1]["image"] = None
    datasets.Dataset.from_list(rows, features=data.features).save_to_disk(str(tmp_path / "pets"))
    found = find_dataset(str(tmp_path / "pets"))
    assert [Path(sample.path).name[:6] for sample in found.train.samples] == ["000000", "000004", "000003", "000005"]
    text = caplog.text
    assert "1 rows of" in text and "left out: no label" in text and "left out: no image" in text


def test_which_column(tmp_path):
    coarse = ([0, 0, 1, 1, 0, 1], datasets.ClassLabel(names=["wild", "tame"]))
    split(range(6), coarse=coarse).save_to_disk(str(tmp_path / "pets"))
    pets = str(tmp_path / "pets")
    with pytest.raises(MstlError, match=r"ClassLabel, and has several \(label, coarse\): choose with --label-column"):
        locate(pets)
    assert find_dataset(pets, options=ListOptions(label_column="coarse")).train.labels == {"wild", "tame"}
    assert find_dataset(pets, options=ListOptions(label_column="label")).train.labels == {"cat-lynx", "dog"}
    with pytest.raises(MstlError, match=r"no column colour \(--label-column\): it has image, label, coarse"):
        locate(pets, ListOptions(label_column="colour"))
    with pytest.raises(MstlError, match="is no list"):
        locate(pets, ListOptions(group_column="label", label_column="label"))


def test_labels_as_text(tmp_path):
    kinds = datasets.Features({"picture": datasets.Image(), "Category": datasets.Value("string")})
    rows = {"picture": [{"bytes": picture(seed), "path": None} for seed in range(4)], "Category": ["a", "b", "a", "b"]}
    datasets.Dataset.from_dict(rows, features=kinds).save_to_disk(str(tmp_path / "pets"))
    assert find_dataset(str(tmp_path / "pets")).train.labels == {"a", "b"}


def test_a_dataset_without_images(tmp_path):
    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(str(tmp_path / "texts"))
    with pytest.raises(MstlError, match=r"needs one column of kind Image, and has none \(it has text\)"):
        locate(str(tmp_path / "texts"))


def test_two_classes_in_one_folder(tmp_path):
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a/b", "a-b"])})
    rows = {"image": [{"bytes": picture(0), "path": None}], "label": [0]}
    datasets.Dataset.from_dict(rows, features=kinds).save_to_disk(str(tmp_path / "pets"))
    with pytest.raises(MstlError, match="several classes that would be the folder a-b"):
        locate(str(tmp_path / "pets"))


def test_the_check_knows_it(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(data_command.main, ["check", "pets"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("pets: 8 to train on, 4 to validate on, 4 to test on, of 2 classes")


def test_a_damaged_folder_is_one_line(saved):
    (saved / "train" / "state.json").write_text("{")
    with pytest.raises(MstlError, match="cannot get .*pets: "):
        locate(str(saved))


def test_by_name_offline_is_one_line(tmp_path):
    env = environment(HF_HOME=str(tmp_path), MSTL_OFFLINE="1")
    command = [sys.executable, "-m", "mstl", "data", "check", "hf:somebody/pets"]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("mstl: error: cannot get hf:somebody/pets: ") and "save_to_disk" in line


@pytest.mark.parametrize(
    ("data", "asked"),
    [("hf:beans", ("beans", None)), ("hf:a/b", ("a/b", None)), ("hf:a/b/small", ("a/b", "small"))],
)
def test_by_name(monkeypatch, data, asked):
    def load_dataset(*arguments):
        assert arguments == asked
        return datasets.DatasetDict({"train": split(range(4))})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(HubDataset.load(data, FOUND).splits["train"]) == 4


def test_it_must_be_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MstlError, match=r'needs the library datasets: `pip install "mstl\[datasets\]"`'):
        locate("hf:a/b")
