"""Trees, palms, cactuses and flowers, each drawn on its foot (x, y) at scale s, 1 being the usual size."""

from __future__ import annotations

import math

from pipelines.illustrator.air import Air
from pipelines.illustrator.brush import Brush, Point
from pipelines.illustrator.colours import Colour, darker, lighter


def tree(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    leaves, trunk = air.lit(colour), air.lit((110, 78, 58))
    b.shadow(x, y, 0.13 * s, 0.018 * s)
    b.shape(
        [
            (x - 0.016 * s, y - 0.16 * s),
            (x + 0.016 * s, y - 0.16 * s),
            (x + 0.026 * s, y),
            (x - 0.026 * s, y),
        ],
        trunk,
    )
    b.line([(x, y - 0.11 * s), (x + 0.05 * s, y - 0.18 * s)], 0.014 * s, trunk)
    heaps = [
        (-0.082, -0.2, 0.07),
        (0.082, -0.2, 0.07),
        (-0.04, -0.29, 0.075),
        (0.05, -0.285, 0.075),
        (0.0, -0.22, 0.09),
    ]
    for tone, dx, dy, share in (
        (darker(leaves, 0.2), 0, 0.012, 1.0),
        (leaves, 0, 0, 0.95),
        (lighter(leaves, 0.16), -0.016, -0.018, 0.66),
    ):
        for hx, hy, r in heaps:
            b.oval(x + (hx + dx) * s, y + (hy + dy) * s, r * share * s, r * share * s, tone)


def pine(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air, far: float = 0.0) -> None:
    needles = air.lit(colour, far)
    b.box(x - 0.012 * s, y - 0.04 * s, x + 0.012 * s, y, air.lit((104, 76, 58), far))
    for low, high, wide in ((0.03, 0.2, 0.1), (0.11, 0.28, 0.082), (0.2, 0.37, 0.058)):
        b.shape(
            [(x, y - high * s), (x + wide * s, y - low * s), (x - wide * s, y - low * s)],
            darker(needles, 0.16),
        )
        b.shape(
            [(x, y - high * s), (x + wide * 0.14 * s, y - (low - 0.006) * s), (x - wide * s, y - low * s)],
            needles,
        )
        if air.season == "winter":
            snow = air.lit((246, 250, 255), far, 0.7)
            b.shape([
                (x, y - high * s), (x + wide * 0.42 * s, y - (high - 0.42 * (high - low)) * s),
                (x, y - (high - 0.3 * (high - low)) * s), (x - wide * 0.46 * s, y - (high - 0.46 * (high - low)) * s),
            ], snow)  # fmt: skip


def palm(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    trunk, green = air.lit((150, 112, 76)), air.lit(colour)
    sway = 0.008 * math.sin(1.3 * b.moment + 7 * x)
    path = [(x + (0.065 * t * t + sway * t) * s, y - 0.34 * t * s) for t in (k / 12 for k in range(13))]
    for k, (px, py) in enumerate(path[:-1]):
        b.line([(px, py), path[k + 1]], (0.026 - 0.0009 * k) * s, trunk if k % 2 else darker(trunk, 0.14))
    top_x, top_y = path[-1]
    for tone, turn in ((darker(green, 0.22), 0.18), (green, 0.0)):
        for angle in (-2.75, -2.2, -1.2, -0.55, 0.05, 3.05):
            a = angle + turn
            reach, droop = 0.17 * s, 0.09 * s
            tip = (top_x + reach * math.cos(a), top_y + reach * math.sin(a) * 0.72 + droop)
            middle = (top_x + reach * 0.55 * math.cos(a), top_y + reach * 0.62 * math.sin(a) - 0.015 * s)
            b.shape(
                [(top_x, top_y), (middle[0], middle[1] - 0.02 * s), tip, (middle[0], middle[1] + 0.026 * s)],
                tone,
            )
    for dx in (-0.016, 0.012):
        b.oval(top_x + dx * s, top_y + 0.018 * s, 0.014 * s, 0.014 * s, air.lit((120, 82, 48)))


def cactus(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    green = air.lit(colour)
    b.shadow(x, y, 0.08 * s, 0.014 * s)
    for tone, dx, share in ((green, 0.0, 1.0), (lighter(green, 0.16), -0.008, 0.4)):
        arms: list[list[Point]] = [
            [(0.0, 0.0), (0.0, -0.28)],
            [(0.0, -0.1), (-0.085, -0.1), (-0.085, -0.2)],
            [(0.0, -0.14), (0.085, -0.14), (0.085, -0.235)],
        ]
        for arm in arms:
            wide = (0.058 if len(arm) == 2 else 0.042) * share * (1.0 if share == 1 else 0.5)
            upper = arm if share == 1 else arm[-2:]
            b.line([(x + (u + dx) * s, y + v * s) for u, v in upper], wide * s, tone)
    b.oval(x, y - 0.315 * s, 0.016 * s, 0.014 * s, air.lit((244, 120, 160), 0, 0.5))


def flowers(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    """A patch of them around (x, y)."""
    stem, petal = air.lit((70, 140, 76)), air.lit(colour, 0, 0.4)
    for k in range(11):
        own = b.dice(f"flower {k} {x:.2f}")
        cx, cy = x + float(own.uniform(-0.19, 0.19)) * s, y - 0.05 * s + (k - 5) * 0.012 * s
        r = (0.016 + 0.006 * (k / 11)) * s
        lean = 0.006 * math.sin(1.6 * b.moment + k)
        b.line([(cx, cy + 0.07 * s), (cx + lean, cy)], 0.007 * s, stem)
        b.oval(cx + 0.016 * s, cy + 0.045 * s, 0.016 * s, 0.007 * s, stem)
        for j in range(5):
            a = 2 * math.pi * j / 5 + k
            b.oval(
                cx + lean + r * math.cos(a),
                cy + r * math.sin(a),
                r * 0.72,
                r * 0.72,
                petal if k % 3 else lighter(petal, 0.3),
            )
        b.oval(cx + lean, cy, r * 0.6, r * 0.6, air.lit((252, 214, 90), 0, 0.4))
