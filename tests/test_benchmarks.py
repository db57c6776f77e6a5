"""The benchmarks' arithmetic, photos and sides; nothing here is timed."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import extract, fixed, growth, labelling, linear, measure, photos, predict, setting, table
from benchmarks.__main__ import CASES, build_parser
from benchmarks.measure import Done
from mstl.models import key_mapping
from mstl.models.bodies import find_bodies
from tests.conftest import write_folder, write_photo

DATA = {"fixed", "linear", "finetune", "extract", "predict", "growth", "pipeline", "label"}


def parse(*arguments):
    return build_parser().parse_args([str(argument) for argument in arguments])


def done(seconds, peak_mb=0.0, **answer):
    return Done(seconds, peak_mb, json.dumps(answer) + "\n")


@pytest.mark.parametrize("case", CASES)
def test_every_case_parses_with_its_defaults(case):
    options = parse(case, *(["--data", "photos"] if case in DATA else []))
    assert options.case == case and callable(options.run)
    assert getattr(options, "repeats", 1) >= 1


def test_options_are_read():
    options = parse("fixed", "--data", "d", "--against", "torch", "--epochs", 2, "--model", "resnet18", "--without-cap")
    assert (options.data, options.against, options.epochs) == (Path("d"), ("torch",), 2)
    assert (options.model, options.without_cap) == ("resnet18", True)
    assert parse("fixed", "--data", "d").against == ("torch", "tutorial")
    assert parse("fixed", "--data", "d", "--against", "").against == ()
    assert parse("finetune", "--data", "d", "--models", "resnet18").models == ("resnet18",)
    assert parse("growth", "--data", "d", "--counts", 1000, 10000).counts == [1000, 10000]
    assert parse("extract", "--data", "d", "--model", "efficientnet_lite0").model == setting.LITE0
    assert parse("linear", "--data", "d").photos is None and parse("linear", "--data", "d").precision == "auto"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fixed"],
        ["fixed", "--data", "d", "--against", "keras"],
        ["finetune", "--data", "d", "--against", "tutorial"],
        ["fixed", "--data", "d", "--repeats", "0"],
        ["fixed", "--data", "d", "--model", "efficientnet_lite0"],
        ["linear", "--data", "d", "--photos", "0"],
        ["nothing"],
    ],
)
def test_wrong_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(*arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_interpreter_is_found_wherever_a_side_is_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert setting.interpreter("bin/python") == str(tmp_path / "bin" / "python")
    assert Path(setting.interpreter("sh")).is_absolute()


def test_an_interpreter_without_torch_is_named(tmp_path):
    options = parse("finetune", "--data", tmp_path, "--torch-python", tmp_path / "python")
    with pytest.raises(SystemExit, match=r"python has no PyTorch: give --torch-python"), setting.opened(options):
        raise AssertionError("it was opened")


def test_the_parser_needs_neither_mindspore_nor_torch():
    """The benchmark's own process stays small: a process that it starts is charged with its memory at least."""
    code = (
        "import sys, benchmarks.__main__ as b; b.build_parser(); assert not {'mindspore', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=measure.ROOT)


def test_results_go_where_git_does_not_look():
    ignored = (measure.ROOT / ".gitignore").read_text().split()
    assert setting.RESULTS == measure.ROOT / "build" / "benchmarks" and "build/" in ignored


def test_rows_by_hand():
    row = table.ratio_at_most(0.25, "a / b", "s", 30.0, 150.0)
    assert (row.ratio, row.target, row.met) == (0.2, "ratio <= 0.25", True)
    assert not table.ratio_at_most(0.19, "a / b", "s", 30.0, 150.0).met
    assert table.ratio_at_most(None, "a / b", "s", 30.0, 150.0).met is None
    row = table.at_most(0.3, "help", "s", 0.31)
    assert (row.ratio, row.target, row.met) == (None, "<= 0.3 s", False)
    assert table.at_most(1200, "memory", "MB", 1200.0, 600.0).met
    assert table.not_lower("accuracy", 0.941, 0.95).met
    assert not table.not_lower("accuracy", 0.939, 0.95).met


def test_table_and_json(tmp_path):
    rows = [
        table.ratio_at_most(0.25, "first / PyTorch", "s", 31.234, 1560.4),
        table.not_lower("accuracy", 0.9, 0.95),
        table.Row("other", "MB", 612.6),
    ]
    assert table.markdown(rows).splitlines() == [
        "| what            | ours   | theirs  | ratio | target                    |",
        "| --------------- | ------ | ------- | ----- | ------------------------- |",
        "| first / PyTorch | 31.2 s | 1,560 s | 0.02  | ratio <= 0.25 (met)       |",
        "| accuracy        | 0.9    | 0.95    | 0.947 | >= theirs - 0.01 (MISSED) |",
        "| other           | 613 MB | -       | -     |                           |",
    ]
    table.write(tmp_path / "new" / "case.json", {"case": "fixed", "data": Path("x")}, rows)
    values = json.loads((tmp_path / "new" / "case.json").read_text())
    assert values["case"] == "fixed" and values["data"] == "x"
    assert values["rows"][0]["ratio"] == pytest.approx(31.234 / 1560.4) and values["rows"][2]["ratio"] is None


def test_a_process_is_charged_with_its_own_memory():
    """Asked of a fresh process: one that is started by a large one is charged with that one's memory."""
    code = """if True:
        import sys
        from benchmarks import measure
        small = measure.run([sys.executable, "-c", "print('hello'); print('[1]')"], ".")
        large = measure.run([sys.executable, "-c", "b'x' * 400_000_000; print('[2]')"], ".")
        assert small.answer == [1] and large.answer == [2]
        assert small.seconds > 0 and small.peak_mb < 100, small
        assert 400 < large.peak_mb < 500, large
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=measure.ROOT)


def test_a_process_gets_folder_and_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GONE", "1")
    code = "import benchmarks, json, os; print(json.dumps([os.getcwd(), os.environ.get('GONE'), os.environ['NEW']]))"
    given = measure.run([sys.executable, "-c", code], tmp_path, {"GONE": None, "NEW": tmp_path})
    assert given.answer == [str(tmp_path.resolve()), None, str(tmp_path)]


def test_a_failed_process_is_shown(tmp_path):
    with pytest.raises(SystemExit, match=r"(?s)exit code 3 of .*what was wrong"):
        measure.run(
            [sys.executable, "-c", "import sys; print('what was wrong', file=sys.stderr); sys.exit(3)"], tmp_path
        )


def test_sides_take_turns(capsys):
    order = []
    sides = {name: lambda number, name=name: order.append((name, number)) or 10 * number for name in "ab"}
    assert measure.interleave(sides, 2) == {"a": [0, 10], "b": [0, 10]}
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert capsys.readouterr().out == ""


@pytest.fixture
def data(tmp_path):
    """Four photos of each of two classes to train on and two to validate on, and three files that nobody can use."""
    root = tmp_path / "raw"
    write_folder(root, {"train": 4, "val": 2})
    Image.new("P", (8, 8)).save(root / "train" / "blue" / "not-found.gif")
    (root / "train" / "red" / "text.jpg").write_text("no photo")
    whole = write_photo(root / "val" / "red" / "cut.jpg", (1, 2, 3), size=(200, 200)).read_bytes()
    (root / "val" / "red" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return photos.clean_copy(root, tmp_path / "data")


def test_clean_copy_leaves_out_what_some_side_cannot_read(data):
    pairs, classes = photos.listed(data / "train")
    assert classes == ["blue", "red"]
    assert [(path.name, index) for path, index in pairs] == [
        (f"{name}-{number}.jpg", index) for index, name in enumerate(classes) for number in range(4)
    ]
    assert all(path.is_symlink() and path.resolve().is_file() for path, _ in pairs)
    assert len(photos.listed(data / "val")[0]) == 4


def test_clean_copy_needs_both_parts(tmp_path):
    (tmp_path / "raw" / "train").mkdir(parents=True)
    with pytest.raises(SystemExit, match="no folder .*val"):
        photos.clean_copy(tmp_path / "raw", tmp_path / "data")


def test_one_folder_repeats_photos_where_they_are_too_few(data, tmp_path):
    truth = photos.one_folder(data, 15, tmp_path / "all")  # there are 12, the 4 validation photos first
    assert sorted(truth) == sorted(path.name for path in (tmp_path / "all").iterdir()) and len(truth) == 15
    assert list(truth.values())[:6] == ["blue", "blue", "red", "red", "blue", "blue"]
    first, thirteenth = ((tmp_path / "all" / f"{number:06d}.jpg").read_bytes() for number in (0, 12))
    assert first == thirteenth
    assert all(truth[path.name] in path.resolve().name for path in (tmp_path / "all").iterdir())


def test_varied_photos_are_all_different(data, tmp_path):
    folder = photos.varied(data, 20, tmp_path / "many", (40, 30))
    train, val = (photos.listed(folder / part)[0] for part in photos.PARTS)
    assert (len(train), len(val)) == (16, 4)
    contents = {path.read_bytes() for path, _ in [*train, *val]}
    pixels = {Image.open(path).tobytes() for path, _ in [*train, *val]}
    assert len(contents) == len(pixels) == 20
    assert {Image.open(path).size for path, _ in train} == {(40, 30)}
    assert {index for _, index in train} == {index for _, index in val} == {0, 1}


def test_few_varied_photos_are_of_all_classes(data, tmp_path):
    folder = photos.varied(data, 5, tmp_path / "few", (40, 30))
    assert {index for _, index in photos.listed(folder / "train")[0]} == {0, 1}


def test_crops_stay_in_the_photo_and_in_their_limits():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        left, upper, right, lower = photos.crop_box((500, 375), rng)
        assert 0 <= left < right <= 500 and 0 <= upper < lower <= 375
        shares.append((right - left) * (lower - upper) / (500 * 375))
        assert 0.74 < (right - left) / (lower - upper) < 1.35
    assert 0.07 < min(shares) < 0.12 and 0.8 < max(shares) <= 1
    assert photos.crop_box((1000, 20), rng, area=(0.9, 1.0)) == (490, 0, 510, 20)  # nothing fits: the middle


def test_views_by_hand(tmp_path):
    """512 x 256, left half red, right half blue: the middle 224 columns have as many of each."""
    image = Image.new("RGB", (512, 256), (255, 0, 0))
    image.paste((0, 0, 255), (256, 0, 512, 256))
    image.save(tmp_path / "halves.png")
    view = photos.eval_view(tmp_path / "halves.png")
    assert view.shape == (3, 224, 224) and view.dtype == np.float32
    red, blue = (
        ((1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225),
        (-0.485 / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225),
    )
    assert view[:, :, :112] == pytest.approx(np.broadcast_to(np.array(red)[:, None, None], (3, 224, 112)), abs=1e-5)
    assert view[:, :, 112:] == pytest.approx(np.broadcast_to(np.array(blue)[:, None, None], (3, 224, 112)), abs=1e-5)
    views = [photos.train_view(tmp_path / "halves.png", np.random.default_rng(seed)) for seed in range(20)]
    assert all(view.shape == (3, 224, 224) for view in views)
    both = [view for view in views if abs(view[0, 0, 0] - view[0, 0, -1]) > 1]
    assert {view[0, 0, 0] > view[0, 0, -1] for view in both} == {True, False}  # mirrored, and not


def test_batches_are_spread_over_the_classes(data):
    batch = photos.eval_batch(data / "train", 4)
    assert batch.shape == (4, 3, 224, 224)
    assert (batch[:2, 2].mean((1, 2)) > batch[:2, 0].mean((1, 2))).all()  # blue
    assert (batch[2:, 2].mean((1, 2)) < batch[2:, 0].mean((1, 2))).all()  # red


FIRST_RUN, SECOND_RUN = (fixed.FIRST, "1", "fp32"), (fixed.SECOND, "3", "bf16")
RUNS = {
    FIRST_RUN: [done(30, 900), done(25, 1000)],
    SECOND_RUN: [done(6, 500), done(7, 400)],
    fixed.TORCH: [done(110, 700, accuracy=0.94), done(100, 800, accuracy=0.96)],
}


def test_fixed_takes_the_quickest_run_and_the_largest_memory():
    accuracies = {FIRST_RUN: [[0.5, 0.95], [0.93, 0.6]], SECOND_RUN: [[0.9], [0.9]]}
    options = argparse.Namespace(model="resnet50", epochs=5)
    rows = {row.what.partition(": ")[2]: row for row in fixed.compare(options, RUNS, accuracies)}
    first = rows["mstl, first run, 1 view, fp32 / PyTorch"]
    assert (first.ours, first.theirs, first.ratio, first.target, first.met) == (25, 100, 0.25, "ratio <= 0.13", False)
    second = rows["mstl, second run, 3 views, bf16 / PyTorch"]
    assert (second.ratio, second.target, second.met) == (0.06, "ratio <= 0.025", False)
    memory = rows["mstl, first run, 1 view, fp32, peak memory"]
    assert (memory.ours, memory.target, memory.met) == (1000, "<= 1200 MB", True)
    best = rows["mstl, first run, 1 view, fp32 / PyTorch, best accuracy"]
    assert best.ours == pytest.approx(0.94) and best.theirs == pytest.approx(0.95) and best.met
    assert not rows["mstl, second run, 3 views, bf16 / PyTorch, best accuracy"].met


def test_targets_are_for_their_own_setting():
    accuracies = {FIRST_RUN: [[0.9]], SECOND_RUN: [[0.9]]}
    options = argparse.Namespace(model="resnet18", epochs=5)
    rows = fixed.compare(options, RUNS, accuracies)
    assert {row.target for row in rows} == {"", ">= theirs - 0.01"}


def test_what_the_loop_without_the_cap_would_take(data, monkeypatch):
    """8 and 4 photos, 5 epochs, 4 photos measured of each: 2 s and 1 s a photo, and 7 s around them."""
    monkeypatch.setattr(fixed, "run_tutorial", lambda *_: Done(19, 0, '{"seconds": {"train": 8, "val": 4}}'))
    options = argparse.Namespace(epochs=5)
    seconds = fixed.extrapolated(argparse.Namespace(data=data), [], options)
    assert seconds == pytest.approx(7 + 5 * (8 * 2 + 4 * 1))


def test_predictions_of_both_sides_are_compared():
    truth = {"1.jpg": "ant", "2.jpg": "bee"}
    lines = [{"path": "a/1.jpg", "label": "ant", "probability": 0.9}, {"path": "a/2.jpg", "label": "ant", "top": []}]
    labels = predict.predicted("\n".join(map(json.dumps, lines)) + "\n", truth)
    assert labels == {"1.jpg": "ant", "2.jpg": "ant"}
    assert predict.share(labels, truth) == 0.5
    with pytest.raises(SystemExit, match="1 labels for 2 photos"):
        predict.predicted(json.dumps(lines[0]), truth)


@pytest.mark.parametrize(("counts", "seconds", "met"), [((1000, 10000), 105, True), ((400, 4000), 106, False)])
def test_growth_by_hand(counts, seconds, met, monkeypatch):
    """Ten times the photos may cost 10.5 times as much."""
    runs = {f"{which} run, {count}": [done(10, 500)] for which in ("first", "second") for count in counts}
    runs[f"first run, {counts[1]}"] = [done(seconds, 600)]
    rows = {row.what: row for row in growth.compare(argparse.Namespace(model="m", counts=counts), runs)}
    cost = rows[f"m, first run: {counts[1]:,} / {counts[0]:,} photos"]
    assert cost.ratio == seconds / 10 and cost.target == "ratio <= 10.5" and cost.met is met
    memory = rows[f"m, first run: memory for {counts[1] - counts[0]:,} more photos"]
    assert memory.ours == 100 and memory.met is (True if counts == (400, 4000) else None)


def test_labels_by_hand():
    """The interval is that of the differences between runs of the same seed: here all are 0.1, but the last ones."""
    ordered, random = [[0.8, 0.9, 0.9, 1.0], [0.7, 0.8, 0.9, 1.0]], [[0.7, 0.8, 0.8, 1.0], [0.6, 0.7, 0.8, 0.8]]
    rows = labelling.compare("ants", ordered, random)
    assert rows[0].what == "ants, accuracy with 20 labels (+0.100, 95 % interval +0.100 to +0.100)"
    assert (rows[0].ours, rows[0].theirs) == (pytest.approx(0.75), pytest.approx(0.65))
    assert rows[3].what == "ants, accuracy with 160 labels (+0.100, 95 % interval -1.171 to +1.371)"
    assert rows[4].ours == pytest.approx(0.875) and "all of these" in rows[4].what


def test_labels_are_given_in_the_order_or_at_random(monkeypatch):
    """Of clusters of one class each, the order takes one image each; chance takes some twice."""
    for name, value in {"COUNTS": (8, 16), "START": 4, "ROUND": 4}.items():
        monkeypatch.setattr(labelling, name, value)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 6).astype(np.int32)
    points = (10 * np.eye(8)[labels] + rng.normal(0, 0.1, (48, 8)) + 1).astype(np.float32)
    accuracies = {kind: labelling.accuracies(points, labels, points, labels, kind, 0) for kind in ("ordered", "random")}
    assert accuracies["ordered"][1] == 1.0 and accuracies["ordered"][0] > accuracies["random"][0] < 0.8


def forward_runs(**milliseconds):
    return {side.replace("_", " "): [done(1, ms_of_calls=times, mean=0.5)] for side, times in milliseconds.items()}


def test_frozen_forwards_by_hand():
    """82 GFLOP/s: 100 ms for a ResNet-50. The quickest calls count; the medians stand beside them."""
    runs = forward_runs(mindspore_fp32=[130, 120], onnxruntime_fp32=[108, 99, 100])
    runs |= {extract.BF16: [done(1, ms_of_calls=[60], mean=0.5)], extract.ALONE: [done(1, ms_of_calls=[96], mean=0.4)]}
    rows = {
        row.what.removeprefix("frozen forward, resnet50: "): row
        for row in extract.compare("resnet50", runs, {"gflops": 82})
    }
    fp32, bf16 = rows["onnxruntime fp32 / 8.2 GFLOP at the peak"], rows["openvino bf16 / 8.2 GFLOP at the peak"]
    assert (fp32.ratio, fp32.target, fp32.met) == (0.99, "ratio <= 1", True)
    assert (bf16.ratio, bf16.target, bf16.met) == (0.6, "ratio <= 0.55", False)
    alone = rows["onnxruntime fp32 / ONNX Runtime alone"]
    assert (alone.ours, alone.theirs, alone.target, alone.met) == (99, 96, "ratio <= 1.05", True)
    assert rows["onnxruntime fp32 / ONNX Runtime alone, medians"].ours == 100
    assert rows["mindspore fp32 / ONNX Runtime alone"].target == ""
    assert rows["mean of the features: ONNX Runtime alone / mindspore fp32"].ratio == 0.8
    assert not any("PyTorch" in what for what in rows)


def test_a_linear_classifier_by_hand():
    """The quickest run without its own head's time is not the quickest run."""
    runs = {
        linear.FIRST: [done(25, 900), done(26, 800)],
        linear.SECOND: [done(8), done(9)],
        linear.LINES: [done(20, 500), done(21)],
    }
    heads = {
        linear.FIRST: [
            {"head_seconds": 2, "accuracy": 0.99, "engine": "e fp32"},
            {"head_seconds": 5, "accuracy": 0.97, "engine": "e fp32"},
        ],
        linear.SECOND: [{"head_seconds": 1, "accuracy": 0.9, "engine": "e fp32"}] * 2,
        linear.LINES: [{"head_seconds": 1, "accuracy": 0.98}] * 2,
    }
    rows = {row.what.partition(": ")[2]: row for row in linear.compare(2400, runs, heads)}
    first = rows["mstl, first run (e fp32) / thirty lines"]
    assert (first.ours, first.theirs, first.target, first.met) == (25, 20, "ratio <= 1.25", True)
    without = rows["mstl, first run (e fp32) / thirty lines, without the head's training"]
    assert (without.ours, without.theirs, without.target, without.met) == (21, 19, "ratio <= 1.1", False)
    accuracy = rows["mstl, first run (e fp32) / thirty lines, accuracy"]
    assert (accuracy.ours, accuracy.theirs, accuracy.met) == (pytest.approx(0.98), 0.98, True)
    assert rows["mstl, second run (e fp32) / thirty lines"].met is False
    assert not rows["mstl, second run (e fp32) / thirty lines, accuracy"].met
    assert {row.target for row in linear.compare(600, runs, heads)} == {"", ">= theirs - 0.01"}


def test_the_linear_case_on_a_few_photos(data, tmp_path, monkeypatch, capsys):
    """The thirty lines run as they are, on a model that gives each photo's colours; mstl's part is not run here."""
    helper = pytest.importorskip("onnx").helper
    for package in ("onnxruntime", "sklearn"):
        pytest.importorskip(package)
    shape, homes = ["n", 3, 224, 224], []

    def run_own(self, job, *arguments):
        values = [helper.make_tensor_value_info(name, 1, size) for name, size in (("x", shape), ("y", ["n", 3, 1, 1]))]
        node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3])
        model = helper.make_model(
            helper.make_graph([node], "g", values[:1], values[1:]),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
        )
        arguments[-1].write_bytes(model.SerializeToString())

    def mstl_training(setting, data, weights, home, model, **options):
        assert options == {"recipe": "linear", "precision": "auto"} and model == "efficientnet_lite0"
        homes.append((home, len(list(home.iterdir()))))
        (home / "features").touch()
        out = setting.new_folder("run")
        (out / "history.json").write_text(
            json.dumps([{"seconds": 1, "val_accuracy": accuracy} for accuracy in (1, 0.5)])
        )
        (out / "config.json").write_text(json.dumps({"record": {"engine": {"engine": "e", "precision": "fp32"}}}))
        return done(10, 100), out

    monkeypatch.setattr(setting.Setting, "run_own", run_own)
    monkeypatch.setattr(setting.Setting, "weights", lambda self, model: "w.pth")
    monkeypatch.setattr(setting.Setting, "limits", lambda self, _: {"gflops": 1.0, "photos_per_second": 1.0})
    monkeypatch.setattr(setting, "mstl_training", mstl_training)
    options = parse("linear", "--data", data, "--photos", 10, "--repeats", 1, "--out", tmp_path / "linear.json")
    options.run(options)
    found = json.loads((tmp_path / "linear.json").read_text())
    assert [files for _, files in homes] == [0, 1], "the second run finds what the first one has kept"
    lines = found["runs"]["heads"][0]["thirty lines"]
    assert lines[0]["accuracy"] == 1.0 and 0 < lines[0]["head_seconds"] < found["runs"]["thirty lines"][0]["seconds"]
    assert found["rows"][1]["ours"] == 8 and "| linear, 10 photos: mstl, first run (e fp32)" in capsys.readouterr().out


