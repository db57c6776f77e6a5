"""Tests of part names: what people call train, val and test, and what is none of them."""

import pytest

from mstl.data.finding.folders.part_names import part_of, rank

NAMES = {
    "train": "train Train TRAIN training Training trainset training_set Train-Set train_images train_data seg_train "
    "TrainingData train2017 train_256 img_train 01_train trainval train_val data-train 训练集",
    "val": "val Val VALID valid validation Validation_Set valset dev devset dev.data eval Evaluation val2017 "
    "val_images PublicTest 验证集",
    "test": "test Test testing TESTING test_set test-images test1 seg_test testset holdout hold-out held_out "
    "PrivateTest 测试集",
    None: "trains trainer tests valley value device evaluator contest latest tr te cat test_tube bullet_train set data "
    "images 2017 seg_pred _ train_test_split",
}


@pytest.mark.parametrize(("name", "part"), [(name, part) for part, names in NAMES.items() for name in names.split()])
def test_part_of(name, part):
    assert part_of(name) == part


@pytest.mark.parametrize("name", ["training set", "Train  Images", "TRAIN (1)", " train", "train\uff11"])
def test_blanks_and_marks_do_not_matter(name):
    assert part_of(name) == "train"


def test_the_usual_name_comes_first():
    names = ["eval", "validation_set", "Valid", "validation", "val_images", "val"]
    assert sorted(names, key=rank) == ["val", "val_images", "Valid", "validation", "validation_set", "eval"]
