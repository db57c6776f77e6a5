"""What happens to a photo between the file and the net, as lists of MindSpore's operations that one can read."""

import mindspore.dataset.vision as vision

INTERPOLATION = {"bilinear": vision.Inter.LINEAR, "bicubic": vision.Inter.BICUBIC}
AREA = (0.08, 1.0)  # of the photo, in a random crop; with RATIO, Szegedy et al. 2014 and the tutorial
RATIO = (0.75, 1.333)


def normalize(preprocessing):
    """From 0..255 in rows, columns, channels to what the net expects, channels first."""
    mean = [255 * value for value in preprocessing.mean]
    std = [255 * value for value in preprocessing.std]
    return [vision.Normalize(mean=mean, std=std), vision.HWC2CHW()]


def train_transforms(preprocessing):
    """The tutorial's: a random crop of random size and shape, mirrored half of the time."""
    crop = vision.RandomCropDecodeResize(
        preprocessing.image_size, AREA, RATIO, interpolation=INTERPOLATION[preprocessing.interpolation]
    )
    return [crop, vision.RandomHorizontalFlip(0.5), *normalize(preprocessing)]


def eval_transforms(preprocessing):
    """The shorter side brought to ``resize`` pixels, the middle cut out."""
    return [
        vision.Decode(),
        vision.Resize(preprocessing.resize, INTERPOLATION[preprocessing.interpolation]),
        vision.CenterCrop(preprocessing.image_size),
        *normalize(preprocessing),
    ]
