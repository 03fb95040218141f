"""More shapes for emblems, beyond those that `starter/image` was taught: each in a circle of radius 1 around (0, 0)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pipelines.illustrator.brush import Brush, Point, mix, polygon
from pipelines.illustrator.colours import Colour


class Stamp:
    """Draws in the shape's own coordinates: ink is the shape's colour, ground cuts out."""

    def __init__(self, b: Brush, x: float, y: float, r: float, ink: Colour, ground: Colour) -> None:
        self.b, self.x, self.y, self.r, self.ink, self.ground = b, x, y, r, ink, ground
        self.half = mix(ink, ground, 0.38)

    def poly(self, points: Sequence[Point], tone: Colour | None = None) -> None:
        self.b.shape([(self.x + u * self.r, self.y + v * self.r) for u, v in points], tone or self.ink)

    def oval(self, u: float, v: float, ru: float, rv: float, tone: Colour | None = None) -> None:
        self.b.oval(self.x + u * self.r, self.y + v * self.r, ru * self.r, rv * self.r, tone or self.ink)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        low: float,
        tone: Colour | None = None,
        round_by: float = 0.0,
    ) -> None:
        x, y, r = self.x, self.y, self.r
        self.b.round_box(
            x + left * r, y + top * r, x + right * r, y + low * r, round_by * r, tone or self.ink
        )

    def line(self, points: Sequence[Point], width: float, tone: Colour | None = None) -> None:
        self.b.line(
            [(self.x + u * self.r, self.y + v * self.r) for u, v in points], width * self.r, tone or self.ink
        )

    def slice(
        self, u: float, v: float, ru: float, rv: float, start: float, end: float, tone: Colour | None = None
    ) -> None:
        self.b.slice(
            self.x + u * self.r, self.y + v * self.r, ru * self.r, rv * self.r, start, end, tone or self.ink
        )


def _mountain(s: Stamp) -> None:
    s.oval(0.5, -0.62, 0.24, 0.24, s.half)
    s.poly([(-0.2, -0.85), (0.75, 0.75), (-1.1, 0.75)])
    s.poly([(0.5, -0.2), (1.1, 0.75), (0.0, 0.75)], s.half)
    s.poly(
        [
            (0.02, -0.48),
            (0.13, -0.3),
            (-0.06, -0.14),
            (-0.22, -0.32),
            (-0.38, -0.12),
            (-0.58, -0.2),
            (-0.49, -0.36),
            (-0.36, -0.28),
            (-0.22, -0.46),
            (-0.09, -0.32),
        ],
        s.ground,
    )


def _tree(s: Stamp) -> None:
    s.box(-0.12, 0.5, 0.12, 1.0, s.half)
    for top, low, wide in ((-1.05, -0.2, 0.5), (-0.6, 0.25, 0.68), (-0.15, 0.7, 0.86)):
        s.poly([(0, top), (wide, low), (-wide, low)])
        s.poly([(0, low + 0.01), (wide, low), (-wide, low), (0, low + 0.05)], s.ground)


def _house(s: Stamp) -> None:
    s.box(0.4, -0.85, 0.62, -0.2)
    s.poly([(0, -0.98), (1.05, -0.05), (0.86, 0.12), (0, -0.64), (-0.86, 0.12), (-1.05, -0.05)])
    s.poly([(0, -0.48), (0.72, 0.16), (0.72, 0.88), (-0.72, 0.88), (-0.72, 0.16)])
    s.box(-0.2, 0.3, 0.2, 0.88, s.ground, 0.08)


def _wave(s: Stamp) -> None:
    for k, v in enumerate((-0.42, 0.05, 0.52)):
        path = [(-1.02 + 0.051 * i, v + 0.16 * math.sin(math.pi * 2 * i / 20 + 0.6 * k)) for i in range(41)]
        s.line(path, 0.22, s.ink if k != 1 else s.half)


def _sailboat(s: Stamp) -> None:
    s.poly([(-0.06, -1.02), (-0.06, 0.38), (-0.8, 0.38)])
    s.poly([(0.08, -0.8), (0.72, 0.38), (0.08, 0.38)], s.half)
    s.poly([(-0.98, 0.5), (0.98, 0.5), (0.66, 0.92), (-0.66, 0.92)])


def _bird(s: Stamp) -> None:
    s.slice(-0.05, 0.05, 0.72, 0.66, -20, 160)
    s.oval(0.42, -0.32, 0.36, 0.36)
    s.poly([(0.72, -0.42), (1.08, -0.26), (0.72, -0.16)], s.half)
    s.poly([(-0.74, 0.1), (-1.05, -0.42), (0.1, -0.05), (0.5, 0.2)])
    s.slice(-0.02, 0.02, 0.44, 0.42, 0, 140, s.ground)
    s.slice(-0.04, 0.0, 0.36, 0.34, 0, 140, s.half)
    s.oval(0.5, -0.38, 0.07, 0.07, s.ground)


def _anchor(s: Stamp) -> None:
    s.oval(0, -0.78, 0.24, 0.24)
    s.oval(0, -0.78, 0.11, 0.11, s.ground)
    s.box(-0.1, -0.6, 0.1, 0.9)
    s.box(-0.46, -0.42, 0.46, -0.24, None, 0.09)
    s.slice(0, 0.22, 0.86, 0.76, 8, 172)
    s.slice(0, 0.14, 0.66, 0.58, 0, 180, s.ground)
    s.box(-0.1, -0.1, 0.1, 0.96)
    for side in (-1, 1):
        s.poly([(side * 0.98, 0.1), (side * 0.92, 0.52), (side * 0.56, 0.34)])


def _note(s: Stamp) -> None:
    s.oval(-0.5, 0.64, 0.32, 0.26)
    s.oval(0.5, 0.46, 0.32, 0.26)
    s.box(-0.3, -0.75, -0.18, 0.64)
    s.box(0.7, -0.93, 0.82, 0.46)
    s.poly([(-0.3, -0.75), (0.82, -1.0), (0.82, -0.62), (-0.3, -0.37)])


def _key(s: Stamp) -> None:
    s.oval(-0.5, 0, 0.48, 0.48)
    s.oval(-0.5, 0, 0.24, 0.24, s.ground)
    s.box(-0.08, -0.12, 1.05, 0.12)
    s.box(0.52, 0.1, 0.68, 0.42)
    s.box(0.84, 0.1, 1.0, 0.5)


def _compass(s: Stamp) -> None:
    for k in range(4):
        a = math.pi / 2 * k
        tip, left, right = _turn((0, -1.08), a), _turn((-0.24, -0.24), a), _turn((0.24, -0.24), a)
        s.poly([tip, left, (0, 0)])
        s.poly([tip, right, (0, 0)], s.half)
        diagonal = a + math.pi / 4
        s.poly(
            [_turn((0, -0.62), diagonal), _turn((-0.12, -0.28), diagonal), _turn((0.12, -0.28), diagonal)],
            s.half,
        )
    s.oval(0, 0, 0.12, 0.12, s.ground)


def _turn(point: Point, angle: float) -> Point:
    u, v = point
    return u * math.cos(angle) - v * math.sin(angle), u * math.sin(angle) + v * math.cos(angle)


def _cloud(s: Stamp) -> None:
    for u, v, r in ((-0.52, 0.12, 0.42), (-0.08, -0.2, 0.54), (0.5, 0.08, 0.46)):
        s.oval(u, v, r, r)
    s.box(-0.9, 0.08, 0.92, 0.55, None, 0.23)


def _snowflake(s: Stamp) -> None:
    for k in range(6):
        a = math.pi / 3 * k
        s.line([(0, 0), _turn((0, -1.0), a)], 0.13)
        for side in (-1, 1):
            s.line([_turn((0, -0.52), a), _turn((side * 0.3, -0.82), a)], 0.11)
    s.poly(polygon(0, 0, 0.26, 6))


def _paw(s: Stamp) -> None:
    for u, v, ru, rv in (
        (-0.7, -0.12, 0.21, 0.29),
        (-0.26, -0.6, 0.22, 0.31),
        (0.26, -0.6, 0.22, 0.31),
        (0.7, -0.12, 0.21, 0.29),
    ):
        s.oval(u, v, ru, rv)
    s.oval(0, 0.32, 0.46, 0.4)
    s.oval(-0.3, 0.52, 0.3, 0.28)
    s.oval(0.3, 0.52, 0.3, 0.28)


def _dog(s: Stamp) -> None:
    s.oval(0, 0.05, 0.74, 0.76)
    for side in (-1, 1):
        s.oval(side * 0.76, -0.1, 0.26, 0.6, s.half)
        s.oval(side * 0.3, -0.12, 0.11, 0.14, s.ground)
    s.oval(0, 0.4, 0.4, 0.33, s.ground)
    s.oval(0, 0.24, 0.17, 0.12)
    s.line([(0, 0.3), (0, 0.5)], 0.06)
    s.line([(-0.18, 0.52), (0, 0.58), (0.18, 0.52)], 0.06)


def _robot(s: Stamp) -> None:
    s.line([(0, -0.6), (0, -0.95)], 0.1)
    s.oval(0, -0.98, 0.13, 0.13)
    s.box(-0.95, -0.16, 0.95, 0.32, s.half, 0.1)
    s.box(-0.78, -0.64, 0.78, 0.8, None, 0.24)
    for side in (-1, 1):
        s.oval(side * 0.34, -0.1, 0.2, 0.2, s.ground)
        s.oval(side * 0.34, -0.1, 0.08, 0.08)
    s.box(-0.4, 0.34, 0.4, 0.54, s.ground, 0.08)
    for u in (-0.14, 0.14):
        s.box(u - 0.03, 0.34, u + 0.03, 0.54)


def _skull(s: Stamp) -> None:
    s.oval(0, -0.2, 0.82, 0.76)
    s.box(-0.46, 0.3, 0.46, 0.9, None, 0.14)
    for side in (-1, 1):
        s.oval(side * 0.34, -0.1, 0.23, 0.26, s.ground)
    s.poly([(0, 0.14), (0.11, 0.38), (-0.11, 0.38)], s.ground)
    for u in (-0.2, 0.0, 0.2):
        s.box(u - 0.03, 0.62, u + 0.03, 0.92, s.ground)


def _umbrella(s: Stamp) -> None:
    s.slice(0, 0, 1.0, 0.95, 180, 360)
    for u in (-0.67, 0.0, 0.67):
        s.slice(u, 0.0, 0.335, 0.16, 180, 360, s.ground)
    s.line([(0, -1.04), (0, 0.72)], 0.1)
    s.line([(0, 0.7), (0.05, 0.88), (0.2, 0.94), (0.34, 0.86), (0.36, 0.7)], 0.1)


MORE: dict[str, Callable[[Stamp], None]] = {
    "mountain": _mountain, "tree": _tree, "house": _house, "wave": _wave, "sailboat": _sailboat, "bird": _bird,
    "anchor": _anchor, "note": _note, "key": _key, "compass": _compass, "cloud": _cloud, "snowflake": _snowflake,
    "paw": _paw, "dog": _dog, "robot": _robot, "skull": _skull, "umbrella": _umbrella,
}  # fmt: skip
