"""Drawings of five kinds of objects, for the demo dataset.

Colours, backgrounds and clutter are drawn from the same distributions for every kind, so that neither colour nor
texture gives the answer away: a model must see shapes. Frozen random features fail here where pretrained ones succeed.
"""

import colorsys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

SIDE = 256  # pixels
OVERSAMPLING = 2  # drawn larger and shrunk, which smooths the edges
Color = tuple[int, int, int]
Pair = Sequence[float] | NDArray[np.float64]  # x and y


class Pen:
    """Draws in an object's own coordinates (both from -1 to 1), placed, turned and scaled on an image.

    Args:
        image: The image to draw on.
        centre: Where the object's origin falls, in pixels.
        size: Pixels from the origin to coordinate 1.
        angle: Rotation, in radians.
        stretch: Height over width.
        mirror: 1, or -1 to swap left and right.
    """

    def __init__(
        self,
        image: "Image.Image",
        centre: ArrayLike,
        size: float,
        angle: float = 0.0,
        stretch: float = 1.0,
        mirror: int = 1,
    ) -> None:
        from PIL import ImageDraw

        self.draw = ImageDraw.Draw(image)
        self.centre, self.size = np.asarray(centre, float), size
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.matrix = np.diag([mirror, stretch]) @ turn * size

    def pixels(self, points: ArrayLike) -> list[tuple[float, float]]:
        """Object coordinates to pixels."""
        return [(x, y) for x, y in np.asarray(points, float) @ self.matrix + self.centre]

    def polygon(self, points: ArrayLike, fill: Color) -> None:
        """A filled polygon."""
        self.draw.polygon(self.pixels(points), fill=fill)

    def line(self, points: ArrayLike, fill: Color, width: float = 0.05) -> None:
        """A line through points, ``width`` in object coordinates."""
        self.draw.line(self.pixels(points), fill=fill, width=max(1, round(width * self.size)), joint="curve")

    def arc(
        self,
        centre: Pair,
        radii: Pair,
        start: float,
        stop: float,
        fill: Color,
        width: float = 0.05,
    ) -> None:
        """Part of an ellipse's outline; angles in turns, 0 to the right, 0.25 down."""
        self.line(ellipse(centre, radii, start, stop), fill, width)

    def disc(self, centre: Pair, radii: Pair, fill: Color) -> None:
        """A filled ellipse."""
        self.polygon(ellipse(centre, radii), fill)


def ellipse(centre: Pair, radii: Pair, start: float = 0.0, stop: float = 1.0) -> NDArray[np.float64]:
    """(48, 2) points along an ellipse between two angles in turns."""
    turn = 2 * np.pi * np.linspace(start, stop, 48)
    return np.stack([centre[0] + radii[0] * np.cos(turn), centre[1] + radii[1] * np.sin(turn)], axis=1)


def bicycle(pen: Pen, colors: list[Color], rng: np.random.Generator) -> None:
    """Two spoked wheels, a frame, a saddle and handlebars."""
    radius = rng.uniform(0.34, 0.42)
    back, front, pedal = (-0.55, 0.3), (0.55, 0.3), (-0.08, 0.32)
    saddle, head = (-0.25, -0.3), (0.38, -0.35)
    for hub in (back, front):
        for turn in np.linspace(0, 0.5, 6, endpoint=False) + rng.uniform(0, 0.1):
            spoke = radius * np.array([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])
            pen.line([np.array(hub) - spoke, np.array(hub) + spoke], colors[2], 0.015)
        pen.arc(hub, (radius, radius), 0, 1, colors[1], rng.uniform(0.05, 0.09))
    for points in ((back, pedal, head, saddle, back), (saddle, pedal), (head, front)):
        pen.line(points, colors[0], 0.07)
    pen.line([(-0.4, -0.35), (-0.1, -0.35)], colors[1], 0.1)
    pen.line([head, (0.33, -0.55), (0.58, -0.6)], colors[1], 0.06)


