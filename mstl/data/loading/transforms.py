"""Transforms: what happens to an image between the file and the model.

A part of the image is resized by Pillow, in one way for everything. Augmentation then goes on with MindSpore's
operations, on these pixels.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import mindspore.dataset.transforms as transforms
import mindspore.dataset.vision as vision
import numpy as np
from mindspore.dataset.transforms.transforms import TensorOperation
from numpy.typing import NDArray

from mstl.config import AUGMENTS
from mstl.data.loading.pixels import Source, scaled_mean_std, window_pixels
from mstl.data.loading.windows import ChooseWindow, center, random_crop, whole
from mstl.errors import MstlError
from mstl.preprocessing import Preprocessing

# Of what happens to an image on its way to the model: the feature cache depends on it. Raise it with every change to
# this file, pixels.py, windows.py, decode.py or views.py that changes a pixel; then
# tests/data/make_golden_transforms.py renews the test.
TRANSFORMS_VERSION = 2

AREA = (0.08, 1.0)  # of the image, in a random crop; with RATIO, Szegedy et al. 2014 and the tutorial
RATIO = (0.75, 1.333)


@dataclass(frozen=True)
class Transforms:
    """What happens to an image between the file and the model.

    Attributes:
        preprocessing: What the model expects.
        window: Chooses at random the part of an image that is resized.
        operations: MindSpore's, on the (H, W, 3) uint8 pixels of that part, with random numbers of their own; the last
            ones normalize. Empty where nothing is random: then the image is seen as in evaluation.
    """

    preprocessing: Preprocessing
    window: ChooseWindow
    operations: tuple[TensorOperation, ...]

    def pixels(self, source: Source, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The resized part of an image, which the operations then change: (H, W, 3).

        Raises:
            mstl.data.opening.UnreadableImage: The image cannot be used.
        """
        return window_pixels(source, self.window, self.preprocessing, rng)


Augmentation: TypeAlias = Callable[[Preprocessing], Transforms]


def train_transforms(preprocessing: Preprocessing, augment: str | None = "tutorial") -> Transforms:
    """What happens to a training image.

    Args:
        preprocessing: What the model expects.
        augment: One of :data:`mstl.config.AUGMENTS`.

    Raises:
        MstlError: No augmentation of that name.
    """
    if augment is None or augment not in AUGMENTATIONS:
        raise MstlError(f"unknown augment {augment!r}: choose one of {', '.join(AUGMENTS)}")
    return AUGMENTATIONS[augment](preprocessing)


def eval_transforms(preprocessing: Preprocessing) -> Transforms:
    """Nothing random: what happens to an image in validation, evaluation and prediction."""
    return Transforms(preprocessing, center(preprocessing), ())


def cropped_for(preprocessing: Preprocessing, augment: str | None) -> Preprocessing:
    """The preprocessing of a model that is trained with an augmentation: only food's sees whole images."""
    return dataclasses.replace(preprocessing, crop="whole" if augment == "food" else "center")


def tutorial(preprocessing: Preprocessing) -> Transforms:
    """MindSpore's tutorial: a random crop of random size and aspect ratio, flipped horizontally half of the time."""
    return augmented_crop(preprocessing, AREA, vision.RandomHorizontalFlip(0.5))


def food(preprocessing: Preprocessing) -> Transforms:
    """For objects without an upright: a square of 300 pixels, rotated, cropped to 224, flipped, sometimes grey.

    At another image size, the square is larger in proportion.
    """
    size = preprocessing.image_size
    operations = (
        vision.RandomRotation(45),
        vision.CenterCrop(size),
        vision.RandomHorizontalFlip(0.5),
        vision.RandomVerticalFlip(0.5),
        transforms.RandomApply([vision.RandomColorAdjust(saturation=(0, 0))], 0.1),  # RandomGrayscale, but in C++
    )
    return Transforms(preprocessing, whole(round(size * 300 / 224)), (*operations, *normalize(preprocessing)))


def light(preprocessing: Preprocessing) -> Transforms:
    """For few images, or fine differences: the crop keeps at least half of the image, colours change a little."""
    colors = vision.RandomColorAdjust(brightness=0.1, contrast=0.1, saturation=0.1)
    return augmented_crop(preprocessing, (0.5, 1.0), vision.RandomHorizontalFlip(0.5), colors)


def strong(preprocessing: Preprocessing) -> Transforms:
    """For long training: RandAugment (Cubuk et al. 2020), colours, and random erasing (Zhong et al. 2020)."""
    size = preprocessing.image_size
    erase = transforms.RandomChoice([vision.CutOut(size // part, is_hwc=False) for part in (6, 4, 3, 2)])
    most = augmented_crop(
        preprocessing,
        AREA,
        vision.RandomHorizontalFlip(0.5),
        transforms.RandomChoice(rand_augment()),
        transforms.RandomChoice(rand_augment()),
        vision.RandomColorAdjust(brightness=0.3, contrast=0.3, saturation=0.3),
    )
    # After normalizing, so that 0 is the mean colour
    return Transforms(preprocessing, most.window, (*most.operations, transforms.RandomApply([erase], 0.25)))


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


def augmented_crop(preprocessing: Preprocessing, area: tuple[float, float], *operations: TensorOperation) -> Transforms:
    """A random crop that covers so much of the image, then these operations."""
    crop = random_crop(preprocessing.image_size, area, RATIO)
    return Transforms(preprocessing, crop, (*operations, *normalize(preprocessing)))


def normalize(preprocessing: Preprocessing) -> list[TensorOperation]:
    """From (H, W, C) values of 0 to 255 to what the model expects, (C, H, W)."""
    mean, std = scaled_mean_std(preprocessing)
    return [vision.Normalize(mean=mean, std=std), vision.HWC2CHW()]


AUGMENTATIONS: dict[str, Augmentation] = {  # of every name in mstl.config.AUGMENTS
    "tutorial": tutorial,
    "food": food,
    "light": light,
    "strong": strong,
    "none": eval_transforms,
}
