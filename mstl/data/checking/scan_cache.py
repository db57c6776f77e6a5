"""What is kept of the last look at a data set, so that the next one costs nothing."""

import base64
import hashlib
import json
import logging
import os

from mstl.data.checking.scan import THUMB, examine_all
from mstl.data.samples import ScanResult, stamp
from mstl.errors import MstlError
from mstl.files import make_folder, write_text
from mstl.runtime.environment import home

logger = logging.getLogger("mstl")
VERSION = 2  # of what is looked at; another one makes all that is kept worthless
MANY = 2000  # files that take so long to look at that it is said


class Kept:
    """A file in ``$MSTL_HOME/scans`` about the usable photos of one data set, each with its size and time.

    Files that could not be used are not kept: they are few, and another user or an update may be able to read them.

    Args:
        key: What tells the data set from others.
    """

    def __init__(self, key):
        self.path = home() / "scans" / f"{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:16]}.json"
        self.files, self.near = {}, {}
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            if values["version"] == VERSION:
                self.files = {path: (text, restore(text, *fields)) for path, (text, *fields) in values["files"].items()}
                self.near = {values["near"]["of"]: [(str(a), str(b)) for a, b in values["near"]["pairs"]]}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.files, self.near = {}, {}  # not there, or damaged: made anew

    def photos(self, paths):
        """Look at files, those excepted that have not changed since the last time.

        Returns:
            A dict from path to :class:`mstl.data.checking.scan.ScanResult`, in the order given.
        """
        stamps = {path: stamp(path) for path in dict.fromkeys(paths)}
        known = {path: self.files.get(os.path.abspath(path), (None, None)) for path in stamps}
        fresh = [path for path in stamps if stamps[path] is None or known[path][0] != stamps[path]]
        if len(fresh) > MANY:
            logger.info("looking at %s files, once for all runs", f"{len(fresh):,}")
        seen = examine_all(fresh)
        photos = {path: seen[path] if path in seen else known[path][1] for path in stamps}
        usable = {path: photo for path, photo in photos.items() if not photo.problem}
        files = {os.path.abspath(path): (photo.stamp, photo) for path, photo in usable.items()}
        if files != self.files:
            self.files = files
            self.save()
        return photos

    def near_pairs(self, digests, search):
        """Pairs of digests whose photos look alike: kept, or by ``search()`` if the photos have changed."""
        key = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
        if key not in self.near:
            self.near = {key: search()}
            self.save()
        return self.near[key]

    def save(self):
        """Write it, whole or not at all; a folder that cannot be written only means that the next look takes longer."""
        of, pairs = next(iter(self.near.items()), ("", []))
        files = {path: [text, *plain(photo)] for path, (text, photo) in self.files.items()}
        text = json.dumps({"version": VERSION, "files": files, "near": {"of": of, "pairs": pairs}})
        try:
            make_folder(self.path.parent)
            write_text(self.path, text)
        except (MstlError, OSError) as error:
            logger.debug("cannot keep %s: %s", self.path, error)


def plain(photo):
    """A usable photo as values for JSON."""
    return [photo.notes, photo.native, photo.digest, base64.b64encode(photo.thumb).decode()]


def restore(text, notes, native, digest, thumb):
    """The inverse of :func:`plain`; a ValueError or TypeError where it cannot be."""
    pixels = base64.b64decode(thumb)
    if len(pixels) != THUMB**2 or not isinstance(digest, str):
        raise ValueError("damaged")
    return ScanResult("", "", tuple((word, detail) for word, detail in notes), bool(native), digest, pixels, text)
