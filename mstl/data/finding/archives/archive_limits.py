"""Limits of unpacking: how many files and bytes may come of an archive, for its size and for the free disk space."""

import shutil
from pathlib import Path

from mstl.errors import MstlError

FILES = 3_000_000
RATIO = 100  # bytes that come of one byte; images, which are compressed already, give about one
HARMLESS = 100_000_000  # bytes, up to which any ratio is allowed
RESERVE = 100_000_000  # bytes that stay free on the disk
BLOCK = 4096  # bytes that a file may take more on the disk than it has


class Limits:
    """What may still come of an archive and of those inside it."""

    def __init__(self, path: Path, size: int, folder: Path) -> None:
        """Begin with nothing unpacked.

        Args:
            path: The archive, or the folder of archives, that is named in messages.
            size: Its bytes.
            folder: Where it is unpacked.
        """
        self.path, self.folder = path, folder
        self.most = max(HARMLESS, RATIO * size)
        self.files = 0
        self.bytes = 0

    def take(self, files: int, size: int) -> None:
        """Count files of together ``size`` bytes, before they are written.

        Raises:
            MstlError: They are too many, or too large.
        """
        self.files += files
        self.bytes += size
        if self.files > FILES:
            raise MstlError(f"{self.path} holds more than {FILES:,} files: divide it, or unpack it and give the folder")
        self.check(self.bytes)
        free = shutil.disk_usage(self.folder).free - RESERVE
        if size + BLOCK * files > free:
            raise MstlError(
                f"no room to unpack {self.path}: {size / 1e9:.2f} GB into {self.folder.parent}, where "
                f"{max(0, free) / 1e9:.2f} GB can be used; make room, or set MSTL_HOME to a folder on another disk"
            )

    def check(self, size: int) -> None:
        """Refuse so many bytes altogether.

        Raises:
            MstlError: No archive of images would give them.
        """
        if size > self.most:
            raise MstlError(
                f"{self.path} would unpack to {size / 1e9:.2f} GB or more, over {RATIO} times its size, as no archive "
                "of images does: unpack it and give the folder, if it is sound"
            )
