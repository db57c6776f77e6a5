"""What a user wants to have looked at, one photo after the other: files, folders, patterns, addresses, lists."""

import glob
import http.client
import os
import re
import sys
import time
import urllib.request
from dataclasses import dataclass

from mstl.data.checking.scan import SUFFIXES
from mstl.download import TIMEOUT, NoDowngrade, describe, root_cause
from mstl.errors import MstlError, OfflineError
from mstl.runtime.environment import offline

STDIN = "-"
URL = re.compile(r"https?://", re.IGNORECASE)
LARGEST = 32 * 2**20  # bytes of a download: photos are smaller
PATIENCE = 60.0  # seconds that a download may take
BLOCK = 2**16  # bytes


@dataclass(frozen=True)
class Unreadable:
    """A photo that cannot be looked at.

    Attributes:
        path: The file, or what the user gave in its place.
        reason: For people.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Address:
    """A photo on the network."""

    url: str

    def read(self):
        """Download it.

        Returns:
            The content, as bytes.

        Raises:
            OSError: It cannot be had, takes longer than a minute, or has more than 32 MB.
        """
        end = time.monotonic() + PATIENCE
        content = bytearray()
        try:
            request = urllib.request.Request(self.url, headers={"User-Agent": "mstl"})
            with urllib.request.build_opener(NoDowngrade).open(request, timeout=TIMEOUT) as answer:
                while block := answer.read1(BLOCK):
                    content += block
                    if len(content) > LARGEST:
                        raise OSError(f"it has more than {LARGEST >> 20} MB")
                    if time.monotonic() > end:
                        raise TimeoutError(f"it is not here after {PATIENCE:.0f} s")
        except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
            raise OSError(f"cannot be downloaded: {describe(root_cause(error))}") from error
        return bytes(content)


def find_images(arguments, allow_urls=False):
    """Find photos by what was given on a command line.

    Args:
        arguments: Files, folders (with all below them; hidden files and files without an image's suffix are left out),
            patterns such as ``photos/*.jpg`` that the shell has left as they are, addresses that begin with http:// or
            https://, and ``-`` for a list of these on stdin, one a line.
        allow_urls: Whether something may be downloaded.

    Returns:
        A generator of paths, of an :class:`Address` for each address and of an :class:`Unreadable` for what is not
        there. Folders are searched, and stdin is read, as the generator goes on.

    Raises:
        MstlError: There is an address, and nothing may be downloaded.
    """
    for argument in arguments:
        if URL.match(argument):
            if not allow_urls:
                raise MstlError(f"{argument} is on the network: add --allow-url to download it")
            if offline():
                raise OfflineError(f"MSTL_OFFLINE forbids to download {argument}: give a file")
    return (photo for argument in arguments for photo in photos_of(argument, allow_urls))


def photos_of(argument, allow_urls):
    """The photos that one argument means."""
    if argument == STDIN:
        for line in sys.stdin.buffer:
            name = os.fsdecode(line.rstrip(b"\r\n"))
            if name.strip():
                yield from photos_named(name, allow_urls)
    else:
        yield from photos_named(argument, allow_urls)


def photos_named(name, allow_urls):
    """The photos that an argument or a line of the list means."""
    if os.path.isdir(name):
        yield from photos_below(name)
    elif os.path.lexists(name):
        yield name
    elif URL.match(name):
        allowed = allow_urls and not offline()
        yield Address(name) if allowed else Unreadable(name, "on the network, and nothing may be downloaded")
    elif glob.has_magic(name):
        found = sorted(glob.iglob(name, recursive=True))
        for path in found:
            if os.path.isdir(path):
                yield from photos_below(path)
            else:
                yield path
        if not found:
            yield Unreadable(name, "no file matches")
    else:
        yield Unreadable(name, "no such file or folder")


def photos_below(folder):
    """The photos in a folder and in those inside it, sorted by name; a link that leads back is not followed."""
    faults, empty = [], True
    for root, folders, files in os.walk(folder, onerror=faults.append, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not leads_back(root, name))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                empty = False
                yield os.path.join(root, name)
    for fault in faults:
        yield Unreadable(fault.filename, fault.strerror)
    if empty and not faults:
        yield Unreadable(folder, "a folder without photos")


def leads_back(root, name):
    """Whether a folder in ``root`` is a link to one that ``root`` is in."""
    real, target = os.path.realpath(root), os.path.realpath(os.path.join(root, name))
    return os.path.commonpath([real, target]) == target
