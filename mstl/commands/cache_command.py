"""``mstl cache``: list and clear the feature cache and the unpacked copies of archives."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mstl.commands import shared
from mstl.errors import MstlError

if TYPE_CHECKING:  # commands import what they need when they run
    from mstl.data.finding.archives.unpacked_copies import Copy

NAME = 12  # digits of the name of features that are shown


@shared.group
def main() -> None:
    """List or clear cached features and unpacked archives.

    A frozen backbone runs once on each image; its features are cached on disk, and later runs on the same images
    start from them. The least recently used features are removed beyond MSTL_CACHE_SIZE (4GB by default; 0 disables
    the cache).

    An archive that is given as data is unpacked once, into MSTL_HOME; the copy stays until it is cleared.

    Downloaded datasets and weights are neither listed nor cleared.
    """


@shared.command_of(main, "list")
def list_() -> None:
    """List cached features and unpacked archives, most recently used first.

    An image counts once for each of its views.
    """
    from mstl.data.finding.archives.unpacked_copies import copies_folder, list_copies
    from mstl.features.cache_folders import features_folder, list_folders
    from mstl.features.cache_size import show_size, size_limit

    folders, limit = list_folders(), size_limit()
    if folders:
        print(f"{'name':<14}{'model':<18}{'stage':<10}{'images':>9}{'size':>10}  last used")
    for folder in folders:
        model, stage = (str(folder.description.get(key, "-")) for key in ("model", "stage"))
        size, used = show_size(folder.bytes), show_time(folder.last_used)
        print(f"{folder.name[:NAME]:<14}{model:<18}{stage:<10}{folder.rows:>9,}{size:>10}  {used}")
    total = sum(folder.bytes for folder in folders)
    print(f"{show_size(total)} of {show_size(limit)} (MSTL_CACHE_SIZE) in {features_folder()}")
    copies = list_copies()
    if copies:
        print()
        show_copies(copies)
        print(f"{show_size(sum(copy.bytes for copy in copies))} of unpacked archives in {copies_folder()}")


def show_copies(copies: Iterable["Copy"]) -> None:
    """Print a table of unpacked archives."""
    from mstl.data.image_files import printable
    from mstl.features.cache_size import show_size

    names = {copy: printable(copy.path.name) for copy in copies}
    width = max(len("name"), *map(len, names.values())) + 2
    print(f"{'name':<{width}}{'files':>9}{'size':>10}  {'unpacked':<18}{'last used':<18}archive")
    for copy, name in names.items():
        what = printable(copy.archive or "-") if copy.finished else "unfinished"
        times = f"{show_time(copy.unpacked):<18}{show_time(copy.last_used):<18}"
        print(f"{name:<{width}}{copy.files:>9,}{show_size(copy.bytes):>10}  {times}{what}")


@shared.command_of(main)
@click.argument("names", nargs=-1, metavar="[NAME...]")
def clear(names: tuple[str, ...]) -> None:
    """Remove the features and unpacked archives NAMEs, or all of them.

    `mstl cache list` shows the names; a unique beginning is enough. What is removed is computed or unpacked again when
    it is needed. Archives themselves stay where they are. No run should be reading what is removed.
    """
    from mstl.data.finding.archives.unpacked_copies import clear_copies, list_copies
    from mstl.features.cache_folders import clear as clear_features
    from mstl.features.cache_size import show_size

    copies = list_copies()
    if names:
        copies, features = chosen(names, copies)
        freed = clear_features(features) if features else 0
    else:
        freed = clear_features()
    print(f"{show_size(freed + clear_copies(copies))} freed")


def chosen(names: Iterable[str], copies: Iterable["Copy"]) -> tuple[list["Copy"], list[str]]:
    """The copies and the features that names mean, by their beginnings or, for a copy, by the whole name.

    Raises:
        MstlError: A name means nothing, or several things.
    """
    from mstl.features.cache_folders import cache_folders

    found: dict[Copy, None] = {}
    features: dict[str, None] = {}
    for name in names:
        named = [copy for copy in copies if copy.path.name.startswith(name)]
        named = [copy for copy in named if copy.path.name == name] or named
        cached = [folder.name for folder in cache_folders() if folder.name.startswith(name)]
        meant = [copy.path.name for copy in named] + cached
        if not meant:
            raise MstlError(f"nothing in the cache is named {name!r}: `mstl cache list` shows the names")
        if len(meant) > 1:
            raise MstlError(f"{name!r} may mean {' or '.join(meant)}: give more of the name")
        found |= dict.fromkeys(named)
        features |= dict.fromkeys(cached)
    return list(found), list(features)


def show_time(seconds: float | None) -> str:
    """A time as text, in the user's time zone; ``seconds`` since the epoch, or None."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
