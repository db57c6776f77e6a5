"""Run folders: where the files of a run go."""

import itertools
import logging
from os import PathLike
from pathlib import Path

from mstl.config import RECORD
from mstl.data.manifest import NAME as MANIFEST
from mstl.data.manifest import Manifest
from mstl.errors import MstlError
from mstl.files import make_folder, write_json
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")


def open_folder(state: TrainState, resumed: bool) -> Path:
    """Make the folder of a run, a new one unless the run is resumed, and write its manifest.csv and config.json.

    Returns:
        The folder.
    """
    folder = make_folder(state.folder) if resumed else new_folder(state.folder)
    if not resumed:
        Manifest.of(*state.image_sets).write(folder / MANIFEST)
    write_json(folder / "config.json", {**state.config.to_dict(), RECORD: state.record.to_dict()})
    logger.info("run: %s", folder)
    return folder


def new_folder(folder: Path) -> Path:
    """Make a folder for a new run; if it holds a run already, ``-2``, ``-3`` ... is appended to its name."""
    candidates = itertools.chain([folder], (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2)))
    return make_folder(next(folder for folder in candidates if not (folder / "config.json").exists()))


def default_folder(data: str | PathLike[str], model: str) -> Path:
    """``checkpoints/<data>-<model>``, where data is the name of a folder or archive, or of a list file's folder."""
    path = Path(data).resolve()
    name = path.parent.name if path.suffix in (".txt", ".csv") else path.name.split(".")[0]
    return Path("checkpoints") / f"{name}-{model}"


def latest_run(folder: str | PathLike[str]) -> Path:
    """The newest run of a folder and its numbered successors.

    Raises:
        MstlError: There is none.
    """
    folder = Path(folder)
    runs = [run for run in (folder, *folder.parent.glob(f"{folder.name}-*")) if (run / "last.ckpt").exists()]
    if not runs:
        raise MstlError(f"nothing to resume at {folder}: it has no last.ckpt; give a run's folder with --resume RUN")
    return max(runs, key=lambda run: (run / "last.ckpt").stat().st_mtime)
