"""Named sets of settings, and the rule that chooses one from the size of the data.

A setting comes from the user, else from the recipe, else from ``BASE``.
"""

import dataclasses
import math

from mstl.models.pretrained import find_entry, local_path

BASE = {
    "data": "demo",
    "model": "efficientnet_lite0",
    "weights": "default",
    "epochs": 5,
    "batch_size": 18,
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

# What takes the place of the base's model where its weights, of the extra `offline`, are not on this machine
WITHOUT_EXTRA = {"model": "resnet18", "weights": "mstl"}

# Frozen features bear larger steps than a net whose every layer moves; Adam's steps do not shrink with the gradient.
LR = {
    ("frozen", "gradient"): 0.01,
    ("whole", "gradient"): 0.003,
    ("frozen", "adaptive"): 0.001,
    ("whole", "adaptive"): 0.0001,
}

# MindSpore's tutorial on transfer learning: what its two parts have in common
CANIDAE = {
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
RECIPES = {
    "canidae-fixed": {**CANIDAE, "freeze": "backbone", "momentum": 0.5},
    "canidae-finetune": {**CANIDAE, "freeze": "none", "momentum": 0.9},
    # a PyTorch tutorial on 20 kinds of food
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
    # a linear classifier on frozen features, trained until it has settled
    "linear": {"epochs": 40, "augment": "light", "freeze": "backbone", "lr": 0.03, "schedule": "cosine"},
    # the head first, then everything, the deeper the layer the smaller its steps (after fastai's fine_tune)
    "finetune": {
        "epochs": 8,
        "freeze": "backbone",
        "unfreeze_at": 3,
        "lr": 0.01,
        "schedule": "cosine",
        "layer_decay": 0.5,
        "weight_decay": 1e-4,
        "augment": "light",
    },
}
FEW, MANY = 2_000, 20_000  # photos


def auto(images, classes):
    """Choose settings from the size of the data, after BiT's HyperRule and fastai's fine_tune.

    Args:
        images: Training photos.
        classes: Classes.

    Returns:
        A dict of settings, and a sentence that says why.
    """
    if images < FEW:
        # features are kept, so that an epoch takes less than a second: 20 gain 0.01 to 0.1 over 5 (demo, ants and bees)
        epochs = min(100, max(20, math.ceil(4000 / images)))
        settings = {"epochs": epochs, "freeze": "backbone", "schedule": "cosine", "augment": "tutorial"}
        why = f"{images} photos of {classes} classes are few: the head alone is trained"
        return settings, why
    settings = {**RECIPES["finetune"], "batch_size": 32, "epochs": 8 if images < MANY else 6, "unfreeze_at": 2}
    why = f"{images} photos of {classes} classes: the head is trained for one epoch, then everything"
    if images >= MANY:
        settings["mixup"] = 0.2
        why += ", with mixup"
    return settings, why


def resolve(config, images, classes):
    """Fill in every setting that the user left open.

    Args:
        config: A :class:`mstl.TrainConfig`.
        images: Training photos.
        classes: Classes.

    Returns:
        A TrainConfig without open settings (but those that mean "as the weights say" or "no"), and why.
    """
    if config.recipe == "auto":
        chosen, why = auto(images, classes)
    else:
        chosen, why = RECIPES[config.recipe], "as named"
    given = {key: value for key, value in dataclasses.asdict(config).items() if value is not None}
    settings = {**base(given.get("model") or chosen.get("model")), **chosen}
    settings.update(given)
    if "freeze" in given and "unfreeze_at" not in given and settings["unfreeze_at"]:
        settings["unfreeze_at"] = 0  # who says what to freeze means it for the whole run
        why += f"; but freeze {config.freeze} holds for the whole run"
    if settings.get("lr") is None or ("lr" not in given and {"freeze", "optimizer"} & given.keys()):
        whole = "frozen" if settings["freeze"] == "backbone" and not settings["unfreeze_at"] else "whole"
        adaptive = "adaptive" if settings["optimizer"] in ("adam", "adamw", "lamb") else "gradient"
        settings["lr"] = LR[whole, adaptive]
    if settings["views"] is None:
        settings["views"] = views(images, settings["augment"], settings["epochs"])
    return dataclasses.replace(config, **settings), why


def base(model=None):
    """The settings that neither the user nor the recipe gives.

    Args:
        model: The architecture that they give; if none, it depends on what is installed.
    """
    if model is None and local_path(find_entry(BASE["model"])) is None:
        return {**BASE, **WITHOUT_EXTRA}
    return BASE


def views(images, augment, epochs):
    """How many views of each photo are computed where what is frozen is kept.

    Of the 245 ants and bees, one view costs 0.01 of the accuracy that varied photos in every epoch have, three views
    cost nothing (means of six seeds); more photos vary enough by themselves.
    """
    return min(3, epochs) if images < 1000 and augment != "none" else 1


def first(config, key):
    """A setting that is needed before the data's size is known: the user's, the recipe's, or the base."""
    value = getattr(config, key)
    if value is None:
        value = RECIPES.get(config.recipe, {}).get(key)
    return base()[key] if value is None else value
