"""What a user wants predicted: images named by files, folders, patterns, URLs and lists, found one after the other."""

import glob
import http.client
import logging
import os
import re
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass

from mstl.data.finding.folders.other_folders import why_no_data
from mstl.data.image_files import has_image_suffix, printable
from mstl.data.opening import UnreadableImage, open_image
from mstl.download.failures import describe, root_cause
from mstl.download.opener import strict_urlopen
from mstl.errors import MstlError, OfflineError
from mstl.runtime.environment import offline

logger = logging.getLogger("mstl")
STDIN = "-"
URL = re.compile(r"https?://", re.IGNORECASE)
LARGEST = 32 * 2**20  # bytes of a download: images are smaller
PATIENCE = 60.0  # seconds that a download may take
BLOCK = 2**16  # bytes


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be read.

    Attributes:
        path: The file, or what the user gave instead; None for bytes and arrays.
        reason: A sentence for users.
    """

    path: str | None
    reason: str


@dataclass(frozen=True)
class Address:
    """An image on the network."""

    url: str

    def read(self) -> bytes:
        """Download it.

        Returns:
            The content.

        Raises:
            OSError: It cannot be downloaded, takes longer than a minute, or has more than 32 MB.
        """
        end = time.monotonic() + PATIENCE
        content = bytearray()
        try:
            request = urllib.request.Request(self.url, headers={"User-Agent": "mstl"})
            with strict_urlopen(request) as answer:
                while block := answer.read1(BLOCK):
                    content += block
                    if len(content) > LARGEST:
                        raise OSError(f"it has more than {LARGEST >> 20} MB")
                    if time.monotonic() > end:
                        raise TimeoutError(f"it has not arrived after {PATIENCE:.0f} s")
        except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
            raise OSError(f"cannot be downloaded: {describe(root_cause(error))}") from error
        return bytes(content)


def find_images(arguments: Iterable[str], allow_urls: bool = False) -> Iterator[str | Address | Unreadable]:
    """Find the images that command-line arguments name.

    Args:
        arguments: Files, folders (with all images below them, whatever their names), patterns such as ``images/*.jpg``
            that the shell has not expanded, URLs that begin with http:// or https://, and ``-`` for a list of these on
            stdin, one a line.
        allow_urls: Whether something may be downloaded.

    Returns:
        A generator of paths, of an :class:`Address` for each URL and of an :class:`Unreadable` for what does not
        exist. Folders are searched, and stdin is read, as the generator advances.

    Raises:
        MstlError: There is a URL, and nothing may be downloaded.
    """
    arguments = list(arguments)
    for argument in arguments:
        if URL.match(argument):
            if not allow_urls:
                raise MstlError(f"{argument} is on the network: add --allow-url to download it")
            if offline():
                raise OfflineError(f"MSTL_OFFLINE forbids downloading {argument}: give a file")
    return (image for argument in arguments for image in images_of(argument, allow_urls))


def number_of_images(arguments: Iterable[str]) -> int | None:
    """About how many images :func:`find_images` will find, by the names of files; None if there is a list on stdin."""
    total = 0
    for argument in arguments:
        if argument == STDIN:
            return None
        is_pattern = glob.has_magic(argument) and not os.path.lexists(argument)
        for name in glob.iglob(argument, recursive=True) if is_pattern else [argument]:
            total += sum(1 for _ in names_below(name)) if os.path.isdir(name) else 1
    return total


def names_below(folder: str) -> Iterator[str]:
    """The files in a folder and in those inside it that are called like images."""
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (name for name in files if not name.startswith(".") and has_image_suffix(name))


def images_of(argument: str, allow_urls: bool) -> Iterator[str | Address | Unreadable]:
    """The images that one argument names."""
    if argument == STDIN:
        for line in sys.stdin.buffer:
            name = os.fsdecode(line.rstrip(b"\r\n"))
            if name.strip():
                yield from images_named(name, allow_urls)
    else:
        yield from images_named(argument, allow_urls)


def images_named(name: str, allow_urls: bool) -> Iterator[str | Address | Unreadable]:
    """The images that an argument or a line of the list names."""
    if os.path.isdir(name):
        yield from images_below(name)
    elif os.path.lexists(name):
        yield name
    elif URL.match(name):
        allowed = allow_urls and not offline()
        yield Address(name) if allowed else Unreadable(name, "on the network, and nothing may be downloaded")
    elif glob.has_magic(name):
        found = sorted(glob.iglob(name, recursive=True))
        for path in found:
            if os.path.isdir(path):
                yield from images_below(path)
            else:
                yield path
        if not found:
            yield Unreadable(name, "no file matches")
    else:
        yield Unreadable(name, "no such file or folder")


def images_below(folder: str) -> Iterator[str | Unreadable]:
    """The images in a folder and in those inside it, sorted by name, as training finds them.

    Files count by their content, and those that are called like images in any case, so that damaged ones are named.
    Hidden files, folders of runs, systems and tools, links that lead back and files that are no images are left out;
    how many of the last three is logged.
    """
    faults: list[OSError] = []
    others: list[str] = []
    skipped: dict[str, str] = {}
    empty = True
    for root, folders, files in os.walk(folder, onerror=faults.append, followlinks=True):
        inside = sorted(os.path.join(root, name) for name in folders if not name.startswith("."))
        reasons = {path: "a link that leads back" if leads_back(path) else why_no_data(path) for path in inside}
        folders[:] = [os.path.basename(path) for path, reason in reasons.items() if not reason]
        skipped.update((path, reason) for path, reason in reasons.items() if reason)
        for path in sorted(os.path.join(root, name) for name in files if not name.startswith(".")):
            if is_no_image(path):
                others.append(path)
            else:
                empty = False
                yield path
    log_left_out(folder, others, skipped)
    for fault in faults:
        yield Unreadable(str(fault.filename), fault.strerror or str(fault))
    if empty and not faults:
        yield Unreadable(folder, "a folder without images")


def is_no_image(path: str) -> bool:
    """Whether a file is no image, by its name and its content; one that cannot be read may be one."""
    if has_image_suffix(path):
        return False
    try:
        with open_image(path):
            return False
    except UnreadableImage as fault:
        return fault.problem in ("not_an_image", "empty")


def log_left_out(folder: str, others: Sequence[str], skipped: Mapping[str, str]) -> None:
    """Say on one line what of a folder is not predicted.

    Args:
        folder: The folder.
        others: Files that are no images.
        skipped: Why each folder that was not searched was not.
    """
    parts = []
    if others:
        parts.append(f"{counted(others, 'file')} without an image, such as {printable(others[0])}")
    if skipped:
        path, reason = next(iter(skipped.items()))
        parts.append(f"{counted(skipped, 'folder')}, such as {printable(path)} ({reason})")
    if parts:
        logger.info("left out of %s: %s", printable(folder), "; ".join(parts))


def counted(things: Sized, word: str) -> str:
    """The number of things, with the word for one of them."""
    return f"{len(things):,} {word}{'s' * (len(things) != 1)}"


def leads_back(path: str) -> bool:
    """Whether a folder is a link to one that it is in."""
    real, target = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return os.path.commonpath([real, target]) == target
