"""Other folders: those of runs, systems and tools among the data, which hold no images of a class."""

import os
from contextlib import suppress

from mstl.data.image_files import has_image_suffix

# Of systems and tools, in lower case: their files are thumbnails, copies and leftovers
SYSTEM = {
    "__macosx",
    "__pycache__",
    "@eadir",
    "@recycle",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
}
# Where training programs write. A class may be called so, but then it has images and not only folders of them
OUTPUT = {"runs", "checkpoints", "wandb", "mlruns", "swanlog", "lightning_logs", "tb_logs"}
SETTINGS = "config.json"
EXCLUDED = "-excluded"  # what a review has excluded lies beside the data, in a folder of its name and this
OF_A_RUN = ("best.ckpt", "last.ckpt", "history.csv", "history.json", "manifest.csv")


def why_no_data(folder: str | os.PathLike[str]) -> str:
    """Why a folder is no data, in a few words; "" if it may be a class or a part."""
    name = os.path.basename(folder).lower()
    if name in SYSTEM:
        return "of the system or another program"
    if name.endswith(EXCLUDED) and os.path.isdir(os.fspath(folder)[: -len(EXCLUDED)]):
        return "excluded by a review"
    if holds_run(folder):
        return "a training run"
    images, runs = contents(folder)
    if runs and not images:
        return "training runs"
    if name in OUTPUT and not any(entry.is_file() and has_image_suffix(entry.name) for entry in entries(folder)):
        return "the output of another program"
    return ""


def holds_run(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is that of a training run."""
    return os.path.isfile(os.path.join(folder, SETTINGS)) and any(
        os.path.isfile(os.path.join(folder, name)) for name in OF_A_RUN
    )


def contents(folder: str | os.PathLike[str]) -> tuple[bool, bool]:
    """Whether there are images in a folder, outside of runs, and whether there are runs; stops at the first image."""
    found, inside = False, []
    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            inside.append(entry.path)
        elif has_image_suffix(entry.name):
            return True, found
    for path in inside:
        if holds_run(path):
            found = True
            continue
        images, runs = contents(path)
        found |= runs
        if images:
            return True, found
    return False, found


def entries(folder: str | os.PathLike[str]) -> "list[os.DirEntry[str]]":
    """What is visible in a folder; nothing if it cannot be read, which is said elsewhere."""
    with suppress(OSError), os.scandir(folder) as listed:
        return [entry for entry in listed if not entry.name.startswith(".")]
    return []
