"""Row storage: where the features of all images are kept in a run, in memory if they are few, else in a mapped file.

A mapped file takes no memory that the system could not take back: the rows that are read come from its file cache. Rows
here and there are read from the file itself, as each would map megabytes around it.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mstl.errors import MstlError
from mstl.files import make_folder
from mstl.runtime.environment import home
from mstl.runtime.memory import available_memory

IN_MEMORY = 32 * 10**6  # bytes of an array, up to which it needs no file
MEMORY_SHARE = 0.5  # of the free memory that features may take,
DISK_SHARE = 0.5  # or else of the free disk


class MappedRows(np.memmap[Any, Any]):
    """A memory map of a whole file that stays open.

    Attributes:
        file: The file; also that of a view, which may be of some of its rows.
    """

    file: IO[bytes] | None = None

    def __array_finalize__(self, obj: Any) -> None:
        """Take the file over."""
        super().__array_finalize__(obj)
        self.file = getattr(obj, "file", None)


def take(rows: NDArray[Any], indices: NDArray[np.int64]) -> NDArray[Any]:
    """A copy of some rows, such as ``rows[indices]``.

    Args:
        rows: (N, ...), from :func:`empty_rows`; axes of length 1 may have been left out.
        indices: (n,) from 0.

    Raises:
        OSError: They cannot be read.
    """
    file = rows.file if isinstance(rows, MappedRows) and rows.flags.c_contiguous and hasattr(os, "preadv") else None
    if file is None or os.fstat(file.fileno()).st_size != rows.nbytes:  # in memory, or not all rows in their order
        return np.asarray(rows[indices])
    taken = np.empty((len(indices), *rows.shape[1:]), rows.dtype)
    size = rows[0].nbytes
    for row, index in zip(taken.view(np.uint8).reshape(len(taken), size), indices.tolist(), strict=True):
        if os.preadv(file.fileno(), [row], index * size) != size:
            raise OSError(f"the temporary file of features in {home()} is cut off")
    return taken


def fits(size: int) -> bool:
    """Whether so many bytes of features can be kept, in memory or on the disk of mstl's cache."""
    return size <= MEMORY_SHARE * available_memory() or size <= DISK_SHARE * free_disk()


def free_disk() -> int:
    """Free bytes where mstl's cache is, or will be."""
    folder = home().absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def empty_rows(shape: tuple[int, ...], dtype: np.dtype[np.float32] | np.dtype[np.float16]) -> NDArray[Any]:
    """An array to fill in, (N, ...): a memory map if it is large and there is room on the disk.

    Its file has no name, so that it is gone with the process, however that ends.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    try:
        return mapped_rows(make_folder(home()), shape, dtype, size)
    except (MstlError, OSError):  # no room, or it cannot be written to
        return np.empty(shape, dtype)


def mapped_rows(
    folder: Path, shape: tuple[int, ...], dtype: np.dtype[np.float32] | np.dtype[np.float16], size: int
) -> MappedRows:
    """The same in a new file of a folder, whatever its size.

    Raises:
        OSError: There is no room.
    """
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # open for as long as there are views of it
    if hasattr(os, "posix_fallocate"):  # a full disk shows here; later, it would be the end of the process
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)
    rows = MappedRows(file, dtype, "r+", shape=shape)
    rows.file = file
    return rows
