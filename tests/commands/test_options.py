"""No option without an effect: each one changes something that can be seen."""

import dataclasses
from pathlib import Path

import pytest

import mstl
from mstl.config import TrainConfig
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

BASE = {
    "model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "epochs": 2, "workers": 1,
    "augment": "light", "lr": 0.01, "weight_decay": 0.01, "schedule": "constant", "warmup": 0.0,
    "report": False,
}  # fmt: skip

# option: (value, settings that it needs to show itself, on both sides)
CHANGES = {
    "recipe": ("canidae-fixed", {}),
    "model": ("efficientnet_lite0", {}),
    "weights": ("default", {"model": "efficientnet_lite0"}),
    "epochs": (1, {}),
    "batch_size": (3, {}),
    "image_size": (64, {}),
    "augment": ("none", {}),
    "mixup": (0.5, {}),
    "cutmix": (1.0, {}),
    "smoothing": (0.2, {}),
    "class_weights": ("balanced", {}),
    "sampler": ("balanced", {}),
    "freeze": ("layer3", {}),
    "unfreeze_at": (2, {}),
    "views": (1, {}),
    "optimizer": ("adam", {}),
    "lr": (0.02, {}),
    "momentum": (0.5, {}),
    "weight_decay": (0.5, {}),
    "schedule": ("cosine", {}),
    "lr_step": (1, {"schedule": "step"}),
    "lr_gamma": (0.1, {"schedule": "step", "lr_step": 1}),
    "warmup": (1.0, {}),
    "layer_decay": (0.25, {"freeze": "layer3"}),
    "clip": (0.01, {}),
    "accumulate": (2, {}),
    "ema": (0.9, {}),
    "seed": (2, {}),
}
ELSEWHERE = {  # option: the test that shows its effect
    "data": "commands/test_commands.py::test_default_folder",
    "val": "data/test_load_data.py::test_other_validation_data",
    "val_split": "data/test_load_data.py::test_a_folder_of_classes_is_split",
    "path_column": "data/test_lists.py::test_images_in_several_folders_and_a_named_column",
    "label_column": "data/test_lists.py::test_a_named_column_is_used_though_another_is_called_label",
    "group_column": "data/test_list_groups.py::test_a_group_is_not_divided_by_the_split",
    "folds": "report/test_cross_validated_run.py::test_all_images_are_held_out_once_and_copies_together",
    "images": "data/test_lists.py::test_images_elsewhere",
    "strict": "data/test_checks.py::test_unusable_files",
    "cache": "features/test_extractor.py::test_training_is_the_same_with_and_without",
    "mode": "training/test_train_step.py::test_mode_is_chosen",
    "amp": "commands/test_options.py::test_mixed_precision_is_refused_where_the_device_has_none",
    "best": "commands/test_options.py::test_best_by_loss_or_accuracy",
    "patience": "training/test_resume.py::test_early_stopping",
    "workers": "runtime/test_runtime.py::test_workers_are_clamped_to_the_cores",
    "device": "runtime/test_runtime.py::test_auto_takes_the_first_that_works",
    "engine": "engines/test_engine_of_run.py::test_it_is_recorded_and_features_of_two_are_kept_apart",
    "precision": "engines/test_choice.py::test_what_the_user_wants",
    "time_limit": "training/test_time_limit.py::test_steps_that_are_slower_than_planned",
    "tensorboard": "commands/test_options.py::test_tensorboard",
    "tracker": "commands/test_options.py::test_tensorboard",
    "report": "commands/test_options.py::test_no_report",
    "out": "training/test_training.py::test_a_run_leaves_all_its_files",
}


def test_every_option_is_looked_at():
    assert set(CHANGES) | set(ELSEWHERE) == {item.name for item in dataclasses.fields(TrainConfig)}
    for where in ELSEWHERE.values():
        file, test = where.split("::")
        assert f"def {test}(" in (Path(__file__).parents[1] / file).read_text(encoding="utf-8"), where


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Nine photos of one class and three of the other."""
    root = write_folder(tmp_path_factory.mktemp("uneven") / "photos", {"train": 3, "val": 2})
    for index in range(3, 9):
        write_photo(root / "train" / "red" / f"red-{index}.jpg", COLORS["red"], index)
    return root


@pytest.fixture(scope="module")
def losses(uneven, tmp_path_factory):
    """A function from settings to the losses of a short run, each run done once."""
    done, folder = {}, tmp_path_factory.mktemp("runs")

    def run(**settings):
        key = tuple(sorted({**BASE, **settings}.items()))
        if key not in done:
            state = mstl.fit(data=str(uneven), out=str(folder / "run"), **dict(key))
            done[key] = [(row["lr"], row["train_loss"], row["val_loss"]) for row in state.history]
        return done[key]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_option_changes_the_run(losses, name):
    value, needed = CHANGES[name]
    if name == "recipe":  # most of what a recipe says is overridden by the settings of this test
        needed = {"lr": None, "augment": None}
    assert losses(**needed) != losses(**needed, **{name: value})


@pytest.mark.slow
def test_best_by_loss_or_accuracy(uneven, tmp_path):
    """Two epochs, of which one has the higher accuracy and the other the lower loss."""
    rows = [{"epoch": 1, "val_accuracy": 0.9, "val_loss": 0.5}, {"epoch": 2, "val_accuracy": 0.8, "val_loss": 0.4}]
    state = mstl.fit(data=str(uneven), out=str(tmp_path), **{**BASE, "epochs": 1})
    state.history = rows
    assert state.best["epoch"] == 1
    state.config.best = "loss"
    assert state.best["epoch"] == 2


def test_mixed_precision_is_refused_where_the_device_has_none(uneven, tmp_path):
    with pytest.raises(mstl.MstlError, match="--amp O2 needs Ascend or GPU; on CPU use --amp O0"):
        mstl.fit(data=str(uneven), out=str(tmp_path), **BASE, amp="O2")
    with pytest.raises(mstl.MstlError, match="no LAMB for the CPU"):
        mstl.fit(data=str(uneven), out=str(tmp_path), **BASE, optimizer="lamb")


def test_no_report(uneven, tmp_path):
    for report in (True, False):
        state = mstl.fit(data=str(uneven), out=str(tmp_path / str(report)), **{**BASE, "epochs": 1, "report": report})
        assert (state.folder / "report.html").exists() is report


@pytest.mark.parametrize("setting", [{"tensorboard": True}, {"tracker": "tensorboard"}], ids=str)
def test_tensorboard(uneven, tmp_path, setting):
    pytest.importorskip("tensorboardX")
    mstl.fit(data=str(uneven), out=str(tmp_path / "run"), **{**BASE, "epochs": 1}, **setting)
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"val_accuracy" in events.read_bytes()
