"""Draws smooth shapes in unit coordinates on a canvas of any size and proportion.

The unit square, (0, 0) top left to (1, 1) bottom right, is as large as the shorter side; a longer side shows more beyond it, from
`left` to `right` and from `top` to `bottom`. Draw at twice the size and average down, and edges are smooth.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipelines.illustrator.colours import Colour

Point = tuple[float, float]


class Brush:
    """Everything random about a picture comes from its `rng`, or from `dice`, which are the same whatever was drawn before.

    width, height: pixels. rise: how much of a taller canvas lies above the unit square, 0 to 1. seed: for `dice`.
    moment: seconds into a clip, for what moves.
    """

    def __init__(
        self,
        width: int,
        height: int,
        rng: np.random.Generator | None = None,
        *,
        seed: int = 0,
        rise: float = 0.5,
        moment: float = 0.0,
    ) -> None:
        self.size = min(width, height)
        self.width, self.height = width, height
        self.seed, self.moment = seed, moment
        self.rng = rng if rng is not None else np.random.default_rng(seed)
        self._x, self._y = (width - self.size) / 2, (height - self.size) * rise
        self.left, self.top = -self._x / self.size, -self._y / self.size
        self.right, self.bottom = self.left + width / self.size, self.top + height / self.size
        self.image = Image.new("RGB", (width, height))
        self.draw = ImageDraw.Draw(self.image)

    # ---- chance ----

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def dice(self, name: str) -> np.random.Generator:
        """Chance for one part of the picture by its name: a cloud more never moves the mountains."""
        return np.random.default_rng((self.seed, zlib.crc32(name.encode())))

    def along(
        self, name: str, spacing: float, jitter: float = 0.5
    ) -> Iterator[tuple[float, np.random.Generator]]:
        """Places along the whole width, about `spacing` apart, each with its own dice; a wider canvas shows more of them."""
        first, last = math.floor(self.left / spacing) - 1, math.ceil(self.right / spacing) + 1
        for k in range(first, last):
            own = self.dice(f"{name} {k}")
            yield (k + 0.5 + jitter * float(own.uniform(-0.5, 0.5))) * spacing, own

    # ---- shapes ----

    def at(self, points: Sequence[Point]) -> list[Point]:
        """Unit coordinates as pixels."""
        return [(x * self.size + self._x, y * self.size + self._y) for x, y in points]

    def _edges(self, left: float, top: float, right: float, bottom: float) -> list[float]:
        (a, b), (c, d) = self.at([(left, top), (right, bottom)])
        return [a, b, c, d]

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        self.draw.polygon(self.at(points), fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.draw.rectangle(self._edges(left, top, right, bottom), fill=colour)

    def round_box(
        self, left: float, top: float, right: float, bottom: float, r: float, colour: Colour
    ) -> None:
        self.draw.rounded_rectangle(self._edges(left, top, right, bottom), r * self.size, fill=colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self.draw.ellipse(self._edges(x - rx, y - ry, x + rx, y + ry), fill=colour)

    def slice(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, colour: Colour
    ) -> None:
        """Part of an oval; degrees clockwise from the right."""
        self.draw.pieslice(self._edges(x - rx, y - ry, x + rx, y + ry), start, end, fill=colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """A line with round ends and joints."""
        placed, wide = self.at(points), max(1, round(width * self.size))
        self.draw.line(placed, fill=colour, width=wide, joint="curve")
        if wide > 2:
            r = wide / 2
            for x, y in (placed[0], placed[-1]):
                self.draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def ring(self, x: float, y: float, rx: float, ry: float, width: float, colour: Colour) -> None:
        wide = max(1, round(width * self.size))
        self.draw.ellipse(self._edges(x - rx, y - ry, x + rx, y + ry), outline=colour, width=wide)

    def arc(
        self, x: float, y: float, r: float, start: float, end: float, width: float, colour: Colour
    ) -> None:
        wide = max(1, round(width * self.size))
        self.draw.arc(self._edges(x - r, y - r, x + r, y + r), start, end, fill=colour, width=wide)

    # ---- light ----

    def fade(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        """A vertical gradient over the whole width; beyond its ends the end colours go on."""
        rows = max(1, round((bottom - top) * self.size))
        share = np.linspace(0, 1, rows)[:, None]
        column = (np.array(above) * (1 - share) + np.array(below) * share).round().astype(np.uint8)[:, None]
        self.image.paste(
            Image.fromarray(column).resize((self.width, rows), Image.Resampling.NEAREST),
            (0, round(top * self.size + self._y)),
        )

    def glow(self, x: float, y: float, r: float, colour: Colour, strength: float = 1.0) -> None:
        """Soft light that fades out towards radius r."""
        side = max(2, round(2 * r * self.size))
        mask = _glow_mask().resize((side, side), Image.Resampling.BILINEAR)
        if strength < 1:
            mask = mask.point(lambda v: v * strength)
        (px, py), *_ = self.at([(x - r, y - r)])
        self.image.paste(colour, (round(px), round(py)), mask)

    def softly(
        self, paint: Callable[[ImageDraw.ImageDraw], None], colour: Colour, blur: float, strength: float
    ) -> None:
        """A blurred spot of colour, such as a shadow: `paint` draws its form in white (255), in pixels from `at`."""
        mask = Image.new("L", (self.width, self.height))
        paint(ImageDraw.Draw(mask))
        bounds = mask.getbbox()
        if bounds is None:
            return
        reach = round(blur * self.size * 3) + 1
        left, top = max(0, bounds[0] - reach), max(0, bounds[1] - reach)
        area = (left, top, min(self.width, bounds[2] + reach), min(self.height, bounds[3] + reach))
        part = (
            mask.crop(area).filter(ImageFilter.GaussianBlur(blur * self.size)).point(lambda v: v * strength)
        )
        self.image.paste(colour, area[:2], part)

    def haze(self, points: Sequence[Point], colour: Colour, blur: float, strength: float) -> None:
        """A blurred polygon: light that falls, or shade."""
        placed = self.at(points)
        self.softly(lambda draw: draw.polygon(placed, fill=255), colour, blur, strength)

    def gleam(
        self, points: Sequence[Point], width: float, colour: Colour, blur: float, strength: float
    ) -> None:
        """A blurred line."""
        placed, wide = self.at(points), max(1, round(width * self.size))
        self.softly(
            lambda draw: draw.line(placed, fill=255, width=wide, joint="curve"), colour, blur, strength
        )

    def dusk(self, x: float, y: float, r: float, colour: Colour, strength: float) -> None:
        """The night side of a ball, away from a light at the upper left."""
        edges = self._edges(x - r, y - r, x + r, y + r)
        self.softly(lambda draw: draw.chord(edges, -60, 130, fill=255), colour, r * 0.15, strength)

    def spot(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        colour: Colour,
        blur: float,
        strength: float,
    ) -> None:
        """A blurred oval."""
        edges = self._edges(left, top, right, bottom)
        self.softly(lambda draw: draw.ellipse(edges, fill=255), colour, blur, strength)

    def shadow(
        self, x: float, y: float, rx: float, ry: float, strength: float = 0.35, colour: Colour = (20, 20, 40)
    ) -> None:
        """What a thing throws on the ground it stands on."""
        self.spot(x - rx, y - ry, x + rx, y + ry, colour, ry * 0.5, strength)

    def shaded(
        self, paint: Callable[[Brush], None], light: Colour, dark: Colour, *, across: bool = True
    ) -> None:
        """Fill a form with a gradient: `paint` draws it on a brush of that size, in `MARK`. across: light left, dark right."""
        form = Brush.__new__(Brush)
        form.__dict__.update(self.__dict__)
        form.image = Image.new("L", (self.width, self.height))
        form.draw = ImageDraw.Draw(form.image)
        paint(form)
        bounds = form.image.getbbox()
        if bounds is None:
            return
        w, h = bounds[2] - bounds[0], bounds[3] - bounds[1]
        share = np.linspace(0, 1, w if across else h)
        values = (
            (np.array(light) * (1 - share[:, None]) + np.array(dark) * share[:, None])
            .round()
            .astype(np.uint8)
        )
        fill = Image.fromarray(values[None] if across else values[:, None]).resize(
            (w, h), Image.Resampling.NEAREST
        )
        self.image.paste(fill, bounds[:2], form.image.crop(bounds))


MARK = cast(Colour, 255)  # what a form is drawn in for `Brush.shaded`


@functools.cache
def _glow_mask() -> Image.Image:
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    fall = np.clip(1 - np.hypot(x, y), 0, 1)
    return Image.fromarray((255 * fall * fall * (3 - 2 * fall)).astype(np.uint8))


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` of the way from a to b."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def polygon(x: float, y: float, r: float, corners: int, turn: float = 0.0) -> list[Point]:
    """A regular polygon, its first corner at the top, turned by `turn` radians."""
    steps = (turn + 2 * math.pi * k / corners for k in range(corners))
    return [(x + r * math.sin(a), y - r * math.cos(a)) for a in steps]


def curve(*points: Point, steps: int = 8) -> list[Point]:
    """A smooth path through points (Catmull–Rom)."""
    padded = [points[0], *points, points[-1]]
    path: list[Point] = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for k in range(steps):
            t = k / steps
            path.append((
                0.5 * (2 * p1[0] + (p2[0] - p0[0]) * t + (2 * p0[0] - 5 * p1[0] + 4 * p2[0] - p3[0]) * t**2
                       + (3 * p1[0] - p0[0] - 3 * p2[0] + p3[0]) * t**3),
                0.5 * (2 * p1[1] + (p2[1] - p0[1]) * t + (2 * p0[1] - 5 * p1[1] + 4 * p2[1] - p3[1]) * t**2
                       + (3 * p1[1] - p0[1] - 3 * p2[1] + p3[1]) * t**3),
            ))  # fmt: skip
    return [*path, points[-1]]
