"""What the page about a run needs, and how it is kept in the run's folder."""

import dataclasses
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstl.errors import MstlError
from mstl.evaluation.metrics import Evaluation
from mstl.files import atomic_path
from mstl.report.plots.grids import photo

KEPT = "report.npz"
FORMAT = 2  # of that file
WORST = 12  # photos that a page shows
SIDE = 192  # pixels of a kept photo's side


@dataclass(frozen=True)
class RunReport:
    """A run as its page tells it.

    Attributes:
        name: Of the run.
        evaluation: The :class:`mstl.evaluation.metrics.Evaluation` of the validation photos, at the temperature that is used.
        config: The settings, a dict.
        history: A dict an epoch, as :class:`mstl.training.state.TrainState` has them.
        model: The architecture's name.
        checkpoint: The path of the best checkpoint.
        train_count: Number of training photos; None where it is not known.
        seconds: What the run took; None where it is not known.
        warnings: What is wrong with the data, a text each.
        trust: What the checkpoint says of when to trust it, as
            :meth:`mstl.evaluation.rejection.Rejector.to_record` gives it; None where it says nothing.
        worst: Indices of the photos that are shown; those of ``evaluation.worst`` if not given.
        photos: (len(worst), S, S, 3) uint8, as the net sees them; read from the files if not given.
        heat_maps: (len(worst), H, W) from 0 to 1, of these photos, by Grad-CAM; None for none.
    """

    name: str
    evaluation: Evaluation
    config: dict
    history: list
    model: str
    checkpoint: Path
    train_count: int | None = None
    seconds: float | None = None
    warnings: tuple = ()
    rejector: dict | None = None
    worst: tuple | None = None
    photos: np.ndarray | None = None
    heat_maps: np.ndarray | None = None

    def __post_init__(self):
        if self.heat_maps is not None and (self.photos is None or self.worst is None):
            raise ValueError("heat maps need the photos that they lie over, and which ones these are")

    def complete(self):
        """The same with the worst photos in it, small enough for a page."""
        worst = tuple(int(index) for index in (self.evaluation.worst(WORST) if self.worst is None else self.worst))
        if self.photos is None:
            photos = [photo_or_grey(self.evaluation.paths[index]) for index in worst]
        else:
            photos = [resized(picture) for picture in self.photos]
        photos = np.stack(photos) if photos else np.zeros((0, SIDE, SIDE, 3), np.uint8)
        return dataclasses.replace(self, worst=worst, photos=photos)


def photo_or_grey(path):
    """A photo's middle square; grey where it cannot be read, as its file may be gone since."""
    try:
        return photo(path, SIDE)
    except OSError:
        return np.full((SIDE, SIDE, 3), 128, np.uint8)


def resized(picture):
    """A picture as a square of the kept size."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE)))


def save_run_report(folder, run):
    """Keep what a page needs as ``report.npz`` in the run's folder, so that it can be written again without the data.

    Args:
        folder: The run's folder.
        run: A :class:`RunReport`.
    """
    run = run.complete()
    evaluation = run.evaluation
    record = {
        "format": FORMAT,
        "classes": list(evaluation.classes),
        "paths": [str(path) for path in evaluation.paths],
        "temperature": evaluation.temperature,
        "checkpoint": Path(run.checkpoint).name,
        "worst": list(run.worst),
        **{key: getattr(run, key) for key in ("config", "history", "model", "train_count", "seconds", "rejector")},
        "warnings": list(run.warnings),
    }
    arrays = {"logits": evaluation.logits, "labels": evaluation.labels, "photos": run.photos}
    if run.heat_maps is not None:
        arrays["heat_maps"] = np.rint(255 * np.asarray(run.heat_maps)).astype(np.uint8)
    with atomic_path(Path(folder) / KEPT) as temporary:
        np.savez_compressed(temporary, record=json.dumps(record), **arrays)


def load_run_report(folder):
    """Read what :func:`save_run_report` kept; the run's name and checkpoint are the folder's, wherever it is now.

    Args:
        folder: The run's folder.

    Returns:
        A :class:`RunReport`.

    Raises:
        MstlError: There is none, or it is damaged or of another version.
    """
    folder = Path(folder)
    path = folder / KEPT
    try:
        with np.load(path, allow_pickle=False) as kept:
            record = json.loads(str(kept["record"]))
            arrays = {name: kept[name] for name in kept.files if name != "record"}
        if record.pop("format") != FORMAT:
            raise MstlError(f"{path} was written by another version of mstl: remove it, and it is made anew")
    except FileNotFoundError as error:
        raise MstlError(f"{folder} holds no {KEPT}, which a run writes at its end") from error
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise MstlError(f"{path} is damaged: remove it, and it is made anew") from error
    classes, paths, temperature = (record.pop(key) for key in ("classes", "paths", "temperature"))
    evaluation = Evaluation(arrays["logits"], arrays["labels"], tuple(classes), tuple(paths), temperature=temperature)
    heat_maps = arrays["heat_maps"] / np.float32(255) if "heat_maps" in arrays else None
    record["checkpoint"] = folder / record["checkpoint"]
    record["worst"], record["warnings"] = tuple(record["worst"]), tuple(record["warnings"])
    name = folder.resolve().name
    return RunReport(name=name, evaluation=evaluation, photos=arrays["photos"], heat_maps=heat_maps, **record)
