"""Preprocessing: how an image becomes a model's input, as a record that other programs can follow."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mstl.errors import MstlError

PREPROCESSING_VERSION = 2  # of what the fields of Preprocessing mean, in records
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

InterpolationName = Literal["bilinear", "bicubic"]
CropName = Literal["center", "whole"]
RoundingName = Literal["nearest", "down"]


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a model's input; all that decides its pixels, so that another program can do the same.

    The image is decoded to RGB of 8 bits and turned upright as its metadata say. Then it is resized by Pillow's
    ``Image.resize``, and cropped.

    Attributes:
        image_size: Side of the square input, in pixels.
        resize: Length of the shorter side of the image before the centre crop, in pixels.
        interpolation: The kernel by which the image is resized.
        mean: Mean of red, green and blue that is subtracted, on the scale of 0 to 1.
        std: Standard deviation that each is then divided by, on the same scale.
        crop: ``"center"``, the middle square of the resized image, the odd pixel on the right and at the bottom; or
            ``"whole"``, the whole image squeezed into the square.
        antialias: Whether the kernel is widened where the image is made smaller, so that it averages over all pixels.
        rounding: How the length of the longer side of the resized image becomes whole pixels.
        draft: A JPEG is decoded at 1/2, 1/4 or 1/8 of its size, the smallest that is at least so many times as large as
            the resized image; 0 decodes it in full.

    Raises:
        ValueError: ``resize`` is smaller than ``image_size``.
    """

    image_size: int = 224
    resize: int = 256
    interpolation: InterpolationName = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    crop: CropName = "center"
    antialias: bool = True
    rounding: RoundingName = "nearest"
    draft: float = 1.0

    def __post_init__(self) -> None:
        if self.resize < self.image_size:
            raise ValueError(f"resize {self.resize} is smaller than image_size {self.image_size}")

    def at(self, image_size: int | None) -> "Preprocessing":
        """The same at another input size, with the same share of the image cropped; None changes nothing."""
        if image_size is None:
            return self
        resize = round(self.resize * image_size / self.image_size)
        return dataclasses.replace(self, image_size=image_size, resize=resize)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON, with the version of what they mean."""
        return {"version": PREPROCESSING_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """That of a checkpoint's record, as :meth:`to_dict` gave it, or as the versions before did.

        Version 1 was computed by MindSpore's decoder and ``Resize``: without antialiasing, lengths rounded down, and
        the crop followed from the augmentation.

        Raises:
            MstlError: The checkpoint was written by a later version of mstl.
        """
        values = dict(record["preprocessing"])
        version = values.pop("version", 1)
        if version > PREPROCESSING_VERSION:
            raise MstlError(
                f"the checkpoint prepares images in a way (version {version}) that this mstl does not know; update mstl"
            )
        if version == 1:
            squeezed = record.get("config", {}).get("augment") == "food"
            values |= {"crop": "whole" if squeezed else "center", "antialias": False, "rounding": "down", "draft": 0.0}
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
