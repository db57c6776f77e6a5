"""The recipe auto: what is trained, by the number of images, the device, and what the user has said already."""

import math
from collections.abc import Mapping
from typing import Any

from mstl.config import FreezeName
from mstl.training.solved_settings import LINEAR, asks_for_steps

Settings = Mapping[str, Any]  # some fields of TrainConfig by name

FEW, MANY = 2_000, 20_000  # training images
# The head first, then all layers, with smaller learning rates towards the input (after fastai's fine_tune)
FINETUNE: Settings = {
    "epochs": 8,
    "freeze": "backbone",
    "unfreeze_at": 3,
    "lr": 0.01,
    "schedule": "cosine",
    "layer_decay": 0.5,
    "weight_decay": 1e-4,
    "augment": "light",
}
DEEP: Settings = {**FINETUNE, "batch_size": 32, "unfreeze_at": 2}
# What a time limit may allow on a CPU, deepest first: the last layer that stays frozen, and the settings
DEPTHS: tuple[tuple[FreezeName, Settings], ...] = (
    ("none", DEEP),
    ("layer2", {**DEEP, "freeze": "layer2", "unfreeze_at": 0, "lr": 0.003}),
    ("layer3", {**DEEP, "freeze": "layer3", "unfreeze_at": 0, "lr": 0.003}),
)


def auto_settings(
    num_images: int, num_classes: int, device: str = "CPU", given: Settings | None = None
) -> tuple[Settings, str]:
    """Choose settings.

    On a CPU, for a cross-validation, and of fewer than 2,000 images anywhere, the head alone is trained: an
    EfficientNet-Lite0 that was fine-tuned for three minutes on two cores was worse in the end (ants and bees 0.941 for
    0.954, 2,000 cats and dogs 0.935 for 0.983), and a head takes seconds. The head is solved for, unless the user asks
    for steps (by ``--epochs``, an optimizer or anything else that solving does not have). Elsewhere the head is trained
    for an epoch, then all layers, after BiT's HyperRule and fastai's fine_tune. Whoever freezes less than the backbone,
    or unfreezes it, gets the recipe ``finetune``.

    What more a long time limit allows is decided in :mod:`mstl.training.planning`, where the costs are known.

    Args:
        num_images: Training images.
        num_classes: Classes.
        device: MindSpore's.
        given: The settings of the user.

    Returns:
        The settings, and a sentence that gives the reason.
    """
    given = given or {}
    images = f"{num_images} images of {num_classes} classes"
    if given.get("optimizer") != "lbfgs" and (
        given.get("freeze") not in (None, "backbone") or given.get("unfreeze_at")
    ):
        return FINETUNE, f"{images}: more than the head is to be trained, as by the recipe finetune"
    if num_images < FEW or device == "CPU" or given.get("folds"):
        reason = f"{images} are few" if num_images < FEW else f"{images}, on a CPU" if device == "CPU" else images
        reason += ": only the head is trained"
        # A number of epochs, even one, is about steps
        asked = [*(["epochs"] if "epochs" in given else []), *asks_for_steps(given)]
        if given.get("optimizer", "lbfgs") == "lbfgs" and (given.get("optimizer") or not asked):
            return LINEAR, reason
        # Kept features make an epoch take less than a second: 20 gain 0.01 to 0.1 over 5 (demo, ants and bees)
        epochs = min(100, max(20, math.ceil(4000 / num_images)))
        return {"epochs": epochs, "freeze": "backbone", "schedule": "cosine", "augment": "tutorial"}, reason
    settings = {**DEEP, "epochs": 8 if num_images < MANY else 6}
    reason = f"{images}: the head is trained for one epoch, then all layers"
    if num_images >= MANY:
        settings["mixup"] = 0.2
        reason += ", with mixup"
    return settings, reason
