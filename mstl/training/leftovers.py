"""Leftovers: what a run that is killed while it writes leaves behind, and how the resumed run gets rid of it."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mstl.checkpoint import read_checkpoint

PREVIOUS = ".best-previous.ckpt"
# What files.atomic_path writes to, and MindSpore, of the files in a run's folder
TEMPORARY = re.compile(r"\.(best|last|config|history|manifest|report|curves|predictions|test)-\w+\.\w+")


@contextlib.contextmanager
def previous_kept(best: Path) -> Iterator[None]:
    """Keep best.ckpt under another name, too, until it and last.ckpt are replaced in the block, or neither is."""
    previous = best.with_name(PREVIOUS)
    previous.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is none yet, or the file system has no links
        os.link(best, previous)
    try:
        yield
    except BaseException:
        if previous.exists():
            os.replace(previous, best)
        raise
    finally:
        previous.unlink(missing_ok=True)


def tidy(folder: Path, epochs: int) -> None:
    """Undo what a run that was killed had begun to write.

    Args:
        folder: The run's.
        epochs: The number of epochs that last.ckpt knows. If best.ckpt is of a later one, the run was killed before it
            wrote last.ckpt as well.
    """
    best, previous = folder / "best.ckpt", folder / PREVIOUS
    if best.exists() and previous.exists():
        metadata = read_checkpoint(best)[1] or {}
        if metadata.get("metrics", {}).get("epoch", 0) > epochs:
            os.replace(previous, best)
    for path in folder.iterdir():
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink()
