"""mstl benchmark: its figures are right, a row that cannot be used says why, and no exported file is left behind."""

import dataclasses
import importlib.util
import json
import re
import tempfile

import numpy as np
import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError
from mstl.commands import benchmark_command
from mstl.engines import onnxruntime_session
from mstl.prediction import benchmarking, contenders, exporting, measuring
from tests.checkpoints import write_checkpoint
from tests.conftest import COLORS, write_folder, write_photo

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
pytestmark = pytest.mark.usefixtures("narrow_model")
NUMBERS = {"megabytes", "ms_batch_1", "ms_batch_16", "images_per_second", "accuracy", "change"}
EXPECTED = [
    "checkpoint mindspore fp32",
    *["checkpoint openvino fp32"] * HAS_OPENVINO,
    "checkpoint onnxruntime fp32",
    "onnx onnxruntime fp32",
    "onnx onnxruntime int8",
    "mindir mindspore fp32",
    *["openvino openvino fp32"] * HAS_OPENVINO,
]


@pytest.fixture(scope="module")
def made(tmp_path_factory, narrow_model):
    """A checkpoint, and ten photos to validate on: two of them have another label than a look at them suggests."""
    root = tmp_path_factory.mktemp("benchmark")
    write_folder(root / "photos", {"train": 4, "val": 4})
    for seed in (7, 8):
        write_photo(root / "photos" / "val" / "blue" / f"wrong-{seed}.jpg", COLORS["red"], seed)
    write_checkpoint(root / "run" / "best.ckpt", root / "photos")
    return root