def test_the_thirty_lines_see_what_mstl_sees(tmp_path):
    """Their pixels are those that the weights are made for; mstl's decoder differs by rounding alone."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("sklearn")
    from benchmarks.thirty_lines import pixels
    from mstl.data.loading.pixels import model_input
    from mstl.models.pretrained import LITE0_PREPROCESSING

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    theirs, ours = pixels(tmp_path / "a.png"), model_input(tmp_path / "a.png", LITE0_PREPROCESSING)
    assert theirs.shape == ours.shape and np.abs(theirs - ours).mean() < 0.01
    code = (measure.ROOT / "benchmarks" / "thirty_lines.py").read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip() and '"""' not in line]) <= 30


def test_arithmetic_of_an_image():
    """Two operations for each weight of a convolution or the head, at each place of its output."""
    for model, shapes in ((name, torchvision_shapes(name)) for name in ("resnet18", "resnet50")):
        side = {"conv1": 112, "layer1": 56, "layer2": 28, "layer3": 14, "layer4": 7, "fc": 1}
        flop = 0
        for name, shape in shapes.items():
            if len(shape) > 1:
                place = side[name.partition(".")[0]]
                if model == "resnet50" and re.fullmatch(r"layer[234]\.0\.conv1\.weight", name):
                    place *= 2  # the stride comes after it
                flop += 2 * int(np.prod(shape)) * place**2
        assert extract.GFLOP[model] == pytest.approx(flop / 1e9, rel=0.01)


