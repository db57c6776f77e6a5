"""Which epoch of a run is best."""

from mstl.evaluation.history import best_row

ROWS = [
    {"epoch": 1, "val_accuracy": 0.8, "val_loss": 0.5},
    {"epoch": 2, "val_accuracy": 0.9, "val_loss": 0.7},
    {"epoch": 3, "val_accuracy": 0.9, "val_loss": 0.6},
    {"epoch": 4, "val_accuracy": 0.9, "val_loss": 0.6},
]


def test_highest_accuracy_then_lowest_loss_then_first():
    assert best_row(ROWS, "accuracy")["epoch"] == 3


def test_lowest_loss():
    assert best_row(ROWS, "loss")["epoch"] == 1


def test_no_epoch_yet():
    assert best_row([], "accuracy") is best_row([], "loss") is None
