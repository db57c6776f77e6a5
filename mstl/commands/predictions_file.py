"""predictions.csv of ``mstl evaluate``: what the model makes of each image, beside what it is and was used for."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # MindSpore is loaded only when images are evaluated
    from mstl.data.dataset import ImageSet
    from mstl.evaluation.metrics import Evaluation
    from mstl.evaluation.rejection import Rejector

NAME = "predictions.csv"
FIELDS = ("path", "label", "predicted", "probability", "split", "rejected")


def write_predictions(path: Path, images: "ImageSet", evaluation: "Evaluation", rejector: "Rejector | None") -> None:
    """Write a line for each image, atomically.

    Paths and names are escaped as in manifest.csv. ``split`` is the image's in the run: "val" or "test"; "other" if the
    run did not use it, "unknown" if that is unknown. ``rejected`` is "true" or "false"; empty without a rejector, and
    for images whose features were not kept.

    Args:
        path: The file.
        images: The images, in the order of the evaluation.
        evaluation: Of the images.
        rejector: That of the checkpoint; None if it has none.
    """
    import numpy as np

    from mstl.data.manifest import escaped
    from mstl.files import atomic_path

    rejected = [""] * evaluation.total
    if rejector is not None and evaluation.features is not None:
        rows = np.arange(evaluation.total) if evaluation.featured is None else evaluation.featured
        for row, value in zip(rows, rejector.rejected(evaluation.logits[rows], evaluation.features), strict=True):
            rejected[row] = str(bool(value)).lower()
    rows_of = zip(images.samples, evaluation.predictions, evaluation.confidences, rejected, strict=True)
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(FIELDS)
        for sample, predicted, probability, reject in rows_of:
            names = escaped(sample.path), escaped(sample.label), escaped(evaluation.classes[predicted])
            writer.writerow([*names, f"{probability:.6f}", sample.split, reject])