def umbrella(pen: Pen, colors: list[Color], rng: np.random.Generator) -> None:
    """A canopy in panels with a scalloped edge, a pole and a hooked handle."""
    pen.line([(0, -0.75), (0, 0.7)], colors[2], 0.06)
    pen.arc((0.15, 0.7), (0.15, 0.17), 0, 0.5, colors[2], 0.06)
    panels, height = int(rng.integers(4, 7)), rng.uniform(0.6, 0.8)
    edges = np.linspace(-0.9, 0.9, panels + 1)
    for index, (left, right) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        across = np.linspace(left, right, 12)
        rim = np.stack([across, 0.05 - 0.1 * np.sin(np.pi * (across - left) / (right - left))], axis=1)
        side = np.linspace(0, 1, 12)[:, None]
        bow = np.concatenate([np.sin(side * np.pi / 2), 1 - np.cos(side * np.pi / 2)], axis=1)
        curve = [np.array([edge, height]) * bow + (0, -0.7) for edge in (right, left)]
        pen.polygon(np.concatenate([rim, curve[0][::-1], curve[1]]), colors[index % 2])
    pen.line([(0, -0.7), (0, -0.85)], colors[2], 0.06)


def clock(pen: Pen, colors: list[Color], rng: np.random.Generator) -> None:
    """A face with a rim, twelve marks and two hands."""
    pen.disc((0, 0), (0.85, 0.85), colors[1])
    pen.disc((0, 0), (0.72, 0.72), colors[0])
    for turn in np.arange(12) / 12:
        direction = np.array([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])
        pen.line([direction * 0.56, direction * 0.66], colors[2], 0.08 if turn % 0.25 == 0 else 0.04)
    for length, width in ((0.36, 0.09), (0.55, 0.06)):
        turn = 2 * np.pi * rng.uniform()
        pen.line([(0, 0), (length * np.cos(turn), length * np.sin(turn))], colors[2], width)
    pen.disc((0, 0), (0.07, 0.07), colors[2])


def fish(pen: Pen, colors: list[Color], rng: np.random.Generator) -> None:
    """A body with stripes, a tail, fins and an eye."""
    height = rng.uniform(0.35, 0.5)
    pen.polygon([(-0.5, 0), (-0.95, -0.42), (-0.82, 0), (-0.95, 0.42)], colors[1])
    pen.polygon([(-0.25, -height * 0.8), (0.05, -height - 0.28), (0.3, -height * 0.8)], colors[1])
    pen.polygon([(-0.1, height * 0.8), (0.0, height + 0.22), (0.2, height * 0.8)], colors[1])
    pen.disc((0.1, 0), (0.75, height), colors[0])
    for x in np.linspace(-0.35, 0.3, int(rng.integers(2, 5))):
        reach = 0.85 * height * np.sqrt(1 - ((x - 0.1) / 0.75) ** 2)
        pen.line([(x, -reach), (x + 0.06, 0), (x, reach)], colors[1], 0.07)
    pen.arc((0.42, 0), (0.1, height * 0.6), -0.25, 0.25, colors[2], 0.04)
    pen.disc((0.62, -height * 0.25), (0.07, 0.07), (250, 250, 250))
    pen.disc((0.63, -height * 0.25), (0.04, 0.04), (10, 10, 10))


def cup(pen: Pen, colors: list[Color], rng: np.random.Generator) -> None:
    """A mug with a handle, a band around it, and steam."""
    foot = rng.uniform(0.4, 0.52)
    pen.arc((0.55, 0.15), (0.3, 0.32), -0.3, 0.3, colors[0], 0.12)
    pen.polygon([(-0.55, -0.35), (0.55, -0.35), (foot, 0.75), (-foot, 0.75)], colors[0])
    pen.disc((0, 0.75), (foot, 0.1), colors[0])
    pen.polygon([(-0.53, 0.05), (0.53, 0.05), (0.5, 0.3), (-0.5, 0.3)], colors[1])
    pen.disc((0, -0.35), (0.55, 0.14), colors[1])
    pen.disc((0, -0.34), (0.47, 0.1), colors[2])
    for x in (-0.2, 0.15):
        y = np.linspace(-0.5, -0.95, 16)
        pen.line(np.stack([x + 0.07 * np.sin(14 * y + rng.uniform(0, 6)), y], axis=1), colors[2], 0.045)