@pytest.fixture(scope="module")
def predictor(made):
    return mstl.Predictor(made / "run" / "best.ckpt", engine="mindspore")


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """Three calls are timed; what is exported goes where it is looked for."""
    monkeypatch.setattr(measuring, "SECONDS", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    yield
    assert not list((tmp_path / "temporary").glob("mstl-*"))  # a notebook that runs beside it has its own files there


@pytest.fixture
def only(monkeypatch):
    """A function that leaves out all rows but MindSpore's and those with these names."""

    def choose(*names):
        real = contenders.Contest.entries

        def entries(self):
            return (entry for number, entry in enumerate(real(self)) if not number or name_of(entry) in names)

        monkeypatch.setattr(contenders.Contest, "entries", entries)

    return choose


def name_of(entry):
    return f"{entry.format} {entry.choice.engine} {entry.choice.precision}"


def command(*arguments):
    return CliRunner().invoke(benchmark_command.main, [str(argument) for argument in arguments])


def test_all_rows(made, predictor, tmp_path):
    """Size and accuracy as one finds them without it; every answer is MindSpore's."""
    run = command(made / "run" / "best.ckpt", "--json", tmp_path / "new" / "figures.json")
    assert run.exit_code == 0, run.output
    found = json.loads((tmp_path / "new" / "figures.json").read_text())
    assert (found["architecture"], found["images"], found["validation_images"]) == ("resnet18", 10, 10)
    rows = found["rows"]
    assert [f"{row['format']} {row['engine']} {row['precision']}" for row in rows] == EXPECTED
    assert {row["problem"] for row in rows} == {None}
    files = sorted((made / "photos" / "val").rglob("*.jpg"))
    accuracy = np.mean([predictor(file).label == file.parent.name for file in files])
    assert accuracy <= 0.8, "two photos are not what they are called"
    weights = 4e-6 * sum(parameter.size for parameter in predictor.model.get_parameters())
    assert all(row[name] > 0 for row in rows for name in ("ms_batch_1", "ms_batch_16", "images_per_second"))
    exact = [row for row in rows if row["precision"] == "fp32"]
    for row in exact:
        assert row["accuracy"] == pytest.approx(accuracy)
        assert 0.95 * weights < row["megabytes"] < 1.5 * weights  # without BatchNorms; with the graph
    assert rows[0]["megabytes"] == (made / "run" / "best.ckpt").stat().st_size / 1e6
    assert rows[0]["change"] is None and max(row["change"] for row in exact[1:]) < 1e-4
    (int8,) = (row for row in rows if row not in exact)
    file = tmp_path / "int8.onnx"
    size = exporting.export(made / "run" / "best.ckpt", out=file, int8=True, force=True).size
    answers, expected = mstl.load_predictor(file).evaluate(made / "photos" / "val"), predictor.evaluate()
    assert int8["megabytes"] == pytest.approx(size / 1e6, rel=1e-3) and int8["megabytes"] < 0.5 * weights
    assert int8["change"] == pytest.approx(np.abs(answers.probabilities - expected.probabilities).max(), abs=1e-6)
    assert int8["change"] > 1e-4 and int8["accuracy"] == pytest.approx(answers.accuracy)
    lines = run.stdout.splitlines()
    assert lines[0].endswith("best.ckpt: resnet18, asked about all 10 validation images")
    assert re.split("  +", lines[1]) == list(benchmark_command.HEADER)
    assert len(lines) == 2 + len(rows) and len({len(line) for line in lines[1:]}) == 1
    for line, row in zip(lines[2:], rows, strict=True):
        name, engine, megabytes, *_ = re.split("  +", line)
        assert (
            f"{name} {engine}" == f"{row['format']} {row['engine']} {row['precision']}"
            and megabytes == f"{row['megabytes']:.1f}"
        )
    said = [line for line in run.stderr.splitlines() if line.startswith("benchmark: ") and "is left out" not in line]
    assert len(said) == len(rows), "progress is said, and not on stdout"


def test_the_change_is_that_of_the_probabilities(made, predictor, monkeypatch, only):
    """Of an engine whose logits are off by as much as is allowed; a batch counts as so many images."""
    opened = onnxruntime_session.open_session

    class Spoiled:
        def __init__(self, content):
            self.session = opened(content)

        def run(self, names, inputs):
            logits, features = self.session.run(names, inputs)
            return [logits * np.float32(1.00008), features]

    monkeypatch.setattr(onnxruntime_session, "open_session", Spoiled)
    only("checkpoint onnxruntime fp32")
    _, row = benchmarking.benchmark(made / "run" / "best.ckpt").rows
    logits = predictor.evaluate().logits.astype(float) / predictor.temperature
    powers = [np.exp(factor * logits) for factor in (1, 1.00008)]
    before, after = (each / each.sum(axis=1, keepdims=True) for each in powers)
    assert row.figures.change == pytest.approx(np.abs(after - before).max(), abs=1e-6)
    assert row.figures.change > 5e-6


def test_an_engine_that_answers_wrongly_is_a_row_that_says_so(made, monkeypatch, only):
    class Broken:
        def __init__(self, content):
            pass

        def run(self, names, inputs):
            raise RuntimeError("no\n  memory")

    monkeypatch.setattr(onnxruntime_session, "open_session", Broken)
    only("checkpoint onnxruntime fp32", "onnx onnxruntime fp32")
    run = command(made / "run" / "best.ckpt")
    assert run.exit_code == 0, run.output
    _, _, _, broken, sound = run.stdout.splitlines()
    assert re.match(r"checkpoint  onnxruntime fp32  not usable: engine: onnxruntime .* as it fails: no memory", broken)
    assert "not usable" not in sound and sound.startswith("onnx ")


def test_an_exported_file_that_answers_otherwise_is_a_row_that_says_so(made, monkeypatch, only, tmp_path):
    """Here it rejects everything."""
    real = contenders.record_of

    def record_of(predictor, reference):
        record = real(predictor, reference)
        return dataclasses.replace(record, rejection=dataclasses.replace(record.rejection, distance_limit=-1.0))

    monkeypatch.setattr(contenders, "record_of", record_of)
    only("onnx onnxruntime fp32")
    run = command(made / "run" / "best.ckpt", "--json", tmp_path / "figures.json")
    assert run.exit_code == 0, run.output
    _, row = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert re.match(r"its proof failed: .*\.jpg is .* to MindSpore and .*, rejected at distance", row["problem"])
    assert {row[name] for name in NUMBERS} == {None}
    assert "not usable: its proof failed" in run.stdout.splitlines()[-1]


def test_what_is_not_installed_is_left_out(made, monkeypatch):
    real = importlib.util.find_spec
    gone = ("onnxruntime", "openvino")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in gone else real(name, *more))
    run = command(made / "run" / "best.ckpt")
    assert run.exit_code == 0, run.output
    names = [line.split()[:3] for line in run.stdout.splitlines()[2:]]
    assert names == [["checkpoint", "mindspore", "fp32"], ["mindir", "mindspore", "fp32"]]
    for name, extra in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        line = (
            rf'^benchmark: {name} is left out, as engine .* {name} is not installed: `pip install "mstl\[{extra}\]"`$'
        )
        assert len(re.findall(line, run.stderr, re.M)) == 1, run.stderr


