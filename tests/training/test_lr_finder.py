"""The search for a learning rate."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mstl.commands import lr_find_command as command
from mstl.training.lr_finder import steepest


def test_steepest_against_a_curve_known_by_hand():
    """A loss that falls along a logistic step around 1e-3 and breaks away at 1 falls most steeply at 1e-3."""
    rates = np.logspace(-6, 1, 71)
    losses = 1 - 1 / (1 + np.exp(-3 * (np.log10(rates) + 3))) + (rates > 0.9) * 5
    assert steepest(rates, losses) == pytest.approx(1e-3, rel=0.01)


def test_a_loss_that_never_falls_gives_the_lowest_rate():
    assert steepest([1e-6, 1e-5, 1e-4], [1.0, 2.0, 3.0]) == 1e-6


@pytest.mark.usefixtures("narrow_model")
def test_command(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--data",
        str(photos),
        "--model",
        "resnet18",
        "--weights",
        "none",
        "--image-size",
        "32",
        "--steps",
        "40",
    ]
    done = CliRunner().invoke(
        command.main, [*arguments, "--freeze", "none", "--augment", "none", "-b", "12", "--picture", "out/curve.png"]
    )
    assert done.exit_code == 0, done.output
    suggestion = float(done.stdout.split("--lr ")[1].split(")")[0])
    assert 1e-6 < suggestion < 1
    with Image.open(tmp_path / "out" / "curve.png") as image:
        assert image.width > 400
    assert not (tmp_path / "checkpoints").exists()  # nothing is kept of the net
