"""``mstl visualize``: each kind of picture, of the photos that it should be of."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import mstl
from mstl.commands import report_command, visualize_command
from mstl.report import plots
from mstl.report.run_report import load_run_report
from tests.checkpoints import write_checkpoint
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos, one of them with a wrong label, a checkpoint and a history."""
    root = tmp_path_factory.mktemp("visualize")
    write_folder(root / "photos", {"train": 8, "val": 4}, CLASSES)
    write_photo(root / "photos" / "val" / "green" / "wrong.jpg", COLORS["red"], 7000)
    write_checkpoint(root / "run" / "best.ckpt", root / "photos")
    rows = [
        {"epoch": n, "train_loss": 1 / n, "val_loss": 2 / n, "val_accuracy": 1 - 0.5 / n, "seconds": 1} for n in (1, 2)
    ]
    (root / "run" / "history.json").write_text(json.dumps(rows))
    return root


@pytest.fixture(scope="module")
def predictor(made):
    return mstl.Predictor(made / "run" / "best.ckpt")


@pytest.fixture
def drawn(monkeypatch):
    """What the plots were asked for: name, arguments."""
    calls = []
    for name in ("prediction_grid", "worst_grid", "confusion", "course", "heat_grid", "feature_map"):
        real = getattr(plots, name)
        monkeypatch.setattr(
            plots, name, lambda *args, name=name, real=real: (calls.append((name, args)), real(*args))[1]
        )
    return calls


@pytest.fixture
def run(made, predictor, monkeypatch):
    """Run the command in this process, with a net that is compiled once."""
    monkeypatch.setattr("mstl.predictor.Predictor", lambda checkpoint, *how: predictor)
    return lambda *arguments: CliRunner().invoke(
        visualize_command.main, [str(made / "run" / "best.ckpt"), *map(str, arguments)]
    )


@pytest.mark.parametrize(
    ("kind", "plot", "file"),
    [
        ("grid", "prediction_grid", "predictions.png"),
        ("worst", "worst_grid", "worst.png"),
        ("confusion", "confusion", "confusion.png"),
        ("curves", "course", "curves.png"),
        ("gradcam", "heat_grid", "gradcam.png"),
        ("features", "feature_map", "features.png"),
    ],
)
def test_kinds(made, run, drawn, kind, plot, file):
    done = run("--kind", kind)
    assert done.exit_code == 0, done.output
    assert [name for name, _ in drawn] == [plot]
    with Image.open(made / "run" / file) as image:
        assert image.format == "PNG" and image.width > 300
    said = "2 epochs" if kind == "curves" else "12 of 13 right (0.923)"
    assert done.stdout == f"{said}; picture in {made / 'run' / file}\n"


def test_a_line_of_help_for_each_kind():
    text = CliRunner().invoke(visualize_command.main, ["--help"]).stdout
    kinds = next(option for option in visualize_command.main.params if option.name == "kind").type.choices
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    assert all(sum(words[0] == kind and len(words) == 2 for words in lines) == 1 for kind in kinds)


def test_number_seed_out_and_data(made, run, drawn, tmp_path):
    for number in range(3):
        write_photo(tmp_path / "test" / "red" / f"{number}.jpg", COLORS["red"], 400 + number)
    out = tmp_path / "new" / "a.png"
    done = run("--n", "2", "--seed", "5", "--data", tmp_path / "test", "--out", out)
    assert done.exit_code == 0 and "3 of 3 right (1.000)" in done.stdout and out.exists()
    evaluation, count, seed = drawn[0][1]
    assert (evaluation.total, count, seed) == (3, 2, 5)
    run("--n", "1", "--kind", "worst", "--out", out)
    evaluation, count = drawn[1][1]
    assert count == 1 and evaluation.paths[evaluation.worst(1)[0]].endswith("green/wrong.jpg")


def test_gradcam_begins_with_what_is_wrong(run, predictor, drawn, tmp_path):
    """Photos as the net sees them, with the heat of the predicted class."""
    run("--kind", "gradcam", "--n", "10", "--out", tmp_path / "a.png")
    photos, heat_maps, titles = drawn[0][1]
    assert photos.shape == (10, 32, 32, 3) and photos.dtype == np.uint8 and heat_maps.shape == (10, 32, 32)
    assert titles[0].startswith("\N{BALLOT X} red ") and titles[0].endswith("% (is green)")
    assert not any("\N{BALLOT X}" in title or "(is" in title for title in titles[1:])
    for picture, title in zip(photos, titles, strict=True):
        name = title.removeprefix("\N{BALLOT X} ").split()[0]
        assert np.abs(picture.mean(axis=(0, 1)) - COLORS[name]).max() < 12  # the picture is of what was predicted
    other = drawn[:]
    run("--kind", "gradcam", "--n", "10", "--seed", "3", "--out", tmp_path / "a.png")
    assert titles[0] == drawn[-1][1][2][0] and not np.array_equal(other[0][1][0], drawn[-1][1][0])


def test_a_map_of_some_of_many_photos(run, drawn, monkeypatch, tmp_path):
    monkeypatch.setattr(visualize_command, "MAPPED", 11)
    done = run("--kind", "features", "--out", tmp_path / "a.png")
    points, evaluation, method = drawn[0][1]
    assert points.shape == (11, 2) and evaluation.total == 11 and method in ("pca", "tsne")
    assert len(set(evaluation.paths)) == 11 and "of 11 right" in done.stdout


def test_curves_need_a_history(made, tmp_path):
    def run(checkpoint):
        return CliRunner().invoke(visualize_command.main, [str(checkpoint), "--kind", "curves"])

    done = run(tmp_path / "best.ckpt")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"mstl: error: no history.json beside {tmp_path / 'best.ckpt'}: give a checkpoint")
    for text in ("[{", "[]", '{"a": 1}', "[1]"):
        (tmp_path / "history.json").write_text(text)
        done = run(tmp_path / "best.ckpt")
        assert done.exit_code == 1 and "history.json is damaged" in done.stderr, (text, done.output)
    assert not (tmp_path / "curves.png").exists()


def test_a_window_is_opened_where_it_is_wanted(run, monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(visualize_command, "open_window", shown.append)
    out = tmp_path / "a.png"
    run("--kind", "confusion", "--out", out)
    run("--kind", "confusion", "--out", out, "--no-show")
    assert shown == []  # nobody sits before a test
    run("--kind", "confusion", "--out", out, "--show")
    assert shown == [out]


def test_a_run_without_a_page_gets_one(made, predictor, monkeypatch):
    """Also one that went on since: it is evaluated on what it was validated on, and looked into."""
    monkeypatch.setattr("mstl.predictor.Predictor", lambda checkpoint, *how: predictor)
    for rows in (2, 3):
        history = json.loads((made / "run" / "history.json").read_text())[:1] * rows
        (made / "run" / "history.json").write_text(json.dumps(history))
        done = CliRunner().invoke(report_command.main, [str(made / "run")])
        assert done.exit_code == 0, done.output
        kept = load_run_report(made / "run")
        assert len(kept.history) == rows
        assert (kept.train_count, kept.evaluation.total) == (24, 13)
        assert kept.worst.indices == tuple(predictor.evaluate().worst(12))
        assert kept.worst.heat_maps.shape == (12, 32, 32) and kept.worst.heat_maps.max() == 1
        assert "13" in (made / "run" / "report.html").read_text(encoding="utf-8")
