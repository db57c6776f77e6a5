"""Messages about a checked dataset: warnings before it is used, and why none of it can be used."""

import logging
from collections.abc import Sequence

from mstl.data.checking.checks import CheckedDataset
from mstl.data.finding.found import Split
from mstl.data.image_files import printable

logger = logging.getLogger("mstl")
SHOWN = 20  # files named one by one before the rest is only counted
SAID = {  # before training, each in one line; `mstl data check` says more
    "leak": "held-out images are also trained or validated on, so that the accuracy will look better than it is",
    "near_leak": "held-out images look like ones that are trained or validated on",
    "two_labels": "images have two labels",
    "near_two_labels": "images look like ones with another label",
    "divided_group": "groups are divided between the parts, so that the accuracy will look better than it is",
    "case": "classes differ only in how they are written",
    "loose": "images have no label, as they lie outside the class folders",
    "loop": "links lead back to a folder they are in, and are not followed",
    "hidden": "images look different without their transparency, which is dropped",
    "dark": "images become nearly black",
    "blank": "images show nothing but one colour",
    "graphic": "images have so few colours that they may be placeholders or drawings",
}


def log_warnings(checked: CheckedDataset) -> tuple[str, ...]:
    """Log which files are left out and what else is wrong with a dataset; also gives these texts."""
    faults, warnings = checked.faults, []
    if faults:
        total = len(faults) + len(checked.groups)
        lines = [f"left out {len(faults)} of {total} files that cannot be used:"]
        lines += [f"  {printable(path)}: {faults[path].detail}" for path in list(faults)[:SHOWN]]
        if len(faults) > SHOWN:
            lines.append(f"  ... and {len(faults) - SHOWN} more")
        warnings.append("\n".join(lines))
    for problem, words in SAID.items():
        found = [finding for finding in checked.findings if finding.problem == problem]
        if found:
            first = f"{printable(found[0].path)}: {found[0].detail}" if found[0].path else found[0].detail
            warnings.append(f"{len(found)} {words}, such as {first} (`mstl data check` lists them)")
    train = checked.found.train
    missing = sorted(set(train.class_order or ()) - train.labels)
    if missing:
        warnings.append(f"{len(missing)} names have no image to train on, and are no classes: {some(missing)}")
    for warning in warnings:
        logger.warning("%s", warning)
    return tuple(warnings)


def no_images(split: Split, checked: CheckedDataset) -> str:
    """Why a split has no images."""
    if not split.samples and split.folder is not None:
        loose = sum(oddity.problem == "loose" for oddity in split.oddities)
        beside = f"; {loose} image{'s lie' if loose > 1 else ' lies'} in none" if loose else ""
        return f"no images in {split.where}: it needs a folder for each class, with images in it{beside}"
    first = next(path for path in checked.faults if any(sample.path == path for sample in split.samples))
    hint = f"; paths in a list start at its folder, {split.where.parent}, or at that of --images"
    return (
        f"no images in {split.where}: none of the {len(split.samples)} files can be used, such as {printable(first)} "
        f"({checked.faults[first].detail}){'' if split.folder is not None else hint}"
    )


def some(names: Sequence[str]) -> str:
    """Names for a message, not too many of them."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