KINDS: dict[str, Callable[[Pen, list[Color], np.random.Generator], None]] = {
    "bicycle": bicycle,
    "clock": clock,
    "cup": cup,
    "fish": fish,
    "umbrella": umbrella,
}


def color(rng: np.random.Generator) -> Color:
    """A random colour."""
    hue, saturation, value = rng.uniform(0, 1), rng.uniform(0.15, 1), rng.uniform(0.15, 1)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)


def clutter(pen: Pen, rng: np.random.Generator) -> None:
    """One stray shape in the object's own coordinates: a disc, an arc, a bar or a triangle."""
    kind = rng.integers(4)
    if kind == 0:
        pen.disc((0, 0), rng.uniform(0.2, 1, 2), color(rng))
    elif kind == 1:
        start = rng.uniform()
        pen.arc((0, 0), rng.uniform(0.3, 1, 2), start, start + rng.uniform(0.3, 1), color(rng), rng.uniform(0.04, 0.2))
    elif kind == 2:
        pen.line(rng.uniform(-1, 1, (int(rng.integers(2, 5)), 2)), color(rng), rng.uniform(0.04, 0.2))
    else:
        pen.polygon(rng.uniform(-1, 1, (3, 2)), color(rng))


def random_pen(
    image: "Image.Image", rng: np.random.Generator, sizes: tuple[float, float], spread: float, turn: float
) -> Pen:
    """A pen at a random place (within ``spread`` of the middle), size (share of the side) and angle (radians)."""
    side = image.width
    centre = side / 2 + rng.uniform(-spread, spread, 2) * side
    return Pen(
        image,
        centre,
        rng.uniform(*sizes) * side,
        rng.uniform(-turn, turn),
        rng.uniform(0.8, 1.2),
        rng.choice([-1, 1]),
    )


def distinct_colors(rng: np.random.Generator, background: Color) -> list[Color]:
    """Three colours for an object, each visibly lighter or darker than the background or another hue."""
    colors: list[Color] = []
    while len(colors) < 3:
        candidate = color(rng)
        others = [background, *colors[:1]]
        if min(np.abs(np.subtract(candidate, other)).sum() for other in others) > 150:
            colors.append(candidate)
    return colors


def render(kind: str, rng: np.random.Generator) -> "Image.Image":
    """Draw one image of an object before a cluttered background.

    Args:
        kind: A key of ``KINDS``.
        rng: Decides everything random.

    Returns:
        An RGB image of ``SIDE`` x ``SIDE`` pixels.
    """
    from PIL import Image, ImageFilter

    side = SIDE * OVERSAMPLING
    background = color(rng)
    slope = np.add.outer(rng.uniform(-1, 1) * np.linspace(-1, 1, side), rng.uniform(-1, 1) * np.linspace(-1, 1, side))
    shaded = np.clip(np.array(background) + 45 * slope[..., None], 0, 255).astype(np.uint8)
    image = Image.fromarray(shaded)
    for _ in range(rng.integers(5, 12)):
        clutter(random_pen(image, rng, (0.04, 0.2), 0.5, np.pi), rng)
    KINDS[kind](random_pen(image, rng, (0.26, 0.44), 0.1, 0.6), distinct_colors(rng, background), rng)
    for _ in range(rng.integers(0, 3)):  # something in front
        clutter(random_pen(image, rng, (0.03, 0.08), 0.4, np.pi), rng)
    image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
    noisy = np.asarray(image, float) * rng.uniform(0.75, 1.15) + rng.normal(0, rng.uniform(2, 14), (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
