"""What TrainConfig accepts: each value of its annotated type, and in its range."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from mstl import MstlError
from mstl.config import TrainConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be from 0 to 4294967295, not -1"),
        ({"seed": 2**32}, "seed must be from 0 to 4294967295, not 4294967296"),
        ({"epochs": 2.5}, "epochs must be an integer, not 2.5"),
        ({"epochs": 2.0}, "epochs must be an integer, not 2.0"),
        ({"epochs": "3"}, "epochs must be an integer, not '3'"),
        ({"epochs": True}, "epochs must be an integer, not True"),
        ({"seed": None}, "seed must be an integer, not None"),
        ({"workers": -1}, "workers must be 0 or more, not -1"),
        ({"strict": "no"}, "strict must be True or False, not 'no'"),
        ({"report": 1}, "report must be True or False, not 1"),
        ({"cache": None}, "cache must be True or False, not None"),
        ({"lr": "0.1"}, "lr must be a number, not '0.1'"),
        ({"lr": True}, "lr must be a number, not True"),
        ({"lr": math.nan}, "lr must be a finite number, not nan"),
        ({"weight_decay": math.inf}, "weight_decay must be a finite number, not inf"),
        ({"clip": 10**400}, "clip must be a finite number, not inf"),
        ({"mixup": np.float32("nan")}, "mixup must be a finite number, not nan"),
        ({"momentum": [0.9]}, r"momentum must be a number, not \[0.9\]"),
        ({"model": 18}, "model must be text, not 18"),
        ({"data": ""}, "--data is empty: is a shell variable unset?"),
        ({"out": "  "}, "--out is empty: is a shell variable unset?"),
        ({"data": b"pets"}, "data must be text, not b'pets'"),
        ({"freeze": 3}, "unknown freeze 3: choose one of backbone, none"),
        ({"freeze": []}, r"unknown freeze \[\]: choose one of backbone, none"),
        ({"optimizer": "Adam"}, "unknown optimizer 'Adam': choose one of momentum"),
    ],
)
def test_a_value_of_another_type_is_refused_in_one_line(options, message):
    with pytest.raises(MstlError, match=f"^{message}"):
        TrainConfig(**options)


def test_numbers_of_numpy_and_paths_are_taken():
    config = TrainConfig(
        epochs=np.int64(3), seed=np.uint8(7), lr=np.float32(0.5), mixup=1, strict=np.bool_(True), data=Path("pets")
    )
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert (config.epochs, config.seed, config.lr, config.mixup, config.data) == (3, 7, 0.5, 1.0, "pets")
    assert config.strict is True and type(config.epochs) is int and type(config.lr) is float


def test_the_defaults_are_taken_again():
    assert TrainConfig(**TrainConfig().to_dict()) == TrainConfig()
