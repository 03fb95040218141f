"""A product's own coordinates, and the light on its surfaces."""

from __future__ import annotations

from pipelines.illustrator.brush import Brush, Point, mix
from pipelines.illustrator.colours import WHITE, Colour


class Form:
    """Draws in the product's own coordinates: foot at (0, 0), up is negative, a usual product is about 0.5 tall."""

    def __init__(self, b: Brush, x: float, y: float, s: float, colour: Colour) -> None:
        self.b, self.x, self.y, self.s, self.colour = b, x, y, s, colour
        self.light, self.dark = mix(colour, WHITE, 0.24), mix(colour, (26, 18, 56), 0.26)

    def at(self, points: list[Point]) -> list[Point]:
        return [(self.x + u * self.s, self.y + v * self.s) for u, v in points]

    def solid(self, points: list[Point], colour: Colour | None = None, *, across: bool = True) -> None:
        """A form lit from the left."""
        light, dark = (
            (self.light, self.dark)
            if colour is None
            else (mix(colour, WHITE, 0.22), mix(colour, (26, 18, 56), 0.24))
        )
        self.b.shaded(lambda f: f.draw.polygon(f.at(self.at(points)), fill=255), light, dark, across=across)

    def turned(self, profile: list[Point], colour: Colour | None = None) -> None:
        """A turned form from its profile, top to bottom: (half width, height)."""
        self.solid([(u, v) for u, v in profile] + [(-u, v) for u, v in reversed(profile)], colour)

    def flat(self, points: list[Point], colour: Colour) -> None:
        self.b.shape(self.at(points), colour)

    def oval(self, u: float, v: float, ru: float, rv: float, colour: Colour) -> None:
        self.b.oval(self.x + u * self.s, self.y + v * self.s, ru * self.s, rv * self.s, colour)

    def box(self, left: float, top: float, right: float, low: float, colour: Colour, r: float = 0.0) -> None:
        self.b.round_box(
            self.x + left * self.s,
            self.y + top * self.s,
            self.x + right * self.s,
            self.y + low * self.s,
            r * self.s,
            colour,
        )

    def line(self, points: list[Point], width: float, colour: Colour) -> None:
        self.b.line(self.at(points), width * self.s, colour)

    def ring(self, u: float, v: float, ru: float, rv: float, width: float, colour: Colour) -> None:
        self.b.ring(
            self.x + u * self.s, self.y + v * self.s, ru * self.s, rv * self.s, width * self.s, colour
        )

    def gleam(self, u: float, top: float, low: float, width: float = 0.02, strength: float = 0.6) -> None:
        """A soft reflection of a window."""
        self.b.gleam(self.at([(u, top), (u, low)]), width * self.s, WHITE, 0.006 * self.s, strength)
