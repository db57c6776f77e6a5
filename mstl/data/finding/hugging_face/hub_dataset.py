"""Hub dataset: a dataset as the library `datasets` gives it, and which of its splits and columns are meant."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstl.data.finding.folders.part_names import Part, part_of, rank
from mstl.data.finding.lists.column_names import Role, role_of
from mstl.data.finding.lists.list_options import ListOptions
from mstl.errors import MstlError
from mstl.runtime.environment import offline

PREFIX = "hf:"
INSTALL = 'pip install "mstl[datasets]"'
KINDS: dict[Role, str] = {"path": "Image", "label": "ClassLabel"}  # classes of `datasets`
HELP = "without a network, give a folder that `save_to_disk` has written, or what is in Hugging Face's cache here"


def is_hub_dataset(data: str | os.PathLike[str]) -> bool:
    """Whether data is ``hf:owner/name``, or a folder that ``save_to_disk`` has written."""
    return os.fspath(data).startswith(PREFIX) or is_saved(Path(os.path.expanduser(data)))


def is_saved(folder: Path) -> bool:
    """Whether a folder is one that ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` has written."""
    return os.path.isfile(folder / "dataset_dict.json") or all(
        os.path.isfile(folder / name) for name in ("state.json", "dataset_info.json")
    )


@dataclass(frozen=True)
class HubDataset:
    """A dataset with images and their labels.

    Attributes:
        name: What the user calls it, for messages.
        splits: Each part's `datasets.Dataset`.
        image: The column of images.
        label: The column of labels.
        others: Splits that are no part, or another of the same part, and are not used.
    """

    name: str
    splits: dict[Part, Any]
    image: str
    label: str
    others: tuple[str, ...]

    @classmethod
    def load(cls, data: str, options: ListOptions) -> "HubDataset":
        """Load it, from the network only if it is not in the cache of `datasets`.

        Args:
            data: ``hf:owner/name``, ``hf:owner/name/configuration``, or a folder.
            options: Which columns are meant, where that is not clear.

        Raises:
            MstlError: It cannot be had, or its splits or columns are not clear.
        """
        splits = load_splits(data)
        chosen = choose_parts(data, list(splits))
        train = splits[chosen["train"]]
        image = choose_column(data, train.features, "path", options)
        label = choose_column(data, train.features, "label", options)
        others = tuple(name for name in splits if name not in chosen.values())
        return cls(data, {part: splits[name] for part, name in chosen.items()}, image, label, others)

    def class_names(self) -> list[str] | None:
        """The classes in the order of their numbers; None if the labels are text or numbers without names."""
        names: list[str] | None = getattr(self.splits["train"].features[self.label], "names", None)
        return names


def load_splits(data: str) -> dict[str, Any]:
    """Each split of a dataset.

    Raises:
        MstlError: `datasets` is not installed, or the dataset cannot be had.
    """
    if offline():
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is loaded
    try:
        import datasets
    except ImportError as error:
        raise MstlError(f"{data} needs the library datasets: `{INSTALL}`") from error
    if offline() and data.startswith(PREFIX) and not datasets.config.HF_HUB_OFFLINE:
        raise MstlError(f"cannot get {data}: MSTL_OFFLINE forbids it; set HF_HUB_OFFLINE=1 before datasets is imported")
    try:
        if not data.startswith(PREFIX):
            found = datasets.load_from_disk(os.path.expanduser(data))
        else:
            owner, _, rest = data.removeprefix(PREFIX).partition("/")
            name, _, configuration = rest.partition("/")
            found = datasets.load_dataset(f"{owner}/{name}" if name else owner, configuration or None)
    except Exception as error:  # whatever the library, its file formats and its HTTP client raise
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise MstlError(f"cannot get {data}: {text}" + (f"; {HELP}" if data.startswith(PREFIX) else "")) from error
    return dict(found) if isinstance(found, dict) else {"train": found}


def choose_parts(data: str, names: list[str]) -> dict[Part, str]:
    """The split that is meant for each part; of a dataset with one split, whatever its name, that is to train on.

    Raises:
        MstlError: None is to train on.
    """
    if len(names) == 1:
        return {"train": names[0]}
    chosen: dict[Part, str] = {}
    for name in sorted(names, key=rank):
        if part := part_of(name):
            chosen.setdefault(part, name)
    if "train" not in chosen:
        raise MstlError(f"{data} has no split to train on: it has {', '.join(names)}")
    return chosen


def choose_column(data: str, features: Mapping[str, Any], role: Role, options: ListOptions) -> str:
    """The column of images, or of labels.

    Args:
        data: What the user calls the dataset.
        features: The kind of each column, by name.
        role: "path" for that of images, or "label".
        options: The columns that the user has named.

    Raises:
        MstlError: There is none, or several that may be meant.
    """
    wanted = options.path_column if role == "path" else options.label_column
    if wanted in features:
        return str(wanted)
    if wanted is not None and options.required:
        raise MstlError(f"{data} has no column {wanted} (--{role}-column): it has {', '.join(features)}")
    kind = KINDS[role]
    found = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if not found and role == "label":
        found = [name for name in features if role_of(name) == role]
    if len(found) != 1:
        has = f"several ({', '.join(found)})" if found else f"none (it has {', '.join(features)})"
        raise MstlError(f"{data} needs one column of kind {kind}, and has {has}: choose with --{role}-column")
    return found[0]
