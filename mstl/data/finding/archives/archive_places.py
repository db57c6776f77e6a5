"""Places: where each member of an archive lands in a folder, and which members cannot be written there."""

import logging
import os
import unicodedata
from pathlib import Path

from mstl.data.finding.archives.archive_names import folders_and_file, is_device, shortened
from mstl.data.image_files import printable
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
LONGEST = 255  # bytes of a name, where the system does not say


class Places:
    """Where the members of one archive land, each in a place of its own."""

    def __init__(self, path: Path, folder: Path) -> None:
        """Begin with no member.

        Args:
            path: The archive, that is named in messages.
            folder: It exists; all places lie in it.
        """
        self.path, self.folder = path, folder
        self.folds = folds_names(folder)
        self.longest = longest_name(folder)
        self.spelled: dict[str, str] = {}  # folders and files by what their names are to the disk, if it folds names
        self.members: dict[Path, str] = {}
        self.notes: dict[str, list[str]] = {}

    def of(self, name: str, is_folder: bool) -> Path | None:
        """Where a member lands; None for one that is left out, which is noted.

        Raises:
            MstlError: It would land outside of the folder, or where another one is.
        """
        parts = folders_and_file(name)
        if parts is None or not (parts or is_folder):
            raise MstlError(f"{self.path} holds {name!r}, which would land outside its folder")
        if any(map(is_device, parts)):
            self.note("left out (the name of a device for Windows)", name)
            return None
        short = [shortened(part, self.longest) for part in parts]
        if short != parts:
            self.note("renamed (a name too long for the disk)", name)
        place = self.folder.joinpath(*short)
        if self.folds:
            self.refuse_folded(short)
        if not is_folder:
            if place in self.members:
                self.refuse_other(self.members[place], name)
                self.note("there twice (the last is taken)", name)
            self.members[place] = name
        return place

    def refuse_other(self, before: str, name: str) -> None:
        """Refuse a second member in one place, unless it has the same name, as a newer version in a tar has.

        Raises:
            MstlError: Its name is another.
        """
        if before != name:
            raise MstlError(f"{self.path} holds {before!r} and {name!r}, which are one file: rename one of them")

    def refuse_folded(self, parts: list[str]) -> None:
        """Refuse a name that the disk takes for another one.

        Raises:
            MstlError: It does.
        """
        for end in range(1, len(parts) + 1):
            name = "/".join(parts[:end])
            before = self.spelled.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if before != name:
                raise MstlError(
                    f"{self.path} holds {before!r} and {name!r}, which are one name on this disk: rename one of them, "
                    "or set MSTL_HOME to a folder on a disk that tells them apart"
                )

    def note(self, what: str, name: str) -> None:
        """Remember what is said of a member."""
        self.notes.setdefault(what, []).append(name)

    def say(self) -> None:
        """Say what is unusual about the members, one line for each kind."""
        for what, names in self.notes.items():
            logger.warning(
                "data: of %s, %d %s %s, such as %s",
                self.path.name,
                len(names),
                "file is" if len(names) == 1 else "files are",
                what,
                printable(names[0]),
            )


def folds_names(folder: Path) -> bool:
    """Whether the disk takes names for the same that differ in their case, as those of macOS and Windows do."""
    probe = folder / ".mstl-case"
    probe.mkdir()
    try:
        return (folder / ".MSTL-CASE").exists()
    finally:
        probe.rmdir()


def longest_name(folder: Path) -> int:
    """How many bytes a name in a folder may have."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows does not say
        return LONGEST
