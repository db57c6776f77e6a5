"""Unpack one archive into a folder: every member to its place, or one line that says why not."""

import functools
import logging
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from mstl.data.finding.archives.archive_kinds import refuse_other_kinds
from mstl.data.finding.archives.archive_limits import Limits
from mstl.data.finding.archives.archive_members import Member, tar_members, zip_members
from mstl.data.finding.archives.archive_names import SHOWN, Guess
from mstl.data.finding.archives.archive_places import Places
from mstl.data.image_files import printable
from mstl.errors import MstlError
from mstl.runtime.progress import Progress

logger = logging.getLogger("mstl")


class DamagedArchiveError(MstlError):
    """The file is not what its first bytes or its name say, or is damaged."""


def extract(path: Path, folder: Path, limits: Limits) -> None:
    """Write all members of an archive below a folder, which exists.

    Raises:
        DamagedArchiveError: The file is damaged.
        MstlError: The file is not an archive, is encrypted, exceeds the limits, or has a member that must not be
            written.
        OSError: Something cannot be read or written.
    """
    kind = refuse_other_kinds(path)
    shown = kind if kind in ("zip", "tar") else f"tar in {kind}"
    try:
        write_members(path, kind, folder, limits)
    except (MstlError, OSError) as error:
        if isinstance(error, OSError) and error.errno is None:  # gzip and bz2 raise this for bytes that are not theirs
            raise DamagedArchiveError(f"{path} is no {shown}, or is damaged ({error})") from error
        raise
    except UnicodeDecodeError as error:
        raise MstlError(
            f"{path} has names that are marked as UTF-8, but are not: unpack it, and give the folder"
        ) from error
    except Exception as error:  # the decompressors raise a dozen kinds of errors for damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedArchiveError(f"{path} is no {shown}, or is damaged ({reason})") from error


def write_members(path: Path, kind: str, folder: Path, limits: Limits) -> None:
    """Write the members of an archive of a known kind, with the permissions of new files."""
    places = Places(path, folder)
    guessed = functools.partial(say_guess, path)
    members = zip_members(path, limits, guessed) if kind == "zip" else tar_members(path, kind, limits, guessed)
    with Progress(f"unpacking {printable(path.name)}", number_of(path, kind), "files") as progress:
        for member in members:
            write_member(member, places)
            progress.advance()
    places.say()


def number_of(path: Path, kind: str) -> Callable[[], int] | None:
    """Counts the members of a zip; a tar does not say how many it has."""
    if kind != "zip":
        return None

    def count() -> int:
        with zipfile.ZipFile(path) as archive:
            return len(archive.infolist())

    return count


def write_member(member: Member, places: Places) -> None:
    """Write one member to its place, if it has one."""
    place = places.of(member.name, member.is_folder)
    if place is None:
        return
    if member.is_folder:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as content, open(place, "wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)


def say_guess(path: Path, guess: Guess, name: str) -> None:
    """Say in which encoding the names in an archive are read, which it does not say itself, with one of them."""
    if guess.makes_sense:
        logger.info(
            "data: %s does not say how its names are encoded: read as %s, such as %s; if that is wrong, pack it again, "
            "with names in UTF-8",
            path.name,
            SHOWN.get(guess.encoding, guess.encoding),
            printable(name),
        )
    else:
        logger.warning(
            "data: names in %s cannot be read for certain, such as %s: pack it again, with names in UTF-8",
            path.name,
            printable(name),
        )
