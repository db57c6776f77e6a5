"""The demo dataset: drawn once from a seed, so that nothing must be downloaded."""

import io
from pathlib import Path

import numpy as np

from mstl.data.finding.demo_drawing import KINDS, render
from mstl.errors import MstlError
from mstl.files import atomic_folder, make_folder
from mstl.runtime.environment import home

WHAT = "5 kinds of drawn objects, 300 images, drawn on this machine without a network"
SEED = 7
VERSION = 1  # of the drawings; part of the folder's name, so that a change draws them anew
COUNTS = {"train": 40, "val": 20}  # images of each kind


def folder() -> Path:
    """Where the demo dataset is, or will be."""
    return home() / "data" / f"demo-{VERSION}"


def make(where: Path | None = None) -> Path:
    """Draw the demo dataset, if it is not there yet.

    Args:
        where: A folder; one in ``$MSTL_HOME`` if None.

    Returns:
        The folder, with ``train/`` and ``val/``, each with a folder for each kind.

    Raises:
        MstlError: It cannot be written.
    """
    where = where or folder()
    if where.is_dir():
        return where
    make_folder(where.parent)
    try:
        with atomic_folder(where) as fresh:
            draw_all(fresh)
    except OSError as error:
        if not where.is_dir():  # else another process was faster, and drew the same
            raise MstlError(f"cannot draw the demo dataset into {where}: {error.strerror or error}") from error
    return where


def draw_all(folder: Path) -> None:
    """Draw all images into ``train/`` and ``val/``, each from a seed of its own."""
    for split, (name, count) in enumerate(COUNTS.items()):
        for number, kind in enumerate(KINDS):
            (folder / name / kind).mkdir(parents=True)
            for index in range(count):
                rng = np.random.default_rng([SEED, split, number, index])
                buffer = io.BytesIO()
                render(kind, rng).save(buffer, "JPEG", quality=int(rng.integers(60, 95)))
                (folder / name / kind / f"{index:02d}.jpg").write_bytes(buffer.getvalue())
