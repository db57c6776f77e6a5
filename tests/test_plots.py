"""Pictures: what is on them, read back from the Figure."""

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from mstl.metrics import Evaluation
from mstl.report import plots
from tests.conftest import COLORS, write_photo

HISTORY = [
    {"epoch": 1, "train_loss": 1.0, "val_loss": 0.9, "val_accuracy": 0.5},
    {"epoch": 2, "train_loss": 0.5, "val_loss": 0.6, "val_accuracy": 0.75},
]


def test_curves_draw_the_history():
    figure = plots.curves(HISTORY)
    left, right = figure.axes
    assert list(left.lines[0].get_ydata()) == [1.0, 0.5]
    assert list(left.lines[1].get_ydata()) == [0.9, 0.6]
    assert list(right.lines[0].get_ydata()) == [0.5, 0.75]
    assert left.get_xlabel() == "epoch" and "nats" in left.get_ylabel()
    assert right.get_title() == "Validation accuracy (best 0.750, epoch 2)"


def test_grid_is_blue_where_right_and_red_where_wrong(tmp_path):
    paths = tuple(str(write_photo(tmp_path / f"{n}.jpg", COLORS["red"], n)) for n in range(4))
    logits = np.array([[9, 0], [0, 9], [9, 0], [0, 9]], np.float32)
    evaluation = Evaluation(logits, np.array([0, 0, 1, 1], np.int32), ("dogs", "wolves"), paths)
    figure = plots.prediction_grid(evaluation, count=4)
    shown = {(axes.get_title().split()[0], "(is" in axes.get_title(), axes.title.get_color()) for axes in figure.axes}
    assert shown == {
        ("dogs", False, plots.RIGHT), ("wolves", True, plots.WRONG), ("dogs", True, plots.WRONG),
        ("wolves", False, plots.RIGHT),
    }  # fmt: skip
    blue, red = to_rgb(plots.RIGHT), to_rgb(plots.WRONG)
    assert blue[2] > blue[0] and red[0] > red[2]
    assert "2 of 4" in figure.get_suptitle()
    plots.save(figure, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        assert image.width > 300


def test_fewer_photos_than_asked_for(tmp_path):
    path = str(write_photo(tmp_path / "one.jpg", COLORS["red"]))
    evaluation = Evaluation(np.ones((1, 2), np.float32), np.zeros(1, np.int32), ("a", "b"), (path,))
    assert len(plots.prediction_grid(evaluation, count=12).axes) == 1
