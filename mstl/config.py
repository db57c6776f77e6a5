"""The settings of a run: one dataclass makes the command's options, ``config.json`` and the checkpoint's record."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from mstl.errors import MstlError
from mstl.runtime.devices import DEVICES

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FREEZE = ("backbone", "none", "stem", "layer1", "layer2", "layer3", "layer4", "BN")
OPTIMIZERS = ("momentum", "sgd", "adam", "adamw", "lamb")
SCHEDULES = ("constant", "step", "cosine", "one-cycle", "polynomial")
MODES = ("auto", "graph", "pynative")
AUGMENTS = ("tutorial", "food", "light", "strong", "none")
RECIPES = ("auto", "canidae-fixed", "canidae-finetune", "food", "linear", "finetune")


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


def option(default, help_text, *flags, choices=None, group=None):
    """A field of TrainConfig, with what the command line says of it."""
    return field(default=default, metadata={"help": help_text, "flags": flags, "choices": choices, "group": group})


@dataclass
class TrainConfig:
    """Everything that a training run can be told; each field is an option of ``mstl train``.

    None leaves a setting to the recipe. What a run really used is in its ``config.json``, without open settings.

    Raises:
        MstlError: A value is out of its range.
    """

    data: str | None = option(None, "A known name (demo, Canidae, ...), a folder, a list file or an archive.")
    val: str | None = option(None, "Validation photos, where --data is a list without them.")
    val_split: float = option(0.2, "Share of the photos for validation, where the data has none apart.")
    strict: bool = option(False, "Refuse to train on data that `mstl data check` would have mended.")
    recipe: str = option("auto", "Named settings, which the options below override.", choices=RECIPES)
    model: str | None = option(None, "The architecture, such as resnet18, resnet50 or efficientnet_lite0.")
    weights: str | None = option(None, "Pretrained weights: default, none, a tag of `mstl weights list`, or a file.")
    epochs: int | None = option(None, "Times that each training photo is seen.")
    batch_size: int | None = option(None, "Photos in a training step, over all devices.", "-b")
    image_size: int | None = option(None, "Side of the square that the net sees, in pixels; the weights' by default.")
    augment: str | None = option(None, "How training photos are varied.", choices=AUGMENTS)
    mixup: float | None = option(None, "Mix pairs of photos; the Beta distribution's alpha, 0 for not at all.")
    cutmix: float | None = option(None, "Paste a part of another photo; alpha, 0 for not at all.")
    smoothing: float | None = option(None, "Label smoothing: the share spread over all classes.")
    class_weights: str = option("none", "Weigh classes in the loss.", choices=("none", "balanced"))
    sampler: str = option("shuffle", "How photos are drawn.", choices=("shuffle", "balanced"))
    freeze: str | None = option(
        None, "What is not trained: all but the head, nothing, up to a layer, or BatchNorms.", choices=FREEZE
    )
    unfreeze_at: int | None = option(None, "Epoch from which on everything is trained; 0 for never.")
    cache: bool = option(True, "Compute what is frozen once for each photo and keep it, also for later runs.")
    views: int | None = option(None, "Views of each photo that are computed so: its centre, then varied ones.")
    optimizer: str | None = option(None, "What moves the weights.", choices=OPTIMIZERS)
    lr: float | None = option(None, "Learning rate.")
    momentum: float | None = option(None, "Share of the last step that momentum and sgd keep, from 0 up to 1.")
    weight_decay: float | None = option(None, "Pull of the weights towards 0; BatchNorms and biases are spared.")
    schedule: str | None = option(None, "How the rate goes on.", choices=SCHEDULES)
    lr_step: int | None = option(None, "Epochs between two steps of --schedule step.")
    lr_gamma: float | None = option(None, "What each step of --schedule step multiplies the rate with.")
    warmup: float | None = option(None, "Epochs in which the rate rises from 0.")
    layer_decay: float | None = option(None, "Each stage's rate over that of the stage after it.")
    clip: float = option(0.0, "Largest norm of the gradient; 0 for no limit.")
    accumulate: int = option(1, "Batches whose gradients make one step.")
    mode: str = option("auto", "MindSpore's way of running training steps.", choices=MODES)
    amp: str = option("O0", "Mixed precision, on Ascend and GPU.", choices=("O0", "O2", "O3", "auto"))
    ema: float = option(0.0, "Decay of a moving average of the weights, such as 0.99; 0 for none.")
    best: str | None = option(None, "What best.ckpt is best by.", choices=("accuracy", "loss"))
    patience: int | None = option(None, "Stop after this many epochs without a better one; 0 for never.")
    workers: int | None = option(None, "Streams that read photos (8); another number augments differently.", "-j")
    seed: int = option(1, "Of everything random.")
    device: str = option("auto", "What computes; auto takes the first that works.", choices=DEVICES)
    tensorboard: bool = option(False, "Write curves for TensorBoard into the run's folder (extra `tensorboard`).")
    report: bool = option(True, "Write report.html at the end: curves, confusions, the worst photos, calibration.")
    out: str | None = option(None, "Folder for the run; checkpoints/<data>-<model> by default.")

    def __post_init__(self):
        for name in ("epochs", "batch_size", "accumulate", "lr_step", "views"):
            self._check(name, lambda value: value >= 1, "1 or more")
        for name in ("lr", "lr_gamma"):
            self._check(name, lambda value: value > 0, "above 0")
        for name in ("weight_decay", "mixup", "cutmix", "warmup", "clip", "patience", "unfreeze_at"):
            self._check(name, lambda value: value >= 0, "0 or more")
        for name in ("momentum", "smoothing", "ema"):
            self._check(name, lambda value: 0 <= value < 1, "from 0 up to (not including) 1")
        self._check("val_split", lambda value: 0 < value < 1, "between 0 and 1")
        self._check("layer_decay", lambda value: 0 < value <= 1, "above 0 and at most 1")
        self._check("image_size", lambda value: value >= 32, "32 or more: the nets shrink a photo 32 times")
        for item in dataclasses.fields(self):
            choices, value = item.metadata["choices"], getattr(self, item.name)
            if choices and value is not None and value not in choices:
                raise MstlError(f"unknown {item.name} {value!r}: choose one of {', '.join(choices)}")

    def _check(self, name, right, what):
        value = getattr(self, name)
        if value is not None and not right(value):
            raise MstlError(f"{name} must be {what}, not {value}")

    def to_dict(self):
        """As plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values, source="the settings"):
        """The inverse of :meth:`to_dict`.

        Raises:
            MstlError: An unknown key, or a value of another kind.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) - known:
            unknown = ", ".join(sorted(set(values) - known)) if isinstance(values, dict) else "no table of settings"
            raise MstlError(f"{source} has unknown settings: {unknown}; known are {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise MstlError(f"{source} has a value of the wrong kind: {error}") from error


def read_config(path):
    """Settings from a JSON or YAML file, such as a run's own config.json.

    Returns:
        A dict.

    Raises:
        MstlError: No such file, not readable, or YAML without PyYAML.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MstlError(f"cannot read the settings {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        if path.suffix in (".yaml", ".yml"):
            try:
                import yaml
            except ImportError as error:
                raise MstlError(f'{path} needs PyYAML: `pip install "mstl[yaml]"`, or write it as JSON') from error
            values = yaml.safe_load(text)
        else:
            values = json.loads(text)
    except ValueError as error:
        raise MstlError(f"{path} is no JSON: {error}") from error
    except Exception as error:  # PyYAML's errors have no common base that could be named without importing it
        if isinstance(error, MstlError):
            raise
        raise MstlError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    return TrainConfig.from_dict(values, str(path)).to_dict() if values else {}
