"""Figures and images that a page holds in itself, as SVG or data URI."""

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK = re.compile(r"#000000\b")


@dataclass(frozen=True)
class Chart:
    """A figure as SVG.

    Attributes:
        drawing: What is inside the ``svg`` element.
        box: Its ``viewBox``.
        alt: What the figure shows, for those who cannot see it.
    """

    drawing: Markup
    box: str
    alt: str


def chart(figure: "Figure", key: str, alt: str) -> Chart:
    """A figure as SVG, whose black is the page's own ink, be that light or dark.

    Args:
        figure: With black ink; its background is left out.
        key: A word that no other chart of the page has: it makes the drawing's ids unique.
        alt: What the figure shows.
    """
    import matplotlib

    data = io.StringIO()
    anonymous = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "mstl"}):
        figure.savefig(data, format="svg", transparent=True, metadata=anonymous)
    head, drawing = data.getvalue().partition("<svg")[2].split(">", 1)
    box = re.findall(r'viewBox="([^"]*)"', head)[0]
    drawing = drawing.rpartition("</svg>")[0]
    drawing = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", drawing)
    return Chart(Markup(BLACK.sub("currentColor", drawing)), box, alt)


def figure_uri(figure: "Figure", dpi: int, tight: bool = False) -> str:
    """A figure as PNG in a data URI.

    Args:
        figure: What to draw.
        dpi: Pixels per inch.
        tight: Whether to cut off the margins.
    """
    data = io.BytesIO()
    if tight:
        figure.savefig(data, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.1)
    else:
        figure.savefig(data, format="png", dpi=dpi)
    return data_uri(data.getvalue(), "png")


def image_uri(pixels: NDArray[np.uint8], quality: int = 82) -> str:
    """An image as JPEG in a data URI.

    Args:
        pixels: (H, W, 3).
        quality: Of the JPEG, up to 95.
    """
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality, optimize=True)
    return data_uri(data.getvalue(), "jpeg")


def data_uri(data: bytes, kind: str) -> str:
    """The bytes of an image file as a URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
