"""The settings of a run: one dataclass makes the options of ``mstl train``, config.json and the checkpoint's record."""

import dataclasses
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from mstl.errors import MstlError
from mstl.field_types import checked
from mstl.runtime.devices import DeviceName
from mstl.runtime.durations import parse_duration

RECORD = "record"  # key in config.json, beside the settings: what a run notes of what it used
SEEDS = 2**32  # that MindSpore and NumPy accept

FreezeName = Literal["backbone", "none", "stem", "layer1", "layer2", "layer3", "layer4", "BN"]
OptimizerName = Literal["momentum", "sgd", "adam", "adamw", "lamb", "lbfgs"]
ScheduleName = Literal["constant", "step", "cosine", "one-cycle", "polynomial"]
ModeName = Literal["auto", "graph", "pynative"]
AugmentName = Literal["tutorial", "food", "light", "strong", "none"]
RecipeName = Literal["auto", "canidae-fixed", "canidae-finetune", "food", "linear", "finetune"]
TrackerName = Literal["tensorboard", "mlflow", "swanlab"]
BestMetric = Literal["accuracy", "loss"]
EngineName = Literal["auto", "mindspore", "onnxruntime", "openvino"]
PrecisionName = Literal["auto", "fp32", "bf16"]

FREEZE: tuple[FreezeName, ...] = typing.get_args(FreezeName)
OPTIMIZERS: tuple[OptimizerName, ...] = typing.get_args(OptimizerName)
SCHEDULES: tuple[ScheduleName, ...] = typing.get_args(ScheduleName)
MODES: tuple[ModeName, ...] = typing.get_args(ModeName)
AUGMENTS: tuple[AugmentName, ...] = typing.get_args(AugmentName)
RECIPES: tuple[RecipeName, ...] = typing.get_args(RecipeName)
ENGINES: tuple[EngineName, ...] = typing.get_args(EngineName)
PRECISIONS: tuple[PrecisionName, ...] = typing.get_args(PrecisionName)

# Headings of `mstl train --help`, in their order
Group = Literal["Main", "Data", "Model", "Training", "Regularisation", "Output", "Device"]
GROUPS: tuple[Group, ...] = typing.get_args(Group)


def option(default: Any, group: Group, help_text: str, *flags: str) -> Any:
    """A field of TrainConfig, with the group, help and short flags of its command-line option."""
    return field(default=default, metadata={"group": group, "help": help_text, "flags": flags})


