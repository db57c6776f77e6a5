"""Transforms: what happens to an image between the file and the model, as lists of MindSpore's operations."""

from collections.abc import Callable
from typing import TypeAlias

import mindspore.dataset.transforms as transforms
import mindspore.dataset.vision as vision
from mindspore.dataset.transforms.transforms import TensorOperation

from mstl.config import AUGMENTS, InterpolationName, Preprocessing
from mstl.errors import MstlError

# Of what happens to an image on its way to the model: the feature cache depends on it. Raise it with every change to
# this file, decode.py or views.py that changes a pixel; tests/data/make_golden_transforms.py then renews the test.
TRANSFORMS_VERSION = 1

Transforms: TypeAlias = Callable[[Preprocessing], list[TensorOperation]]

INTERPOLATION: dict[InterpolationName, vision.Inter] = {
    "bilinear": vision.Inter.LINEAR,
    "bicubic": vision.Inter.BICUBIC,
}
AREA = (0.08, 1.0)  # of the image, in a random crop; with RATIO, Szegedy et al. 2014 and the tutorial
RATIO = (0.75, 1.333)


def train_transforms(preprocessing: Preprocessing, augment: str | None = "tutorial") -> list[TensorOperation]:
    """The operations on a training image.

    Args:
        preprocessing: What the model expects.
        augment: One of :data:`mstl.config.AUGMENTS`.

    Raises:
        MstlError: No augmentation of that name.
    """
    return augmentation(augment)(preprocessing)


def eval_transforms(preprocessing: Preprocessing, augment: str | None = "tutorial") -> list[TensorOperation]:
    """The operations on a validation image, for a model that was trained with ``augment``.

    Raises:
        MstlError: No augmentation of that name.
    """
    augmentation(augment)  # a wrong name is as wrong here
    return (squeezed if augment == "food" else centered)(preprocessing)


def augmentation(name: str | None) -> Transforms:
    """What lists the operations of an augmentation.

    Raises:
        MstlError: No augmentation of that name.
    """
    if name is None or name not in AUGMENTATIONS:
        raise MstlError(f"unknown augment {name!r}: choose one of {', '.join(AUGMENTS)}")
    return AUGMENTATIONS[name]


def tutorial(preprocessing: Preprocessing) -> list[TensorOperation]:
    """MindSpore's tutorial: a random crop of random size and aspect ratio, flipped horizontally half of the time."""
    return [random_crop(preprocessing, AREA), vision.RandomHorizontalFlip(0.5), *normalize(preprocessing)]


def food(preprocessing: Preprocessing) -> list[TensorOperation]:
    """For objects without an upright: a square of 300 pixels, rotated, cropped to 224, flipped, sometimes grey.

    At another image size, the square is larger in proportion.
    """
    size = preprocessing.image_size
    side = round(size * 300 / 224)
    return [
        vision.Decode(),
        vision.Resize((side, side), INTERPOLATION[preprocessing.interpolation]),
        vision.RandomRotation(45),
        vision.CenterCrop(size),
        vision.RandomHorizontalFlip(0.5),
        vision.RandomVerticalFlip(0.5),
        transforms.RandomApply([vision.RandomColorAdjust(saturation=(0, 0))], 0.1),  # RandomGrayscale, but in C++
        *normalize(preprocessing),
    ]


def light(preprocessing: Preprocessing) -> list[TensorOperation]:
    """For few images, or fine differences: the crop keeps at least half of the image, colours change a little."""
    return [
        random_crop(preprocessing, (0.5, 1.0)),
        vision.RandomHorizontalFlip(0.5),
        vision.RandomColorAdjust(brightness=0.1, contrast=0.1, saturation=0.1),
        *normalize(preprocessing),
    ]


def strong(preprocessing: Preprocessing) -> list[TensorOperation]:
    """For long training: RandAugment (Cubuk et al. 2020), colours, and random erasing (Zhong et al. 2020)."""
    size = preprocessing.image_size
    erase = transforms.RandomChoice([vision.CutOut(size // part, is_hwc=False) for part in (6, 4, 3, 2)])
    return [
        random_crop(preprocessing, AREA),
        vision.RandomHorizontalFlip(0.5),
        transforms.RandomChoice(rand_augment()),
        transforms.RandomChoice(rand_augment()),
        vision.RandomColorAdjust(brightness=0.3, contrast=0.3, saturation=0.3),
        *normalize(preprocessing),
        transforms.RandomApply([erase], 0.25),  # after normalising, so that 0 is the mean colour
    ]


def rand_augment() -> list[TensorOperation]:
    """RandAugment's operations, at most about as strong as its magnitude 9 of 31.

    MindSpore 2.10's own ``RandAugment`` (and ``TrivialAugmentWide``) turns every seventh image black: its translation
    counts pixels, while the affine operation below it expects shares of the image.
    """
    return [
        vision.RandomColor((1.0, 1.0)),  # the identity
        vision.RandomAffine(0, shear=(-8, 8, 0, 0)),
        vision.RandomAffine(0, shear=(0, 0, -8, 8)),
        vision.RandomAffine(0, translate=(-0.15, 0.15, 0, 0)),
        vision.RandomAffine(0, translate=(0, 0, -0.15, 0.15)),
        vision.RandomRotation(10),
        vision.RandomColorAdjust(brightness=0.3),
        vision.RandomColorAdjust(saturation=0.3),
        vision.RandomColorAdjust(contrast=0.3),
        vision.RandomSharpness((0.1, 1.9)),
        vision.RandomPosterize((5, 8)),
        vision.RandomSolarize((180, 255)),
        vision.AutoContrast(),
        vision.Equalize(),
    ]


def centered(preprocessing: Preprocessing) -> list[TensorOperation]:
    """The shorter side resized to ``resize`` pixels, then a centre crop."""
    return [
        vision.Decode(),
        vision.Resize(preprocessing.resize, INTERPOLATION[preprocessing.interpolation]),
        vision.CenterCrop(preprocessing.image_size),
        *normalize(preprocessing),
    ]


def squeezed(preprocessing: Preprocessing) -> list[TensorOperation]:
    """The whole image, resized to the model's square input."""
    size = preprocessing.image_size
    return [
        vision.Decode(),
        vision.Resize((size, size), INTERPOLATION[preprocessing.interpolation]),
        *normalize(preprocessing),
    ]


def random_crop(preprocessing: Preprocessing, area: tuple[float, float]) -> TensorOperation:
    """A random crop of random aspect ratio, decoded and resized to the model's square input.

    Args:
        preprocessing: What the model expects.
        area: Smallest and largest share of the image that the crop covers.
    """
    return vision.RandomCropDecodeResize(
        preprocessing.image_size, area, RATIO, interpolation=INTERPOLATION[preprocessing.interpolation]
    )


def normalize(preprocessing: Preprocessing) -> list[TensorOperation]:
    """From (H, W, C) values of 0 to 255 to what the model expects, (C, H, W)."""
    mean = [255 * value for value in preprocessing.mean]
    std = [255 * value for value in preprocessing.std]
    return [vision.Normalize(mean=mean, std=std), vision.HWC2CHW()]


AUGMENTATIONS: dict[str, Transforms] = {  # of every name in mstl.config.AUGMENTS
    "tutorial": tutorial,
    "food": food,
    "light": light,
    "strong": strong,
    "none": centered,
}
