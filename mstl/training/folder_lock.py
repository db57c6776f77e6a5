"""FolderLock: a run's hold on its folder, which ends with its process, however that ends."""

import fcntl
import os
from pathlib import Path


class FolderLock:
    """A lock on a folder itself, so that no file is left behind.

    Args:
        folder: An existing folder.

    Attributes:
        is_held: True if the lock is this object's, False if it is another's. None where the file system locks no
            folders, so that nobody knows.
    """

    def __init__(self, folder: Path) -> None:
        self.descriptor = os.open(folder, os.O_RDONLY)
        self.is_held: bool | None = None
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.is_held = True
        except BlockingIOError:
            self.is_held = False
        except OSError:  # such as that of a network's
            return

    def release(self) -> None:
        """Give the lock up."""
        os.close(self.descriptor)
