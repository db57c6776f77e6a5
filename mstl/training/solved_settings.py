"""The settings of ``--optimizer lbfgs``, which solves for the head instead of taking steps."""

from collections.abc import Mapping
from typing import Any

from mstl.errors import MstlError

# What a head that is solved for has, where None stands for nothing: all other values are about steps, about images that
# change from step to step, or about other layers
SOLVED: Mapping[str, Any] = {
    "epochs": 1,
    "batch_size": None,
    "mixup": 0.0,
    "cutmix": 0.0,
    "sampler": "shuffle",
    "freeze": "backbone",
    "unfreeze_at": 0,
    "cache": True,
    "lr": None,
    "momentum": None,
    "schedule": None,
    "lr_step": None,
    "lr_gamma": None,
    "warmup": None,
    "layer_decay": None,
    "clip": 0.0,
    "accumulate": 1,
    "mode": "auto",
    "amp": "O0",
    "ema": 0.0,
    "patience": 0,
}
# A linear classifier on frozen features: the recipe, and what it is if a setting asks for steps
LINEAR: Mapping[str, Any] = {**SOLVED, "augment": "light", "optimizer": "lbfgs", "weight_decay": None}
LINEAR_IN_STEPS: Mapping[str, Any] = {
    "epochs": 40,
    "augment": "light",
    "freeze": "backbone",
    "lr": 0.03,
    "schedule": "cosine",
}


def linear(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The recipe ``linear``, as the user's settings allow, and the reason."""
    optimizer, asked = given.get("optimizer"), asks_for_steps(given)
    if optimizer == "lbfgs" or (optimizer is None and not asked):
        return LINEAR, "as named"
    return LINEAR_IN_STEPS, "as named" if optimizer else f"as named, in steps: lbfgs has no {' and no '.join(asked)}"


def asks_for_steps(given: Mapping[str, Any]) -> list[str]:
    """The settings of a user that a head that is solved for cannot have, with their values."""
    others = [f"{name} {given[name]!r}" for name, value in SOLVED.items() if name in given and given[name] != value]
    # Without a weight decay, the best weights may be infinite
    return [*others, *(["weight_decay 0"] if given.get("weight_decay") == 0 else [])]


def solve(settings: dict[str, Any], given: Mapping[str, Any]) -> str:
    """Make settings those of a head that is solved for, if that is the optimizer.

    Args:
        settings: All settings; changed.
        given: Those of the user.

    Returns:
        What was changed, as an addition to the reason for the recipe.

    Raises:
        MstlError: The user asks for ``lbfgs`` and for something that it does not have.
    """
    if settings["optimizer"] != "lbfgs":
        return ""
    asked = asks_for_steps(given)
    if asked:
        raise MstlError(
            "optimizer lbfgs solves for the head, on features that are computed once and with some weight decay: "
            f"{asked[0]} does not go with it; leave one of the two out"
        )
    settings.update(SOLVED, weight_decay=given.get("weight_decay"))
    return "; the head is solved for by L-BFGS"
