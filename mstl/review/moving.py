"""Moving: what a journal says, done or taken back, as often as it is interrupted."""

import contextlib
import errno
import os
from pathlib import Path

from mstl.files import flush, temporary_name
from mstl.review.journal import Journal

NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)  # of file systems or users


def advance(journal: Journal) -> list[str]:
    """Do what a journal says and is not done yet.

    Returns:
        Paths of files that are gone, at their old place and at the new one.

    Raises:
        OSError: A file cannot be moved, or there is one in its place.
    """
    for folder in journal.folders:
        journal.at(folder).mkdir(exist_ok=True)
    gone = [move.source for move in journal.moves if not move_file(journal.at(move.source), journal.at(move.target))]
    for path, text in journal.lists.items():
        write_list(journal.at(path), content_of(text))
    _flush_folders(journal)
    return gone


def retreat(journal: Journal) -> list[str]:
    """Take back what a journal says, as far as it is done.

    Returns:
        What could not be taken back, because somebody has changed it since; a line each.

    Raises:
        OSError: A file cannot be moved, or there is one in its place.
    """
    left = []
    for move in journal.moves:
        journal.at(move.source).parent.mkdir(parents=True, exist_ok=True)
        if not move_file(journal.at(move.target), journal.at(move.source)):
            left.append(f"{move.source} cannot be put back: it is not at {move.target} any more")
    for path, text in journal.lists.items():
        file = journal.at(path)
        if file.is_file() and file.read_bytes() != content_of(text):
            left.append(f"{path} has been changed since it was written: it stays")
        else:
            file.unlink(missing_ok=True)
    _flush_folders(journal)
    for folder in reversed(journal.folders):
        with contextlib.suppress(OSError):  # somebody has put something else into it
            journal.at(folder).rmdir()
    return left


def move_file(source: Path, target: Path) -> bool:
    """Move a file to a place where nothing is; done already, or by half, is no error.

    By a second name and the end of the first, as to rename it would overwrite what somebody has put there meanwhile.

    Returns:
        Whether the file was at one of the two places.

    Raises:
        OSError: It cannot be moved, or there is another file.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if not os.path.lexists(source):
            return True
        if not os.path.samestat(os.lstat(source), os.lstat(target)):
            raise
    except FileNotFoundError:
        if not os.path.lexists(source):
            return os.path.lexists(target)
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        os.rename(source, target)
        return True
    os.unlink(source)
    return True


def write_list(path: Path, content: bytes) -> None:
    """Write a new file, whole or not at all; one with this content is no error.

    Raises:
        OSError: It cannot be written, or there is another one.
    """
    temporary = temporary_name(path.with_stem("review-list"))
    try:
        temporary.write_bytes(content)
        flush(temporary)
        move_file(temporary, path)
    except FileExistsError:
        if path.read_bytes() != content:
            raise
    finally:
        temporary.unlink(missing_ok=True)


def content_of(text: str) -> bytes:
    """The content of a list; its paths may be those of files whose names are not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def folders_of(journal: Journal) -> set[Path]:
    """The folders whose files a journal moves, at both ends."""
    return {journal.at(path).parent for move in journal.moves for path in (move.source, move.target)}


def _flush_folders(journal: Journal) -> None:
    for folder in folders_of(journal):
        if folder.is_dir():
            flush(folder)
