"""RunRecord: what a run notes of what it used, for whatever reads its folder or checkpoints later."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mstl.data.load_data import ValidatedOn
from mstl.engines.choice import Choice
from mstl.models.weights_source import WeightsSource
from mstl.training.run_cost import RunCost


@dataclass(frozen=True)
class HeadRecord:
    """How the weight decay of a head was chosen that was solved for.

    Attributes:
        folds: How many fifths of the images were held out, each in turn; 0 if there was nothing to hold out.
        trials: Pairs of a weight decay and the mean cross entropy of held-out images with it, in nats.
    """

    folds: int
    trials: tuple[tuple[float, float], ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "HeadRecord":
        """From what JSON made of it."""
        return cls(int(values["folds"]), tuple((float(decay), float(loss)) for decay, loss in values["trials"]))


@dataclass(frozen=True)
class RunRecord:
    """What a run used; None stands for what is not recorded, and so unknown.

    It is kept under the key :data:`mstl.config.RECORD` in config.json and in the metadata of best.ckpt and last.ckpt.

    Attributes:
        manifest: The SHA-256 of the run's manifest.csv (:class:`mstl.data.manifest.Manifest`).
        directory: The working directory in which the run was started, to which its relative paths refer.
        weights: The pretrained weights that were loaded.
        validated_on: What the validation images were; see :class:`mstl.data.load_data.DataSplits`.
        test_images: Number of images of the test split; 0 if there is none.
        engine: What computed the frozen layers and the validation.
        head: How the weight decay was chosen; None where the settings gave it.
        cost: What the run had cost when this was written.
        date: The day on which the run was started (UTC), such as "2026-11-25".
        mstl: The version that started it.
    """

    manifest: str | None = None
    directory: str | None = None
    weights: WeightsSource | None = None
    validated_on: ValidatedOn | None = None
    test_images: int | None = None
    engine: Choice | None = None
    head: HeadRecord | None = None
    cost: RunCost | None = None
    date: str | None = None
    mstl: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> "RunRecord":
        """The inverse of :meth:`to_dict`; None and unknown keys, as other versions wrote them, do no harm."""
        known = {field.name for field in dataclasses.fields(cls)}
        kept = {key: value for key, value in (values or {}).items() if key in known}
        if kept.get("weights") is not None:
            kept["weights"] = WeightsSource.from_dict(kept["weights"])
        if kept.get("engine") is not None:
            kept["engine"] = Choice.from_dict(kept["engine"])
        if kept.get("head") is not None:
            kept["head"] = HeadRecord.from_dict(kept["head"])
        if kept.get("cost") is not None:
            kept["cost"] = RunCost.from_dict(kept["cost"])
        return cls(**kept)
