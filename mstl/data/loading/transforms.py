"""What happens to a photo between the file and the net, as lists of MindSpore's operations that one can read."""

import mindspore.dataset.transforms as transforms
import mindspore.dataset.vision as vision

from mstl.errors import MstlError

INTERPOLATION = {"bilinear": vision.Inter.LINEAR, "bicubic": vision.Inter.BICUBIC}
AREA = (0.08, 1.0)  # of the photo, in a random crop; with RATIO, Szegedy et al. 2014 and the tutorial
RATIO = (0.75, 1.333)


def train_transforms(preprocessing, augment="tutorial"):
    """The operations on a training photo.

    Args:
        preprocessing: A :class:`mstl.config.Preprocessing`.
        augment: One of :data:`AUGMENTS`.

    Raises:
        MstlError: No recipe of that name.
    """
    return recipe(augment)(preprocessing)


def eval_transforms(preprocessing, augment="tutorial"):
    """The operations on a validation photo, for a net that was trained with ``augment``."""
    recipe(augment)  # a wrong name is as wrong here
    return (squeezed if augment == "food" else centered)(preprocessing)


def recipe(augment):
    """The function that lists a recipe's operations."""
    if augment not in RECIPES:
        raise MstlError(f"unknown augment {augment!r}: choose one of {', '.join(AUGMENTS)}")
    return RECIPES[augment]


def tutorial(preprocessing):
    """MindSpore's tutorial: a random crop of random size and shape, mirrored half of the time."""
    return [random_crop(preprocessing, AREA), vision.RandomHorizontalFlip(0.5), *normalize(preprocessing)]


def food(preprocessing):
    """For things without an upright: a square of 300 pixels, turned, cut to 224, mirrored both ways, at times grey.

    At another image size, the square is as much larger than it.
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


def light(preprocessing):
    """For few photos, or fine differences: the crop keeps half of the photo or more, colours change a little."""
    return [
        random_crop(preprocessing, (0.5, 1.0)),
        vision.RandomHorizontalFlip(0.5),
        vision.RandomColorAdjust(brightness=0.1, contrast=0.1, saturation=0.1),
        *normalize(preprocessing),
    ]


def strong(preprocessing):
    """For long training: RandAugment (Cubuk et al. 2020), colours, and erased squares (Zhong et al. 2020)."""
    size = preprocessing.image_size
    erase = transforms.RandomChoice([vision.CutOut(size // part, is_hwc=False) for part in (6, 4, 3, 2)])
    return [
        random_crop(preprocessing, AREA),
        vision.RandomHorizontalFlip(0.5),
        transforms.RandomChoice(rand_augment()),
        transforms.RandomChoice(rand_augment()),
        vision.RandomColorAdjust(brightness=0.3, contrast=0.3, saturation=0.3),
        *normalize(preprocessing),
        transforms.RandomApply([erase], 0.25),  # after the normalisation, so that 0 is the mean colour
    ]


def rand_augment():
    """RandAugment's operations, about as strong as its magnitude 9 of 31 at the most.

    MindSpore 2.10's own ``RandAugment`` (and ``TrivialAugmentWide``) turns every seventh photo black: its translation
    counts pixels, where the affine operation below it takes shares of the photo.
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


def centered(preprocessing):
    """The shorter side brought to ``resize`` pixels, the middle cut out."""
    return [
        vision.Decode(),
        vision.Resize(preprocessing.resize, INTERPOLATION[preprocessing.interpolation]),
        vision.CenterCrop(preprocessing.image_size),
        *normalize(preprocessing),
    ]


def squeezed(preprocessing):
    """The whole photo, brought to the square that the net sees."""
    size = preprocessing.image_size
    return [
        vision.Decode(),
        vision.Resize((size, size), INTERPOLATION[preprocessing.interpolation]),
        *normalize(preprocessing),
    ]


def random_crop(preprocessing, area):
    """A random part of the photo, of a random shape, brought to the square that the net sees."""
    return vision.RandomCropDecodeResize(
        preprocessing.image_size, area, RATIO, interpolation=INTERPOLATION[preprocessing.interpolation]
    )


def normalize(preprocessing):
    """From 0..255 in rows, columns, channels to what the net expects, channels first."""
    mean = [255 * value for value in preprocessing.mean]
    std = [255 * value for value in preprocessing.std]
    return [vision.Normalize(mean=mean, std=std), vision.HWC2CHW()]


RECIPES = {"tutorial": tutorial, "food": food, "light": light, "strong": strong, "none": centered}
AUGMENTS = tuple(RECIPES)
