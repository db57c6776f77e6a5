"""Fold files: the cross-validation of a run in its folder, as folds.csv, folds.json, and for its page folds.npz."""

import csv
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from mstl.data.manifest import escaped
from mstl.errors import MstlError
from mstl.evaluation.fold_evaluation import FoldEvaluation
from mstl.evaluation.metrics import Evaluation
from mstl.files import atomic_path, write_json

KEPT, METRICS, ANSWERS = "folds.npz", "folds.json", "folds.csv"
FIELDS = ("path", "label", "predicted", "probability", "own_probability", "split", "fold")


def write_folds(folder: Path, result: FoldEvaluation) -> None:
    """Write all three files, each atomically.

    folds.csv has a line for each image: what the head that has not seen it makes of it, with the probabilities of that
    and of its own class. Paths and names are escaped as in manifest.csv.
    """
    evaluation = result.evaluation
    record = {
        "classes": list(evaluation.classes),
        "paths": list(evaluation.paths),
        "temperature": evaluation.temperature,
        "weight_decays": list(result.weight_decays),
        "splits": list(result.splits),
        "doubt": result.doubt,
    }
    with atomic_path(folder / KEPT) as temporary, open(temporary, "wb") as binary:
        np.savez_compressed(
            binary,
            record=np.array(json.dumps(record)),
            logits=evaluation.logits,
            labels=evaluation.labels,
            folds=result.folds,
            groups=result.groups,
        )
    write_json(folder / METRICS, result.to_dict())
    own = evaluation.probabilities[np.arange(evaluation.total), evaluation.labels]
    rows = zip(
        *(evaluation.paths, evaluation.labels, evaluation.predictions, evaluation.confidences, own),
        *(result.splits, result.folds),
        strict=True,
    )
    with atomic_path(folder / ANSWERS) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(FIELDS)
        for path, label, predicted, probability, own_probability, split, fold in rows:
            names = escaped(path), escaped(evaluation.classes[label]), escaped(evaluation.classes[predicted])
            writer.writerow([*names, f"{probability:.6f}", f"{own_probability:.6f}", split, fold])


def read_folds(folder: str | os.PathLike[str]) -> FoldEvaluation | None:
    """Read what :func:`write_folds` wrote; None if there is none.

    Raises:
        MstlError: The file is damaged.
    """
    path = Path(folder) / KEPT
    try:
        with np.load(path, allow_pickle=False) as kept:
            record = json.loads(str(kept["record"]))
            arrays = {name: kept[name] for name in ("logits", "labels", "folds", "groups")}
        classes, paths = tuple(record["classes"]), tuple(record["paths"])
        evaluation = Evaluation(arrays["logits"], arrays["labels"], classes, paths, temperature=record["temperature"])
        decays, splits = tuple(record["weight_decays"]), tuple(record["splits"])
        return FoldEvaluation(evaluation, arrays["folds"], arrays["groups"], decays, splits, record["doubt"])
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise MstlError(f"{path} is damaged: remove it; `mstl evaluate --folds` makes it anew") from error
