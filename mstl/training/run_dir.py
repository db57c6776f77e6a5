"""Run folders: where the files of a run go."""

import contextlib
import itertools
import logging
import os
import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from mstl.config import RECORD, TrainConfig
from mstl.data.finding.archives.archive import without_suffix
from mstl.data.finding.lists.list_file import LIST_SUFFIXES
from mstl.data.manifest import NAME as MANIFEST
from mstl.data.manifest import Manifest
from mstl.errors import MstlError
from mstl.files import check_output_folder, make_folder, write_json
from mstl.training.folder_lock import FolderLock
from mstl.training.leftovers import tidy
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")
CONFIG = "config.json"


def check_writable(config: TrainConfig, resume: str | PathLike[str] | None) -> None:
    """Check, before data and weights are loaded, that the run's folder can be written to; nothing is created.

    Raises:
        MstlError: It cannot, or there is no folder to resume.
    """
    if resume is not None and not Path(resume).is_dir():
        raise MstlError(f"nothing to resume at {resume}: it is no folder; give that of a run with --resume RUN")
    check_output_folder(resume or config.out or default_folder("data", "model").parent)


@contextlib.contextmanager
def opened(state: TrainState, resumed: bool) -> Iterator[None]:
    """Make the folder of a run, a new one unless the run is resumed, and write its manifest.csv and config.json.

    What a run that was killed has left half written is removed when it is resumed. If the block ends, however it does,
    before there is a checkpoint, both files are removed: the run that is started next gets the same folder.

    Raises:
        MstlError: It cannot be written to, has images of the dataset, or another process is resuming the same run.
    """
    if resumed:
        lock = FolderLock(state.folder)
        if lock.is_held is False:
            lock.release()
            raise MstlError(f"cannot resume {state.folder}: another process is training there; stop it, or wait for it")
    else:
        refuse_folder_of_images(state)
        state.folder, lock = new_folder(state.folder)
    folder = state.folder
    try:
        tidy(folder, len(state.history))
        if not resumed:
            Manifest.of(*state.image_sets).write(folder / MANIFEST)
        write_config(state)
        logger.info("run: %s", folder)
        yield
    finally:
        if not has_checkpoint(folder):
            give_back(folder)
        lock.release()


def write_config(state: TrainState) -> None:
    """Write config.json: the settings, and what the run notes of what it uses."""
    write_json(state.folder / CONFIG, {**state.config.to_dict(), RECORD: state.record.to_dict()})


@contextlib.contextmanager
def cost_kept(state: TrainState) -> Iterator[None]:
    """At the end of this block, however it ends, config.json gets what the run has cost."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, MstlError):  # which would hide why the run has ended
            state.note_cost()
            write_config(state)
        raise
    state.note_cost()
    write_config(state)


def has_checkpoint(folder: Path) -> bool:
    """Whether a run in this folder has finished an epoch."""
    return any((folder / name).exists() for name in ("best.ckpt", "last.ckpt"))


def give_back(folder: Path) -> None:
    """Remove manifest.csv and config.json from the folder of a run, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):  # which would hide why the run has ended; or there are files of somebody else
        for name in (MANIFEST, CONFIG):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def refuse_folder_of_images(state: TrainState) -> None:
    """Refuse to write into a folder of the dataset's images, such as a class folder: it would be no class any more.

    Raises:
        MstlError: The run's folder is one.
    """
    folders = {os.path.dirname(path) for images in state.image_sets for path in images.paths}
    if os.path.realpath(state.folder) in map(os.path.realpath, folders):
        raise MstlError(f"cannot write the run into {state.folder}, which has images of the data: choose another --out")


def new_folder(folder: Path) -> tuple[Path, FolderLock]:
    """Make and lock a folder for a new run; if it holds a run already, ``-2``, ``-3`` ... is appended to its name.

    Of several processes that ask for the same folder at once, each gets one of its own.
    """
    candidates = itertools.chain([folder], (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2)))
    claimed = ((candidate, claim(candidate)) for candidate in candidates)
    return next((candidate, lock) for candidate, lock in claimed if lock is not None)


def claim(folder: Path) -> FolderLock | None:
    """Make a folder and an empty config.json in it; None if it belongs to another run.

    A run that was killed before it had a checkpoint has no use for its folder any more.

    Raises:
        MstlError: The folder cannot be written to.
    """
    lock = FolderLock(make_folder(folder))
    try:
        if lock.is_held is not False and not has_checkpoint(folder):
            if lock.is_held:
                (folder / CONFIG).unlink(missing_ok=True)
            with open(folder / CONFIG, "x"):  # where nobody knows of locks, only one process succeeds
                return lock
    except FileExistsError:
        pass
    except OSError as error:
        lock.release()
        raise MstlError(f"cannot write into the folder {folder}: {error.strerror or error}; choose another") from error
    lock.release()
    return None


def default_folder(data: str | PathLike[str], model: str) -> Path:
    """``checkpoints/<data>-<model>``, where data is the name of a folder or archive, or of a list file's folder."""
    path = Path(data).resolve()
    name = path.parent.name if path.suffix.lower() in LIST_SUFFIXES else without_suffix(path.name)
    return Path("checkpoints") / f"{name or 'data'}-{model}"


def latest_run(folder: str | PathLike[str]) -> Path:
    """The newest run of a folder and its numbered successors.

    Raises:
        MstlError: There is none.
    """
    folder = Path(folder)
    later = (run for run in folder.parent.glob("*-*") if re.fullmatch(re.escape(folder.name) + r"-\d+", run.name))
    runs = [run for run in (folder, *later) if (run / "last.ckpt").exists()]
    if not runs:
        raise MstlError(f"nothing to resume at {folder}: it has no last.ckpt; give a run's folder with --resume RUN")
    return max(runs, key=lambda run: (run / "last.ckpt").stat().st_mtime)
