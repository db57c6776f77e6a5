"""Odd images: what the scan has noted of single images, and which of them are unlike the others in size or colour."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mstl.data.checking.findings import Finding

if TYPE_CHECKING:
    from mstl.data.samples import ScanResult

ODD = {  # what may be odd about an image that can be used, for people who look at a run
    "dim": "dark",
    "bright": "bright",
    "blurred": "blurred, or without edges",
    "low_information": "with little to see",
    "odd_size": "of another size than most",
    "odd_ratio": "with one side much longer than the other",
    "narrow": "so narrow that the model sees a small part",
    "grey_among_colours": "grey, while most are in colour",
    "tiny": "of a few pixels",
    "blank": "of one colour",
    "graphic": "placeholders, texts or drawings",
    "hidden": "that look different without their transparency",
    "dark": "nearly black, as their range of values is not used",
}
RANGES = 3.0  # interquartile ranges beyond the quartiles of all sizes, from which on a size is odd
ENOUGH = 30  # images, with fewer of which nothing is usual
RARE = 0.1  # share of grey images up to which they are odd among images in colour


def image_findings(scans: Mapping[str, "ScanResult"]) -> Iterator[Finding]:
    """What is unusual about single images, and about these among the others.

    Args:
        scans: The scans of all usable images of a dataset, by path.
    """
    grey = {path for path, scan in scans.items() if any(word == "grey" for word, _ in scan.notes)}
    is_rare = len(scans) >= ENOUGH and len(grey) <= RARE * len(scans)
    for path, scan in scans.items():
        for word, detail in scan.notes:
            if word == "grey" and is_rare:
                yield Finding(path, "grey_among_colours", f"grey, like only {len(grey):,} of the {len(scans):,} images")
            else:
                yield Finding(path, word, detail)
    yield from odd_sizes(scans)


def odd_sizes(scans: Mapping[str, "ScanResult"]) -> Iterator[Finding]:
    """Findings about images that are much smaller or larger than the others.

    As in cleanvision 0.3.7: the square root of the number of pixels is more than three interquartile ranges below the
    first or above the third quartile. Of images that are tiny, more than this is said.
    """
    if len(scans) < ENOUGH:
        return
    import numpy as np

    sides = {path: math.sqrt(scan.size[0] * scan.size[1]) for path, scan in scans.items()}
    first, third = (float(value) for value in np.percentile(list(sides.values()), (25, 75)))
    reach = RANGES * (third - first)
    for path, side in sides.items():
        is_tiny = any(word == "tiny" for word, _ in scans[path].notes)
        if not is_tiny and not first - reach <= side <= third + reach:
            width, height = scans[path].size
            usual = f"half of all have the area of {first:,.0f} to {third:,.0f} pixels squared"
            yield Finding(path, "odd_size", f"{width} x {height} pixels: {usual}")