def test_arithmetic_of_efficientnet_lite0():
    """By the table of its paper: kernel, stride, expansion, channels of each block."""
    blocks = [
        (3, 1, 1, 16),
        (3, 2, 6, 24),
        (3, 1, 6, 24),
        (5, 2, 6, 40),
        (5, 1, 6, 40),
        (3, 2, 6, 80),
        *[(3, 1, 6, 80)] * 2,
    ]
    blocks += [(5, 1, 6, 112)] * 3 + [(5, 2, 6, 192), *[(5, 1, 6, 192)] * 3, (3, 1, 6, 320)]
    side, inputs, products = 112, 32, 3 * 32 * 9 * 112**2
    for kernel, stride, expansion, channels in blocks:
        width = inputs * expansion
        products += inputs * width * side**2 * (expansion > 1)
        side //= stride
        products += width * (kernel**2 + channels) * side**2
        inputs = channels
    products += 320 * 1280 * side**2 + 1280 * 1000
    assert side == 7 and extract.GFLOP["efficientnet_lite0"] == pytest.approx(2 * products / 1e9, rel=0.01)


def torchvision_shapes(model, classes=1000):
    """Names and shapes of torchvision's ResNet-18 and ResNet-50, written down from its published files."""
    shapes = {"conv1.weight": (64, 3, 7, 7)}

    def norm(name, channels):
        shapes.update({f"{name}.{array}": (channels,) for array in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    norm("bn1", 64)
    inputs = 64
    for layer, (width, count) in enumerate(zip((64, 128, 256, 512), MODELS[model], strict=True), 1):
        for block in range(count):
            prefix = f"layer{layer}.{block}"
            if model == "resnet50":
                convs = ((width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1))
            else:
                convs = ((width, inputs, 3, 3), (width, width, 3, 3))
            for number, shape in enumerate(convs, 1):
                shapes[f"{prefix}.conv{number}.weight"] = shape
                norm(f"{prefix}.bn{number}", shape[0])
            if block == 0 and (layer > 1 or model == "resnet50"):
                shapes[f"{prefix}.downsample.0.weight"] = (convs[-1][0], inputs, 1, 1)
                norm(f"{prefix}.downsample.1", convs[-1][0])
            inputs = convs[-1][0]
    return {**shapes, "fc.weight": (classes, inputs), "fc.bias": (classes,)}


MODELS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


@pytest.mark.parametrize("model", MODELS)
def test_the_names_of_the_weights_are_those_that_mstl_reads(model):
    shapes = torchvision_shapes(model)
    assert [body.layout for body in find_bodies(shapes)] == ["torchvision"]
    assert key_mapping.recognise(key_mapping.from_torchvision(shapes)) == model


@pytest.mark.parametrize("model", MODELS)
def test_torch_net_has_torchvisions_names(model):
    pytest.importorskip("torch")
    from benchmarks.torch_net import ResNet

    state = ResNet(model).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == torchvision_shapes(model)


@pytest.mark.parametrize("model", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_torch_and_mstl_give_the_same_logits(model, data, tmp_path):
    torch = pytest.importorskip("torch")
    import mindspore as ms

    from benchmarks import torch_side
    from mstl import build_model

    path = tmp_path / "weights.pth"
    torch_side.make_weights(argparse.Namespace(model=model, data=data, out=path))
    images = photos.eval_batch(data / "train", 2)
    theirs = torch_side.pretrained(argparse.Namespace(model=model, weights=path)).eval()
    ours = build_model(model, weights=path)
    ours.set_train(False)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(images)).numpy()
    assert np.abs(expected).max() > 0.1
    assert ours(ms.Tensor(images)).asnumpy() == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


def test_the_tutorials_net_is_mstls_with_the_same_padding():
    import mindspore as ms

    from benchmarks.tutorial_side import ResNet
    from mstl import build_model

    theirs, ours = ResNet("resnet18", 10), build_model("resnet18", 10, padding="same")
    values = {parameter.name: parameter for parameter in ours.get_parameters()}
    assert ms.load_param_into_net(theirs, values) == ([], [])
    assert {parameter.name for parameter in theirs.get_parameters()} == values.keys()
    image = ms.Tensor(np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32))
    for net in (ours, theirs):
        net.set_train(False)
    expected = ours(image).asnumpy()
    assert theirs(image).asnumpy() == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


def test_the_tutorials_resnet50_has_the_names_of_its_checkpoint():
    from benchmarks.tutorial_side import ResNet
    from tests.golden import foreign

    names = {parameter.name: tuple(parameter.shape) for parameter in ResNet("resnet50").get_parameters()}
    golden = foreign.load("tutorial-resnet50")[0]
    assert {name: shape for name, shape in names.items() if not name.startswith("fc.")} == {
        name: tuple(shape) for name, shape in golden.items() if not name.startswith("fc.")
    }


def test_a_step_of_mstl_trains_the_whole_net(data):
    from benchmarks.mstl_side import CLASSES, training_step
    from mstl import build_model

    net = build_model("resnet18", CLASSES)
    before = net.conv1.weight.asnumpy().copy()
    step = training_step(net, photos.eval_batch(data / "train", 2), np.arange(2, dtype=np.int32), "pynative")
    losses = [float(step().asnumpy()) for _ in range(2)]
    assert losses[1] < losses[0] and 3 < losses[0] < 12
    assert (net.conv1.weight.asnumpy() != before).any()


@pytest.mark.parametrize("engine", ["mindspore", "onnxruntime"])
def test_the_frozen_forward_gives_the_pooled_features(engine, data, tmp_path, monkeypatch):
    """By each engine; and so does its graph in ONNX Runtime alone."""
    import mindspore as ms

    from benchmarks import mstl_side
    from mstl import build_model

    if engine == "onnxruntime":
        pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    net = build_model("resnet18", 2)
    images = photos.eval_batch(data / "train", 3)
    net.set_train(False)
    expected = net.forward_features(ms.Tensor(images)).asnumpy().mean((2, 3))
    forward = mstl_side.frozen_forward(net, engine, "fp32")
    allowed = 1e-3 * np.abs(expected).max()
    assert forward(images).reshape(3, -1) == pytest.approx(expected, abs=allowed)
    assert forward.engines.choice.engine == engine
    if engine == "onnxruntime":
        monkeypatch.setattr(mstl_side, "build", lambda options: net)
        mstl_side.graph(argparse.Namespace(out=tmp_path / "graph.onnx"))
        session = onnxruntime.InferenceSession(tmp_path / "graph.onnx")
        (alone,) = session.run(None, {session.get_inputs()[0].name: images})
        assert alone.reshape(3, -1) == pytest.approx(expected, abs=allowed)


def test_mindspore_is_the_first_engine():
    from benchmarks.mstl_side import engines

    assert engines(None)[0] == ("mindspore", "fp32")
