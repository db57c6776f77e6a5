"""The commands as a user runs them: what they print, and how they end."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from PIL import Image

from mstl.commands import doctor_command, train_command, visualize_command
from tests.conftest import write_folder

pytestmark = pytest.mark.usefixtures("narrow_model")
TINY = ["--model", "resnet18", "--weights", "none", "--image-size", "32", "--epochs", "1"]


def run(command, *arguments):
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def test_train_and_visualize(photos, tmp_path):
    """The whole way in processes of their own, as a user goes it: nothing but what mstl says, at the exit too."""
    env = {**os.environ, "MSTL_OFFLINE": "1"}
    out = tmp_path / "run"

    def call(*arguments):
        command = [sys.executable, "-m", *(str(argument) for argument in arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)

    done = call("mstl.train", "--data", photos, "--out", out, *TINY)
    assert done.returncode == 0, done.stderr
    first_words = [line.split()[0].rstrip(":") for line in done.stderr.splitlines()]
    stages = ["stage", "stem", "layer1", "layer2", "layer3", "layer4", "head"]
    assert first_words == ["recipe", "device", "engine", "data", "model", *stages, "run", "features"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["epoch", "best"]
    (out / "predictions.png").unlink()
    done = call("mstl.visualize", out / "best.ckpt")
    told = f"data: {photos}, split as the run's manifest.csv records it, unchanged since training\n"
    assert (done.returncode, done.stderr) == (0, told)
    with Image.open(out / "predictions.png") as image:
        assert image.format == "PNG" and image.width > 400
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["photos", "run"]


def test_default_folder(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(train_command, "--data", "photos", *TINY).exit_code == 0
    assert (tmp_path / "checkpoints" / "photos-resnet18" / "best.ckpt").exists()


def test_visualize_options(photos, tmp_path):
    assert run(train_command, "--data", photos, "--out", tmp_path / "run", *TINY).exit_code == 0
    done = run(
        visualize_command,
        tmp_path / "run" / "best.ckpt",
        "--out",
        tmp_path / "new" / "grid.png",
        "--n",
        "2",
        "--data",
        photos,
    )
    assert done.exit_code == 0, done.output
    assert "of 6 right" in done.output and "grid.png" in done.output
    assert (tmp_path / "new" / "grid.png").exists()


def errors(photos, tmp_path):
    empty, one = tmp_path / "empty", write_folder(tmp_path / "one", {"train": 2, "val": 2}, ("red",))
    for part in ("train", "val"):
        (empty / part).mkdir(parents=True)
    more = write_folder(tmp_path / "more", {"train": 2, "val": 2})
    write_folder(tmp_path / "more", {"val": 2}, ("green",))
    (tmp_path / "file").write_text("no checkpoint")
    (tmp_path / "file.ckpt").write_text("no checkpoint")
    return {
        "unknown name": (train_command, ["--data", "Felidae"], "demo, Canidae"),
        "no images": (train_command, ["--data", empty], "no images in"),
        "one class": (train_command, ["--data", one], "needs two or more"),
        "class that train lacks": (train_command, ["--data", more], "green"),
        "unwritable": (
            train_command,
            ["--data", photos, "--out", tmp_path / "file" / "run"],
            "cannot write into the folder",
        ),
        "unknown model": (train_command, ["--data", photos, "--model", "vgg16"], "unknown model 'vgg16'"),
        "unknown weights": (train_command, ["--data", photos, "--weights", "imagenet21k"], "no weights 'imagenet21k'"),
        "damaged weights": (
            train_command,
            ["--data", photos, "--weights", tmp_path / "file.ckpt"],
            "is text that begins with",
        ),
        "absent device": (train_command, ["--data", photos, "--device", "Ascend"], "does not work here"),
        "negative rate": (train_command, ["--lr", "-1"], "lr must be above 0"),
        "no checkpoint": (visualize_command, [tmp_path / "file.ckpt"], "is text that begins with"),
        "no file": (visualize_command, [tmp_path / "none.ckpt"], "file at"),
    }


CASES = [
    "unknown name", "no images", "one class", "class that train lacks", "unwritable", "unknown model",
    "unknown weights", "damaged weights", "absent device", "negative rate", "no checkpoint", "no file",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_exit_code_1(photos, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    command, arguments, message = errors(photos, tmp_path)[case]
    done = run(command, *arguments)
    assert done.exit_code == 1, done.output
    lines = [line for line in done.stderr.splitlines() if line.startswith("mstl: error: ")]
    assert len(lines) == 1 and done.stderr.splitlines()[-1] == lines[0]
    assert message in lines[0]
    assert "Traceback" not in done.output


def test_no_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    done = run(train_command, "--data", "Canidae")
    assert done.exit_code == 1
    assert "Canidae_data.zip" in done.stderr and "--data demo" in done.stderr


def test_an_unexpected_error_is_one_line_too(photos, monkeypatch):
    from mstl import fitting

    def fail(_config, resume):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(fitting, "fit", fail)
    done = run(train_command, "--data", photos)
    assert done.exit_code == 1
    assert done.stderr == "mstl: error: unexpected ZeroDivisionError: two lines (MSTL_DEBUG=1 shows where)\n"
    monkeypatch.setenv("MSTL_DEBUG", "1")
    assert isinstance(run(train_command, "--data", photos).exception, ZeroDivisionError)


def test_doctor():
    done = run(doctor_command)
    assert done.exit_code == 0
    for word in ("mindspore", "devices", "cores", "oneDNN cap", "MSTL_HOME", "GFLOP/s"):
        assert word in done.output


def test_doctor_says_what_an_engine_brings(monkeypatch):
    monkeypatch.setattr("mstl.engines.choice.missing_package", lambda name: None)
    monkeypatch.setattr("mstl.engines.choice.computes_bf16", lambda: True)
    monkeypatch.setattr("mstl.engines.choice.version", lambda name: "1.2")
    assert (
        doctor_command.describe_engine("openvino") == "1.2 (an engine for frozen layers and answers, in fp32 and bf16)"
    )
    assert doctor_command.describe_engine("onnxruntime") == "1.2 (an engine for frozen layers and answers, in fp32)"
    monkeypatch.setattr("mstl.engines.choice.missing_package", lambda name: "onnx")
    line = doctor_command.describe_engine("onnxruntime")
    assert line.startswith('onnx is not installed: `pip install "mstl[onnx]"` makes frozen layers')
