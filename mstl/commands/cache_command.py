"""``mstl cache``: the features of frozen nets that are kept on disk."""

import time

import click

from mstl.commands import shared

NAME = 12  # digits of a name that are shown


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """List or clear the features of frozen nets that are kept on disk.

    Where the backbone is frozen, each photo goes through it once; what comes out is kept, and a later run on the same
    photos starts from it. The least recently used goes when there is more than MSTL_CACHE_SIZE (4GB; 0 keeps nothing).
    """


@shared.command_of(main, "list")
def list_():
    """List what is kept, the last used first.

    A photo counts once for each of its views.
    """
    from mstl.features.cache_folders import features_folder, list_spaces
    from mstl.features.cache_size import show_size, size_limit

    spaces, limit = list_spaces(), size_limit()
    if spaces:
        print(f"{'name':<14}{'model':<18}{'stage':<10}{'photos':>9}{'size':>10}  last used")
    for space in spaces:
        model, stage = (str(space.description.get(key, "-")) for key in ("model", "stage"))
        size, used = show_size(space.bytes), show_time(space.last_used)
        print(f"{space.name[:NAME]:<14}{model:<18}{stage:<10}{space.rows:>9,}{size:>10}  {used}")
    total = sum(space.bytes for space in spaces)
    print(f"{show_size(total)} of {show_size(limit)} (MSTL_CACHE_SIZE) in {features_folder()}")


@shared.command_of(main)
@click.argument("names", nargs=-1, metavar="[NAME...]")
def clear(names):
    """Remove what is kept under NAMEs, or all.

    NAME is as `mstl cache list` shows it. What is removed is computed again when it is needed.
    """
    from mstl.features.cache_folders import clear as clear_spaces
    from mstl.features.cache_size import show_size

    print(f"{show_size(clear_spaces(names or None))} freed")


def show_time(seconds):
    """A time as a text, in the user's time zone."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
