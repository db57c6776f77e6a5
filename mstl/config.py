"""The settings of a run: one dataclass makes the command's options, ``config.json`` and the checkpoint's record."""

import dataclasses
from dataclasses import dataclass, field

from mstl.errors import MstlError
from mstl.runtime import DEVICES

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DEFAULT_LR = {"backbone": 0.01, "none": 0.003}  # by what is frozen: a whole net takes smaller steps than a head
FREEZE = tuple(DEFAULT_LR)


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes what a net expects.

    Attributes:
        image_size: Side of the square that the net sees, in pixels.
        resize: The photo's shorter side before the centre crop, in pixels.
        interpolation: ``"bilinear"`` or ``"bicubic"``.
        mean: What is taken from each of red, green and blue, on the scale of 0 to 1.
        std: What each is then divided by, on the same scale.
    """

    image_size: int = 224
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple = IMAGENET_MEAN
    std: tuple = IMAGENET_STD

    def at(self, image_size):
        """The same at another size, with the same share of the photo cut off; None changes nothing."""
        if image_size is None:
            return self
        resize = round(self.resize * image_size / self.image_size)
        return dataclasses.replace(self, image_size=image_size, resize=resize)

    def to_dict(self):
        """As plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """The inverse of :meth:`to_dict`."""
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})


def option(default, help_text, *flags, choices=None):
    """A field of TrainConfig, with what the command line says of it."""
    return field(default=default, metadata={"help": help_text, "flags": flags, "choices": choices})


@dataclass
class TrainConfig:
    """Everything that a training run can be told; each field is an option of ``mstl train``.

    Raises:
        MstlError: A value is out of its range.
    """

    data: str = option("demo", "A known name (demo, Canidae) or a folder with train/ and val/.")
    model: str = option("efficientnet_lite0", "The architecture, such as resnet18, resnet50 or efficientnet_lite0.")
    weights: str = option("default", "Pretrained weights: default, none, a tag of the table, or a file.")
    freeze: str = option("backbone", "What is not trained: all but the head, or nothing.", choices=FREEZE)
    epochs: int = option(5, "Times that each training photo is seen.")
    batch_size: int = option(18, "Photos in a training step.", "-b")
    lr: float | None = option(None, "Learning rate; 0.01 for the head alone, 0.003 for the whole net if not given.")
    momentum: float = option(0.9, "Share of the last step that Momentum keeps, from 0 up to 1.")
    weight_decay: float = option(0.0, "Factor of the L2 penalty.")
    image_size: int | None = option(None, "Side of the square that the net sees, in pixels; the weights' if not given.")
    workers: int | None = option(None, "Threads that read photos; one a core if not given.", "-j")
    seed: int = option(1, "Of everything random.")
    device: str = option("auto", "What computes; auto takes the first that works.", choices=DEVICES)
    out: str | None = option(None, "Folder for the run; checkpoints/<data>-<model> if not given.")

    def __post_init__(self):
        if self.lr is None:
            self.lr = DEFAULT_LR.get(self.freeze)
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise MstlError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.freeze not in FREEZE:
            raise MstlError(f"unknown freeze {self.freeze!r}: choose one of {', '.join(FREEZE)}")
        if not self.lr > 0:
            raise MstlError(f"lr must be above 0, not {self.lr}")
        if not 0 <= self.momentum < 1:
            raise MstlError(f"momentum must be from 0 up to (not including) 1, not {self.momentum}")
        if self.weight_decay < 0:
            raise MstlError(f"weight_decay must be 0 or more, not {self.weight_decay}")
        if self.image_size is not None and self.image_size < 32:
            raise MstlError(f"image_size must be 32 or more, not {self.image_size}: the nets shrink a photo 32 times")

    def to_dict(self):
        """As plain values, for JSON."""
        return dataclasses.asdict(self)
