"""predictions.csv of ``mstl evaluate``: what the model makes of each image, beside what it is and was used for."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # NumPy is loaded only when images are evaluated
    from mstl.data.samples import Sample
    from mstl.evaluation.metrics import Evaluation

NAME = "predictions.csv"
FIELDS = ("path", "label", "predicted", "probability", "split", "rejected")


def write_predictions(
    path: Path, samples: "Sequence[Sample]", evaluation: "Evaluation", rejections: Sequence[bool | None]
) -> None:
    """Write a line for each image, atomically.

    Paths and names are escaped as in manifest.csv. ``split`` is the image's in the run: "val" or "test"; "other" if the
    run did not use it, "unknown" if that is unknown. ``rejected`` is "true" or "false"; empty where that is
    not known.

    Args:
        path: The file.
        samples: The images, in the order of the evaluation.
        evaluation: Of the images.
        rejections: Whether each image is rejected; None where that is not known.
    """
    from mstl.data.manifest import escaped
    from mstl.files import atomic_path

    rejected = ["" if value is None else str(value).lower() for value in rejections]
    rows_of = zip(samples, evaluation.predictions, evaluation.confidences, rejected, strict=True)
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(FIELDS)
        for sample, predicted, probability, reject in rows_of:
            names = escaped(sample.path), escaped(sample.label), escaped(evaluation.classes[predicted])
            writer.writerow([*names, f"{probability:.6f}", sample.split, reject])
