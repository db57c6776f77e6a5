"""The record of a prediction: what ``mstl predict`` writes of an image as JSON, and ``mstl serve`` answers."""

from typing import TypedDict

from mstl.prediction.image_predictor import Prediction


class RankedClass(TypedDict):
    """A class and its probability."""

    label: str
    probability: float


class Record(TypedDict):
    """A prediction as plain values; ``label`` is None if rejected, ``rejected`` None if that was not asked for."""

    path: str | None
    label: str | None
    probability: float
    top: list[RankedClass]
    rejected: bool | None


def record_of(prediction: Prediction, reject: bool) -> Record:
    """A prediction as a :class:`Record`."""
    rejected = prediction.rejected if reject else None
    return {
        "path": prediction.path,
        "label": None if rejected else prediction.label,
        "probability": round(prediction.probability, 6),
        "top": [{"label": label, "probability": round(probability, 6)} for label, probability in prediction.top],
        "rejected": rejected,
    }
