"""Run folders: where a run's files go."""

import itertools
from pathlib import Path

from mstl.errors import MstlError
from mstl.files import make_folder


def new_folder(wanted):
    """Make a run's folder; where there is a run already, with ``-2``, ``-3`` ... after its name."""
    wanted = Path(wanted)
    candidates = itertools.chain([wanted], (wanted.with_name(f"{wanted.name}-{n}") for n in itertools.count(2)))
    return make_folder(next(folder for folder in candidates if not (folder / "config.json").exists()))


def default_folder(data, model):
    """``checkpoints/<data>-<model>``, where data is the name of a folder or archive, or of the folder of a list."""
    path = Path(data).resolve()
    name = path.parent.name if path.suffix in (".txt", ".csv") else path.name.split(".")[0]
    return Path("checkpoints") / f"{name}-{model}"


def latest_run(wanted):
    """The newest of a folder and its numbered successors.

    Raises:
        MstlError: There is none.
    """
    wanted = Path(wanted)
    runs = [wanted, *wanted.parent.glob(f"{wanted.name}-*")]
    runs = [run for run in runs if (run / "last.ckpt").exists()]
    if not runs:
        raise MstlError(f"nothing to resume at {wanted}: it has no last.ckpt; give a run's folder with --resume RUN")
    return max(runs, key=lambda run: (run / "last.ckpt").stat().st_mtime)