@dataclass
class TrainConfig:
    """The settings of a training run; each field is an option of ``mstl train``.

    None leaves a setting to the recipe. The ``config.json`` of a run has the values that were used.

    Raises:
        MstlError: A value is of the wrong type or out of its range.
    """

    data: str | None = option(
        None, "Main", "Dataset: a known name (demo, Canidae, ...), a folder, a list file, an archive or hf:owner/name."
    )
    val: str | None = option(None, "Data", "Validation data (folder, list or archive), in place of --data's own.")
    path_column: str | None = option(None, "Data", "Column of the paths in a list, where it is not found by itself.")
    label_column: str | None = option(None, "Data", "Column of the labels in a list, where it is not found by itself.")
    images: str | None = option(None, "Data", "Folder in which the paths of a list start; by default that of the list.")
    group_column: str | None = option(
        None, "Data", "Column of a list whose values, such as patients, are never divided between parts or folds."
    )
    folds: int | None = option(
        None, "Data", "Cross-validation in so many folds, on kept features: each image is held out once."
    )
    val_split: float = option(0.2, "Data", "Share of images to validate on, if the data has no validation split.")
    strict: bool = option(False, "Data", "Refuse to train on data in which `mstl data check` finds errors.")
    recipe: RecipeName = option("auto", "Main", "Recipe: named settings, which the other options override.")
    model: str | None = option(
        None, "Main", "Architecture of the model, such as resnet18, resnet50 or efficientnet_lite0."
    )
    weights: str | None = option(
        None, "Main", "Pretrained weights: default, none, a tag of `mstl weights list`, or a file."
    )
    epochs: int | None = option(None, "Main", "Training epochs.")
    batch_size: int | None = option(None, "Main", "Batch size, over all devices together.", "-b")
    image_size: int | None = option(None, "Model", "Input size in pixels (square); by default that of the weights.")
    augment: AugmentName | None = option(None, "Main", "Data augmentation of the training images.")
    mixup: float | None = option(None, "Regularisation", "Mixup alpha (0 = off).")
    cutmix: float | None = option(None, "Regularisation", "CutMix alpha (0 = off).")
    smoothing: float | None = option(None, "Regularisation", "Label smoothing (0 = off).")
    class_weights: Literal["none", "balanced"] = option("none", "Data", "Class weights in the loss.")
    sampler: Literal["shuffle", "balanced"] = option(
        "shuffle", "Data", "Sampler of training images; balanced draws all classes equally often."
    )
    freeze: FreezeName | None = option(
        None,
        "Main",
        "Frozen layers: the backbone (all but the head), none, all up to a layer, or only the BatchNorms (BN).",
    )
    unfreeze_at: int | None = option(None, "Model", "Epoch from which all layers are trained (0 = never).")
    cache: bool = option(True, "Model", "Feature cache: run the frozen layers once per image, also for later runs.")
    views: int | None = option(
        None, "Model", "Views of each image in the feature cache: the centre crop, then augmented ones."
    )
    optimizer: OptimizerName | None = option(
        None,
        "Training",
        "Optimizer; lbfgs solves for the head, with a weight decay that suits held-out images.",
    )
    lr: float | None = option(None, "Main", "Learning rate.")
    momentum: float | None = option(None, "Training", "Momentum, from 0 to below 1, of --optimizer momentum and sgd.")
    weight_decay: float | None = option(None, "Regularisation", "Weight decay (not on BatchNorm or biases).")
    schedule: ScheduleName | None = option(None, "Training", "Learning-rate schedule.")
    lr_step: int | None = option(None, "Training", "Epochs between the steps of --schedule step.")
    lr_gamma: float | None = option(None, "Training", "Factor on the learning rate at each step of --schedule step.")
    warmup: float | None = option(None, "Training", "Warm-up epochs, in which the learning rate rises from 0.")
    layer_decay: float | None = option(
        None, "Training", "Layer-wise learning-rate decay: factor from each stage to the one before it (1 = off)."
    )
    clip: float = option(0.0, "Training", "Gradient clipping: the largest norm (0 = off).")
    accumulate: int | None = option(
        None,
        "Training",
        "Gradient accumulation: batches per optimizer step (1; more, of smaller batches, in little memory).",
    )
    mode: ModeName = option("auto", "Device", "MindSpore's execution mode of the training step.")
    amp: Literal["O0", "O2", "O3", "auto"] = option("O0", "Device", "Mixed-precision level (Ascend and GPU only).")
    ema: float = option(0.0, "Regularisation", "EMA: decay of a moving average of the weights, e.g. 0.99 (0 = off).")
    best: BestMetric | None = option(None, "Output", "Metric that selects best.ckpt.")
    patience: int | None = option(None, "Training", "Early stopping: epochs without improvement (0 = off).")
    workers: int | None = option(
        None, "Device", "Data-loading workers (8); another number changes uncached augmentation.", "-j"
    )
    time_limit: str | None = option(
        None, "Main", "Time for the whole run, such as 90s, 3m or 1h30m: epochs and schedule are planned for it."
    )
    seed: int = option(1, "Training", "Random seed.")
    device: DeviceName = option("auto", "Device", "Device; auto takes the first that works.")
    engine: EngineName = option(
        "auto", "Device", "Engine of frozen layers and validation; auto takes the quickest that is installed."
    )
    precision: PrecisionName = option(
        "auto", "Device", "Precision of the engine; auto takes bf16 where the processor computes in it (OpenVINO)."
    )
    tensorboard: bool = option(
        False, "Output", "TensorBoard: write curves into the run's folder (needs the extra `tensorboard`)."
    )
    tracker: TrackerName | None = option(
        None, "Output", "Tracker that gets settings and curves, offline by default (needs the extra of its name)."
    )
    report: bool = option(
        True, "Output", "Report: write report.html (curves, confusion matrix, worst images, calibration)."
    )
    out: str | None = option(None, "Main", "Output folder of the run; checkpoints/<data>-<model> by default.")

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            setattr(self, item.name, checked(item.name, getattr(self, item.name), item.type))
        for name in ("epochs", "batch_size", "accumulate", "lr_step", "views"):
            self._check(name, lambda value: value >= 1, "1 or more")
        self._check("folds", lambda value: value >= 2, "2 or more")
        for name in ("lr", "lr_gamma"):
            self._check(name, lambda value: value > 0, "above 0")
        for name in ("weight_decay", "mixup", "cutmix", "warmup", "clip", "patience", "unfreeze_at", "workers"):
            self._check(name, lambda value: value >= 0, "0 or more")
        for name in ("momentum", "smoothing", "ema"):
            self._check(name, lambda value: 0 <= value < 1, "from 0 up to (not including) 1")
        self._check("val_split", lambda value: 0 < value < 1, "between 0 and 1")
        self._check("layer_decay", lambda value: 0 < value <= 1, "above 0 and at most 1")
        self._check("image_size", lambda value: value >= 32, "32 or more: the models downsample by 32")
        time = "a time with its unit, such as 90s, 3m or 1h30m"
        self._check("time_limit", lambda value: parse_duration(value) is not None, time)
        self._check("seed", lambda value: 0 <= value < SEEDS, f"from 0 to {SEEDS - 1}")

    def _check(self, name: str, valid: Callable[[Any], bool], what: str) -> None:
        value = getattr(self, name)
        if value is not None and not valid(value):
            raise MstlError(f"{name} must be {what}, not {value}")

    @property
    def seconds_allowed(self) -> float | None:
        """The time limit in seconds; None without one."""
        return None if self.time_limit is None else parse_duration(self.time_limit)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any, source: str = "the settings") -> "TrainConfig":
        """The inverse of :meth:`to_dict`.

        Raises:
            MstlError: An unknown key, or a value of the wrong type or out of its range.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        if not isinstance(values, dict):
            raise MstlError(f"{source}: no table of settings; known settings are {', '.join(sorted(known))}")
        unknown = sorted(set(values) - known)
        if unknown:
            raise MstlError(
                f"{source} has unknown settings: {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        try:
            return cls(**values)
        except MstlError as error:
            raise MstlError(f"{source}: {error}") from error


def read_config(path: str | PathLike[str]) -> dict[str, Any]:
    """Settings from a JSON or YAML file, such as a run's own config.json.

    Raises:
        MstlError: The file is missing, unreadable or holds no valid settings, or PyYAML is needed and not installed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MstlError(f"cannot read the settings {path}: {getattr(error, 'strerror', None) or error}") from error
    values = parse_yaml(text, path) if path.suffix in (".yaml", ".yml") else parse_json(text, path)
    if isinstance(values, dict):
        values = {key: value for key, value in values.items() if key != RECORD}
    return TrainConfig.from_dict(values, str(path)).to_dict() if values else {}


def parse_json(text: str, path: Path) -> Any:
    """The value of a JSON text; ``path`` is for the message of an error."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise MstlError(f"{path} is not valid JSON: {error}") from error


def parse_yaml(text: str, path: Path) -> Any:
    """The value of a YAML text; ``path`` is for the message of an error."""
    try:
        import yaml
    except ImportError as error:
        raise MstlError(f'{path} needs PyYAML: `pip install "mstl[yaml]"`, or write it as JSON') from error
    try:
        return yaml.safe_load(text)
    except Exception as error:  # besides YAMLError, PyYAML lets KeyError and AttributeError through for wrong tags
        raise MstlError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
