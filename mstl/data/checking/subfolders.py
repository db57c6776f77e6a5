"""Subfolders: what the folders inside class folders tell of classes that are none."""

from collections.abc import Iterator

from mstl.data.checking.findings import Finding
from mstl.data.finding.folders.part_names import part_of
from mstl.data.finding.found import Split
from mstl.data.image_files import printable

SHOWN = 5  # names in one message


def subfolder_findings(split: Split) -> Iterator[Finding]:
    """Findings about folders that lie in class folders, where all images count as the class's.

    A single folder in each class, such as ``images/``, is usual and says nothing.

    Args:
        split: The samples to train on; of a list, nothing is found.
    """
    inside = folders_inside(split)
    common = set.intersection(*inside.values()) if len(inside) > 1 else set()
    if len(common) > 1:
        yield Finding("", "same_folders", same_folders(sorted(inside), common))
    elif any(len(names) > 1 for names in inside.values()):
        holding = [label for label, names in inside.items() if names]
        most = max(holding, key=lambda label: len(inside[label]))
        yield Finding(
            "",
            "folders",
            f"{len(holding)} of {len(inside)} classes hold folders, such as {most}/ ({listed(inside[most])}): "
            f"their images all count as {printable(most)}; if the folders are the classes, put them at the top",
        )
    for label, names in inside.items():
        for name in sorted(names & inside.keys() - {label}):
            yield Finding(
                str(split.where / label / name),
                "same_folders",
                f"a folder in the class {printable(label)} that is called as another class: do its images lie there "
                "twice?",
            )


def folders_inside(split: Split) -> dict[str, set[str]]:
    """The names of the folders in each class folder that have images in them."""
    inside: dict[str, set[str]] = {}
    for sample in split.samples if split.folder is not None else ():
        names = inside.setdefault(sample.label, set())
        folder, separator, _ = sample.relative_path.replace("\\", "/").partition("/")
        if separator:
            names.add(folder)
    return inside


def same_folders(labels: list[str], common: set[str]) -> str:
    """The detail of a finding about classes that all hold the same folders."""
    found = f"all {len(labels)} classes ({listed(labels)}) hold the same folders ({listed(common)})"
    if all(part_of(name) for name in common):
        name = min(common)
        return f"{found}, whose names are those of parts: to use them, put the classes into them ({name}/{labels[0]})"
    return f"{found}, so they are probably no classes: put those folders at the top, or give one class folder as --data"


def listed(names: list[str] | set[str]) -> str:
    """Names for a message, not too many of them."""
    shown = sorted(names)[:SHOWN]
    return ", ".join(map(printable, shown)) + (", ..." if len(names) > SHOWN else "")
