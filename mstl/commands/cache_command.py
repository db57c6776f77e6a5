"""``mstl cache``: list and clear the feature cache."""

import time

import click

from mstl.commands import shared

NAME = 12  # digits of a name that are shown


@shared.group
def main() -> None:
    """List or clear the feature cache.

    A frozen backbone runs once on each image; its features are cached on disk, and later runs on the same images
    start from them. The least recently used features are removed beyond MSTL_CACHE_SIZE (4GB by default; 0 disables
    the cache).
    """


@shared.command_of(main, "list")
def list_() -> None:
    """List the cached features, most recently used first.

    An image counts once for each of its views.
    """
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


@shared.command_of(main)
@click.argument("names", nargs=-1, metavar="[NAME...]")
def clear(names: tuple[str, ...]) -> None:
    """Remove the cached features NAMEs, or all of them.

    `mstl cache list` shows the names. What is removed is computed again when it is needed.
    """
    from mstl.features.cache_folders import clear as clear_features
    from mstl.features.cache_size import show_size

    print(f"{show_size(clear_features(names or None))} freed")


def show_time(seconds: float | None) -> str:
    """A time as text, in the user's time zone; ``seconds`` since the epoch, or None."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
