"""An exported .onnx file is a model: it predicts and is evaluated as its checkpoint, with nothing else installed."""

import csv
import importlib
import json
import os
import re
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mstl
from mstl import MstlError
from mstl.commands import evaluate_command
from mstl.prediction import exporting
from tests.checkpoints import write_checkpoint
from tests.conftest import write_folder

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")
ALONE = ("numpy", "PIL", "click", "onnxruntime")
LIBRARIES = ("numpy.libs", "pillow.libs")  # of the wheels, where they have some
PAGE = Path(__file__).parents[2] / "docs" / "en" / "howto" / "export.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory, narrow_model):
    """Photos, and in the folder of a run its checkpoint and the model exported from it."""
    root = tmp_path_factory.mktemp("exported")
    write_folder(root / "photos", {"train": 4, "val": 6}, CLASSES)
    write_checkpoint(root / "run" / "best.ckpt", root / "photos")
    return root


@pytest.fixture(scope="module")
def predictor(made):
    return mstl.Predictor(made / "run" / "best.ckpt", engine="mindspore")


@pytest.fixture(scope="module")
def exported(made, predictor):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "Predictor", lambda *arguments, **options: predictor)
        (file,) = exporting.export(made / "run" / "best.ckpt").files
    config = {**predictor.metadata["config"], "record": predictor.metadata["record"]}
    (file.parent / "config.json").write_text(json.dumps(config))
    return file


@pytest.fixture(scope="module")
def mstl_alone(tmp_path_factory):
    """mstl in an environment of its own, with four packages and nothing else."""
    root = tmp_path_factory.mktemp("alone")
    venv.create(root, symlinks=True)
    (packages,) = root.glob("lib/python*/site-packages")
    installed = [Path(importlib.import_module(name).__file__).parent for name in (*ALONE, "mstl")]
    for folder in [*installed, *(installed[0].parent / name for name in LIBRARIES)]:
        if folder.exists():
            (packages / folder.name).symlink_to(folder)

    def run(*arguments):
        command = [root / "bin" / "python", "-m", "mstl", *arguments]
        variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=root, check=False)

    return run


def test_it_answers_as_its_checkpoint(made, predictor, exported):
    """For paths, bytes, arrays and Pillow's images."""
    model = mstl.load_predictor(exported)
    paths = sorted(str(path) for path in (made / "photos" / "val").rglob("*.jpg"))
    kinds = [paths[0], Path(paths[0]).read_bytes(), np.asarray(Image.open(paths[0])), Image.open(paths[0])]
    for answer, expected in zip(model([*paths, *kinds], top=2), predictor([*paths, *kinds], top=2), strict=True):
        assert (answer.path, answer.label, answer.rejected) == (expected.path, expected.label, expected.rejected)
        assert [name for name, _ in answer.top] == [name for name, _ in expected.top]
        assert [share for _, share in answer.top] == pytest.approx([share for _, share in expected.top], abs=1e-4)
    with pytest.raises(MstlError, match="cannot read the image: not an image"):
        model(b"hello")
    assert model.classes == predictor.classes and model.can_reject and model([]) == []


def test_it_is_evaluated_as_its_checkpoint(predictor, exported):
    """On the run's own split, which is recorded beside it."""
    model = mstl.load_predictor(exported)
    ours, theirs = model.evaluate(batch_size=5), predictor.evaluate()
    assert ours.paths == theirs.paths and (ours.labels == theirs.labels).all()
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
    assert ours.features == pytest.approx(theirs.features, abs=1e-4)
    assert model.rejections(ours) == predictor.rejections(theirs)
    assert (ours.loss, ours.nll) == pytest.approx((theirs.loss, theirs.nll), abs=1e-5)
    assert ours.part(np.array([2, 0])).rejected.tolist() == [model.rejections(ours)[index] for index in (2, 0)]


def test_four_packages_are_enough(made, predictor, exported, mstl_alone, tmp_path):
    """predict, evaluate and benchmark, without MindSpore, SciPy and the rest; a checkpoint says what it needs."""
    photo = made / "photos" / "val" / "red" / "red-1.jpg"
    done = mstl_alone("predict", exported, photo, "--format", "json", "--reject")
    assert done.returncode == 0 and not done.stderr, done.stderr
    (answer,), expected = json.loads(done.stdout), predictor(photo)
    assert answer["probability"] == pytest.approx(expected.probability, abs=1e-4)
    assert (answer["rejected"], answer["label"]) == (expected.rejected, None if expected.rejected else expected.label)

    done = mstl_alone("evaluate", exported, "--out", tmp_path / "out")
    lines = list(evaluate_command.summary(predictor.evaluate(), True))
    assert done.returncode == 0 and done.stdout.splitlines()[: len(lines)] == lines, done.stderr
    assert "no pictures, as matplotlib is not installed" in done.stderr and "labels: not checked" in done.stdout
    with open(tmp_path / "out" / "predictions.csv", encoding="utf-8") as file:
        rejected = [row["rejected"] == "true" for row in csv.DictReader(file)]
    assert rejected == predictor.rejections(predictor.evaluate())

    done = mstl_alone("benchmark", exported)
    assert done.returncode == 0 and done.stdout.splitlines()[2].startswith("onnx    onnxruntime fp32 "), done.stderr

    done = mstl_alone("predict", made / "run" / "best.ckpt", photo)
    assert done.returncode == 1 and done.stderr == (
        "mstl: error: this needs mindspore, which is not installed: pip install mstl\n"
    )


def test_away_from_its_run(made, exported, tmp_path):
    """Only the data must be given."""
    moved = tmp_path / "model.onnx"
    moved.write_bytes(exported.read_bytes())
    with pytest.raises(MstlError, match="does not lie in the folder of its run; give --data"):
        mstl.load_predictor(moved).evaluate()
    assert mstl.load_predictor(moved).evaluate(made / "photos" / "val").total == 18


def test_the_ten_lines_of_the_documentation(made, predictor, exported, tmp_path, monkeypatch, capsys):
    """They give the label of ``mstl predict``, without mstl."""
    (code,) = re.findall(r"```python\n(import json\n.*?onnxruntime.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert "mstl" not in code and len(code.splitlines()) <= 14
    photo = made / "photos" / "val" / "green" / "green-2.jpg"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.onnx").write_bytes(exported.read_bytes())
    Image.open(photo).save(tmp_path / "dog.png")
    code = code.replace("runs/pets/best.onnx", "best.onnx").replace("dog.jpg", "dog.png")
    exec(compile(code, PAGE.name, "exec"), {})
    label, share = capsys.readouterr().out.split()
    assert label == predictor(photo).label
    assert float(share) == pytest.approx(predictor(photo).probability, abs=0.01)
