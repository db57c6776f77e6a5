"""What all plots share: colours that everybody can tell apart, sizes, labels, and how a plot is written."""

import os
from typing import TYPE_CHECKING

from mstl.files import atomic_path
from mstl.report.plots.fonts import drawable
from mstl.runtime.wide_text import columns

if TYPE_CHECKING:  # matplotlib is loaded only when something is drawn
    from matplotlib.figure import Figure

RIGHT, WRONG = "#0072B2", "#C1272D"  # both dark enough to be read on white; a mark tells them apart in grey
MARK = "\N{BALLOT X}"  # before what is wrong
# Okabe and Ito, "Color Universal Design" (2008): told apart by people with every kind of colour vision
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX*<>dp"  # 12 and 7 have no common divisor: 84 classes differ in colour or marker


def new_figure(width: float, height: float) -> "Figure":
    """A Figure outside pyplot's global state, so that nothing needs to be closed; in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure as a PNG, atomically; it grows to hold everything, however long a name is."""
    with atomic_path(path) as temporary:
        # a fifth larger than Pillow's best, in a quarter of the time
        figure.savefig(temporary, dpi=120, bbox_inches="tight", pad_inches=0.1, pil_kwargs={"compress_level": 2})


def label(name: str, width: int = 24) -> str:
    """A class name for a plot: in characters that can be drawn, without its middle if it is too long.

    Args:
        name: Any text.
        width: The most columns that it may take; a Chinese character takes two.
    """
    name = drawable(name)
    if columns(name) <= width:
        return name
    start, end = "", ""
    for character in name:
        if columns(start + character) > (width - 1) // 2:
            break
        start += character
    for character in reversed(name):
        if columns(character + end) > width - 1 - columns(start):
            break
        end = character + end
    return f"{start}\N{HORIZONTAL ELLIPSIS}{end}"


def share(value: float) -> str:
    """A share as a percentage, such as ``95.4%``; 100% and 0% are only for exactly all and nothing."""
    if value != value:
        return "\N{EN DASH}"
    if value in (0, 1):
        return f"{value:.0%}"
    if value < 0.001:
        return "<0.1%"
    return f"{min(value, 0.999):.1%}"
