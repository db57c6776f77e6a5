"""ScanCache: what the last scan of a dataset has shown, so that only changed files are read again."""

import base64
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence

from mstl.data.checking.scan import THUMB, examine_all
from mstl.data.samples import ScanResult, stamp
from mstl.errors import MstlError
from mstl.files import atomic_path, make_folder
from mstl.runtime.environment import home

logger = logging.getLogger("mstl")
VERSION = 6  # of what a scan finds and of the stamps; another one makes all that is cached worthless
MANY = 2000  # so many files take long enough to read that it is logged


class ScanCache:
    """A file in ``$MSTL_HOME/scans`` with the scan of each usable file of one dataset.

    Files that cannot be used are not cached: they are few, and another user or an update may be able to read them.

    Args:
        key: Tells the dataset from others.

    Attributes:
        path: The cache's file.
        scans: The last scan of each usable file, by absolute path.
        near: Pairs of digests of near duplicates, by a digest of all the digests they were searched for in.
    """

    def __init__(self, key: str) -> None:
        self.path = home() / "scans" / f"{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:16]}.json"
        self.scans: dict[str, ScanResult] = {}
        self.near: dict[str, list[tuple[str, str]]] = {}
        try:
            self.load()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.scans, self.near = {}, {}  # missing or damaged: it will be written anew

    def scan(self, paths: Iterable[str]) -> dict[str, ScanResult]:
        """Read files, except those that have not changed since the last scan.

        Returns:
            A result for each path, in the order given.
        """
        results: dict[str, ScanResult | None] = {path: self.unchanged(path) for path in paths}
        fresh = [path for path, result in results.items() if result is None]
        if len(fresh) > MANY:
            logger.info("reading %s files, once for all runs", f"{len(fresh):,}")
        read = examine_all(fresh)
        scans = {path: result or read[path] for path, result in results.items()}
        usable = {os.path.abspath(path): result for path, result in scans.items() if not result.problem}
        if usable != self.scans:
            self.scans = usable
            self.save()
        return scans

    def unchanged(self, path: str) -> ScanResult | None:
        """The cached scan of a file; None if there is none, or the file has changed since."""
        known = self.scans.get(os.path.abspath(path))
        return known if known and known.stamp == stamp(path) else None

    def near_pairs(self, digests: Sequence[str], search: Callable[[], list[tuple[str, str]]]) -> list[tuple[str, str]]:
        """Pairs of digests of near duplicates: from the cache, or from ``search()`` if the images have changed."""
        key = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
        if key not in self.near:
            self.near = {key: search()}
            self.save()
        return self.near[key]

    def load(self) -> None:
        """Read the file: a line of JSON for what it is, one for each scan, and one for each pair of near duplicates.

        By lines, as the whole of a large dataset would take half a gigabyte for a moment.

        Raises:
            OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError: It is missing or damaged.
        """
        with open(self.path, encoding="utf-8") as lines:
            head = json.loads(next(lines, ""))
            if head["version"] != VERSION:
                return
            rows = map(json.loads, lines)
            for path, *fields in itertools.islice(rows, head["files"]):
                self.scans[path] = restore(*fields)
            pairs = [(str(first), str(second)) for first, second in rows]
        if len(self.scans) != head["files"] or len(pairs) != head["pairs"]:
            raise ValueError("cut off")
        self.near = {head["near"]: pairs}

    def save(self) -> None:
        """Write the file, whole or not at all; if it cannot be written, the next scan merely takes longer."""
        near, pairs = next(iter(self.near.items()), ("", []))
        head = {"version": VERSION, "files": len(self.scans), "pairs": len(pairs), "near": near}
        rows = itertools.chain([head], ([path, *plain(scan)] for path, scan in self.scans.items()), pairs)
        try:
            make_folder(self.path.parent)
            with atomic_path(self.path) as temporary, open(temporary, "w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(row)}\n" for row in rows)
        except (MstlError, OSError) as error:
            logger.debug("cannot write the scan cache %s: %s", self.path, error)


def plain(result: ScanResult) -> list[object]:
    """The scan of a usable file as values for JSON."""
    return [result.stamp, result.notes, result.digest, base64.b64encode(result.thumb).decode(), *result.size]


def restore(stamp: str, notes: list[tuple[str, str]], digest: str, thumb: str, width: int, height: int) -> ScanResult:
    """The inverse of :func:`plain`.

    Raises:
        ValueError, TypeError: The values are damaged.
    """
    pixels = base64.b64decode(thumb)
    if len(pixels) != THUMB**2 or not isinstance(digest, str) or not isinstance(stamp, str):
        raise ValueError("damaged")
    size = int(width), int(height)
    return ScanResult("", "", tuple((word, detail) for word, detail in notes), digest, pixels, stamp, size)
