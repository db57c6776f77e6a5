"""Recipes: named settings, and how the user's, the recipe's and the base's come together.

A setting comes from the user, else from the recipe, else from ``BASE``.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, cast

from mstl.config import AugmentName, BestMetric, FreezeName, OptimizerName, RecipeName, ScheduleName, TrainConfig
from mstl.errors import MstlError
from mstl.models.pretrained import find_entry
from mstl.models.weights_files import local_path
from mstl.training.auto import FINETUNE, Settings, auto_settings
from mstl.training.solved_settings import LINEAR, linear, solve

if TYPE_CHECKING:

    class ResolvedConfig(TrainConfig):
        """A TrainConfig as :func:`resolve` gives it: these settings are no longer None."""

        data: str
        model: str
        weights: str
        epochs: int
        batch_size: int
        accumulate: int
        augment: AugmentName
        mixup: float
        cutmix: float
        smoothing: float
        freeze: FreezeName
        unfreeze_at: int
        views: int
        optimizer: OptimizerName
        lr: float
        momentum: float
        weight_decay: float
        schedule: ScheduleName
        lr_step: int
        lr_gamma: float
        warmup: float
        layer_decay: float
        best: BestMetric
        patience: int

else:
    ResolvedConfig = TrainConfig

BASE: Settings = {
    "data": "demo",
    "model": "efficientnet_lite0",
    "weights": "default",
    "epochs": 5,
    "batch_size": 18,
    "accumulate": 1,
    "augment": "tutorial",
    "mixup": 0.0,
    "cutmix": 0.0,
    "smoothing": 0.0,
    "freeze": "backbone",
    "unfreeze_at": 0,
    "views": None,
    "optimizer": "momentum",
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "constant",
    "lr_step": 5,
    "lr_gamma": 0.5,
    "warmup": 0.0,
    "layer_decay": 1.0,
    "best": "accuracy",
    "patience": 0,
}

# Instead of the base's model, if its weights (in the extra `offline`) are not installed
WITHOUT_EXTRA: Settings = {"model": "resnet18", "weights": "mstl"}

# A head on frozen features tolerates larger steps than a whole model; Adam's do not shrink with the gradient.
DEFAULT_LR = {
    ("head", "gradient"): 0.01,
    ("all layers", "gradient"): 0.003,
    ("head", "adaptive"): 0.001,
    ("all layers", "adaptive"): 0.0001,
}
ADAPTIVE: tuple[OptimizerName, ...] = ("adam", "adamw", "lamb")

# What the two parts of MindSpore's tutorial on transfer learning have in common
CANIDAE: Settings = {
    "data": "Canidae",
    "model": "resnet50",
    "weights": "tutorial",
    "epochs": 5,
    "batch_size": 18,
    "image_size": 224,
    "augment": "tutorial",
    "optimizer": "momentum",
    "lr": 0.001,
}
RECIPES: dict[RecipeName, Settings] = {
    "canidae-fixed": {**CANIDAE, "freeze": "backbone", "momentum": 0.5},
    "canidae-finetune": {**CANIDAE, "freeze": "none", "momentum": 0.9},
    # A PyTorch tutorial on 20 kinds of food
    "food": {
        "model": "resnet18",
        "epochs": 80,
        "batch_size": 64,
        "image_size": 224,
        "augment": "food",
        "freeze": "backbone",
        "optimizer": "adam",
        "lr": 0.001,
        "schedule": "step",
        "lr_step": 5,
        "lr_gamma": 0.5,
        "best": "accuracy",
    },
    "linear": LINEAR,
    "finetune": FINETUNE,
}
MOST_VIEWS = 3  # of each image in the feature cache, unless the user wants more


def resolve(config: TrainConfig, num_images: int, num_classes: int, device: str = "CPU") -> tuple[ResolvedConfig, str]:
    """Fill in every setting that the user left open.

    Args:
        config: The user's settings.
        num_images: Training images.
        num_classes: Classes.
        device: MindSpore's, which the recipe ``auto`` goes by.

    Returns:
        The settings, in which None is left only where it means "as the weights say" or "none", and the reason for the
        recipe.

    Raises:
        MstlError: The user unfreezes the model after the last epoch, or settings do not go together.
    """
    given = {key: value for key, value in dataclasses.asdict(config).items() if value is not None}
    is_auto = config.recipe == "auto"
    if is_auto:
        chosen, reason = auto_settings(num_images, num_classes, device, given)
    else:
        chosen, reason = linear(given) if config.recipe == "linear" else (RECIPES[config.recipe], "as named")
    own = {**base_settings(given.get("model") or chosen.get("model")), **chosen}
    settings = {**own, **given}
    changed = {key for key, value in given.items() if key in own and value != own[key]}
    # Whoever says what to freeze means the whole run; but not by repeating a recipe that is named
    says_freeze = "freeze" in changed or (is_auto and "freeze" in given)
    if says_freeze and "unfreeze_at" not in given and ("freeze" in changed or settings["unfreeze_at"]):
        settings["unfreeze_at"] = 0
        reason += f"; but freeze {config.freeze} holds for the whole run"
    reason += solve(settings, given)
    reason += fit_unfreezing(settings, "unfreeze_at" in given)
    takes_steps = settings["optimizer"] != "lbfgs"
    if takes_steps and (settings.get("lr") is None or ("lr" not in given and {"freeze", "optimizer"} & changed)):
        trained = "head" if settings["freeze"] == "backbone" and not settings["unfreeze_at"] else "all layers"
        kind = "adaptive" if settings["optimizer"] in ADAPTIVE else "gradient"
        settings["lr"] = DEFAULT_LR[trained, kind]
    if settings["views"] is None:
        passes = settings["epochs"] if takes_steps else MOST_VIEWS
        settings["views"] = default_views(num_images, settings["augment"], passes)
    return cast(ResolvedConfig, dataclasses.replace(config, **settings)), reason


def fit_unfreezing(settings: dict[str, Any], is_given: bool) -> str:
    """Make a recipe unfreeze the model in the last epoch, if it would only do so later, which means never.

    Args:
        settings: All settings, of which ``unfreeze_at`` may be changed.
        is_given: Whether the user gave that.

    Returns:
        What was changed, as an addition to the reason for the recipe.

    Raises:
        MstlError: The user gave it.
    """
    unfreeze_at, epochs = settings["unfreeze_at"], settings["epochs"]
    if unfreeze_at <= epochs:
        return ""
    if is_given:
        raise MstlError(
            f"unfreeze_at {unfreeze_at} is after the last epoch ({epochs}), so that nothing would be unfrozen: lower "
            "it, raise --epochs, or give --unfreeze-at 0"
        )
    settings["unfreeze_at"] = epochs
    return f"; all layers are trained from epoch {epochs} on rather than {unfreeze_at}, as there are no more epochs"


def base_settings(model: str | None = None) -> Settings:
    """The settings that neither the user nor the recipe gives.

    Args:
        model: The architecture if they give one; else it depends on what is installed.
    """
    if model is None and local_path(find_entry(BASE["model"])) is None:
        return {**BASE, **WITHOUT_EXTRA}
    return BASE


def default_views(num_images: int, augment: AugmentName, epochs: int) -> int:
    """The number of views of each image in the feature cache.

    On the 245 images of ants and bees, a single view costs 0.01 of the accuracy of new augmentations in each epoch,
    three views cost nothing (means of six seeds). Larger datasets vary enough by themselves.
    """
    return min(MOST_VIEWS, epochs) if num_images < 1000 and augment != "none" else 1


def early_setting(config: TrainConfig, key: Literal["data", "model"]) -> str:
    """A setting that is needed before the size of the dataset is known: the user's, the recipe's or the base's."""
    value = getattr(config, key)
    if value is None and config.recipe != "auto":
        value = RECIPES[config.recipe].get(key)
    return str(base_settings()[key] if value is None else value)