def test_at_most_so_many_images_spread_over_all(made, monkeypatch, only):
    asked = []
    monkeypatch.setattr(benchmarking, "MOST_IMAGES", 4)
    monkeypatch.setattr(contenders.Contest, "by_engine", lambda self, choice: asked.extend(self.images.paths))
    only()
    measured = benchmarking.benchmark(made / "run" / "best.ckpt", made / "photos")
    assert (measured.images, measured.validation_images) == (4, 10)
    files = sorted(str(path) for path in (made / "photos" / "val").rglob("*.jpg"))
    assert asked == [files[index] for index in (0, 3, 6, 9)]


def test_an_exported_file_by_itself(made, predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "Predictor", lambda *arguments, **options: predictor)
    (file,) = exporting.export(made / "run" / "best.ckpt", out=tmp_path / "m.onnx").files
    (row,) = benchmarking.benchmark(file, made / "photos" / "val").rows
    assert (row.format, row.choice.engine, row.figures.change) == ("onnx", "onnxruntime", None)
    assert row.figures.megabytes == file.stat().st_size / 1e6
    assert row.figures.accuracy == pytest.approx(predictor.evaluate().accuracy)
    run = command(file, "--data", made / "photos" / "val")
    assert run.exit_code == 0 and run.stdout.splitlines()[-1].endswith("  -"), run.output
    run = command(file, "--device", "Ascend")
    assert run.exit_code == 1 and "leave --device Ascend out" in run.stderr and run.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, MstlError("the outputs of best.ckpt are not finite")])
def test_what_ends_it(made, error, monkeypatch, tmp_path):
    """Nothing is printed or written, and :func:`quick` finds nothing that is left."""

    def fail(self, choice):
        (self.folder / "model.onnx").write_text("half")
        raise error

    monkeypatch.setattr(contenders.Contest, "by_engine", fail)
    run = command(made / "run" / "best.ckpt", "--json", tmp_path / "figures.json")
    assert run.exit_code in (1, 130) and not run.stdout and not (tmp_path / "figures.json").exists()
    assert "mstl: error: " in run.stderr.splitlines()[-1]


def test_wrong_arguments(made, tmp_path):
    """Each in one line, before anything is measured."""
    checkpoint = made / "run" / "best.ckpt"
    for arguments, message in [
        ([tmp_path / "none.ckpt"], "none.ckpt"),
        ([tmp_path / "none.onnx"], "no model at"),
        ([checkpoint, "--json", tmp_path], "is a folder: give the name of a file"),
        ([checkpoint, "--data", tmp_path / "nowhere"], "nowhere"),
        ([checkpoint, "--device", "TPU"], "unknown device"),
    ]:
        run = command(*arguments)
        assert run.exit_code == 1 and message in run.stderr and run.stderr.count("\n") == 1, run.output
        assert not run.stdout
