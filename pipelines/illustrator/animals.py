"""Animals, each drawn on its foot, its waterline or its middle (x, y) at scale s, 1 being the usual size."""

from __future__ import annotations

import math

from pipelines.illustrator.air import Air
from pipelines.illustrator.brush import Brush, curve, mix
from pipelines.illustrator.colours import WHITE, Colour, darker, lighter


def sheep(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    wool, face, s = air.lit(colour, 0, 0.6), air.lit((66, 60, 70)), s * 0.9
    b.shadow(x, y, 0.08 * s, 0.012 * s)
    for dx in (-0.045, -0.02, 0.025, 0.05):
        b.box(x + (dx - 0.005) * s, y - 0.04 * s, x + (dx + 0.005) * s, y, face)
    for dx, dy, r in (
        (-0.05, -0.06, 0.032),
        (0.05, -0.06, 0.034),
        (0, -0.06, 0.042),
        (-0.03, -0.085, 0.032),
        (0.025, -0.088, 0.034),
    ):
        b.oval(x + dx * s, y + dy * s, r * s, r * s, wool)
    b.oval(x - 0.085 * s, y - 0.085 * s, 0.024 * s, 0.028 * s, face)
    b.oval(x - 0.07 * s, y - 0.108 * s, 0.022 * s, 0.015 * s, wool)
    b.oval(x - 0.092 * s, y - 0.09 * s, 0.004 * s, 0.004 * s, WHITE)


def cat(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    fur = air.lit(colour, 0, 0.5)
    b.shadow(x, y, 0.08 * s, 0.014 * s)
    wag = 0.02 * math.sin(2 * b.moment)
    tail = curve(
        (x + 0.03 * s, y - 0.016 * s),
        (x + 0.1 * s, y - 0.03 * s),
        (x + (0.125 + wag) * s, y - 0.09 * s),
        (x + (0.1 + wag) * s, y - 0.14 * s),
    )
    b.line(tail, 0.018 * s, fur)
    b.oval(x, y - 0.06 * s, 0.056 * s, 0.066 * s, fur)
    b.oval(x - 0.012 * s, y - 0.04 * s, 0.026 * s, 0.04 * s, lighter(fur, 0.35))
    for side in (-1, 1):
        b.shape(
            [
                (x + (-0.012 + side * 0.046) * s, y - 0.2 * s),
                (x + (-0.012 + side * 0.01) * s, y - 0.155 * s),
                (x + (-0.012 + side * 0.048) * s, y - 0.13 * s),
            ],
            fur,
        )
        b.shape(
            [
                (x + (-0.012 + side * 0.041) * s, y - 0.186 * s),
                (x + (-0.012 + side * 0.02) * s, y - 0.16 * s),
                (x + (-0.012 + side * 0.042) * s, y - 0.145 * s),
            ],
            (240, 160, 160),
        )
        b.oval(x + side * 0.026 * s, y - 0.008 * s, 0.02 * s, 0.011 * s, fur)
    b.oval(x - 0.012 * s, y - 0.138 * s, 0.05 * s, 0.043 * s, fur)
    for side in (-1, 1):
        b.oval(
            x + (-0.012 + side * 0.02) * s,
            y - 0.143 * s,
            0.009 * s,
            0.011 * s,
            (250, 224, 110) if sum(colour) < 300 else (56, 66, 60),
        )
        b.oval(x + (-0.012 + side * 0.02) * s, y - 0.143 * s, 0.004 * s, 0.009 * s, (24, 24, 30))
        b.line(
            [
                (x + (-0.012 + side * 0.018) * s, y - 0.12 * s),
                (x + (-0.012 + side * 0.062) * s, y - 0.124 * s),
            ],
            0.003 * s,
            lighter(fur, 0.7),
        )
    b.shape(
        [(x - 0.02 * s, y - 0.128 * s), (x - 0.004 * s, y - 0.128 * s), (x - 0.012 * s, y - 0.119 * s)],
        (236, 120, 130),
    )


def dog(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    fur, dark = air.lit(colour, 0, 0.5), air.lit(darker(colour, 0.4), 0, 0.5)
    b.shadow(x, y, 0.1 * s, 0.014 * s)
    wag = 0.03 * math.sin(6 * b.moment)
    b.line([(x + 0.07 * s, y - 0.09 * s), (x + (0.12 + wag) * s, y - 0.15 * s)], 0.016 * s, fur)
    for dx in (-0.055, -0.03, 0.045, 0.07):
        b.round_box(
            x + (dx - 0.011) * s,
            y - 0.06 * s,
            x + (dx + 0.011) * s,
            y,
            0.008 * s,
            fur if dx in (-0.055, 0.07) else darker(fur, 0.15),
        )
    b.round_box(x - 0.075 * s, y - 0.115 * s, x + 0.085 * s, y - 0.045 * s, 0.034 * s, fur)
    b.oval(x - 0.08 * s, y - 0.15 * s, 0.046 * s, 0.043 * s, fur)
    b.oval(x - 0.115 * s, y - 0.135 * s, 0.03 * s, 0.023 * s, lighter(fur, 0.35))
    b.oval(x - 0.138 * s, y - 0.144 * s, 0.01 * s, 0.008 * s, (34, 30, 36))
    b.oval(x - 0.055 * s, y - 0.145 * s, 0.02 * s, 0.04 * s, dark)
    b.oval(x - 0.094 * s, y - 0.16 * s, 0.006 * s, 0.007 * s, (34, 30, 36))
    b.round_box(x - 0.085 * s, y - 0.112 * s, x - 0.045 * s, y - 0.1 * s, 0.005 * s, (222, 60, 56))


def birds(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    """y: the middle of the flock."""
    tone = air.lit(colour, 0.15)
    for k, (dx, dy, size) in enumerate(
        ((0, 0, 1.0), (0.09, -0.04, 0.8), (-0.1, -0.03, 0.75), (0.05, 0.05, 0.65), (-0.05, 0.06, 0.6))
    ):
        flap = 0.5 + 0.5 * math.sin(5 * b.moment + k * 1.7)
        cx, cy, w = x + dx * s + 0.02 * b.moment, y + dy * s, 0.036 * size * s
        lift = w * (0.35 + 0.4 * flap)
        b.line(
            [
                (cx - w, cy - lift * 0.6),
                (cx - w * 0.5, cy - lift),
                (cx, cy),
                (cx + w * 0.5, cy - lift),
                (cx + w, cy - lift * 0.6),
            ],
            0.0075 * size * s,
            tone,
        )


def whale(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    """y: the waterline."""
    y += 0.006 * math.sin(1.3 * b.moment)
    skin = air.lit(colour, 0, 0.5)
    spray = air.lit((236, 246, 252), 0, 0.4)
    for side in (-1, 1):
        b.line(
            [
                (x - 0.06 * s, y - 0.1 * s),
                (x - 0.06 * s + side * 0.015 * s, y - 0.17 * s),
                (x - 0.06 * s + side * 0.05 * s, y - 0.18 * s),
                (x - 0.06 * s + side * 0.065 * s, y - 0.15 * s),
            ],
            0.01 * s,
            spray,
        )
    b.slice(x - 0.02 * s, y + 0.01 * s, 0.15 * s, 0.12 * s, 180, 360, skin)
    b.shape(
        [
            (x + 0.1 * s, y + 0.01 * s),
            (x + 0.1 * s, y - 0.06 * s),
            (x + 0.175 * s, y - 0.09 * s),
            (x + 0.19 * s, y - 0.07 * s),
            (x + 0.15 * s, y + 0.01 * s),
        ],
        skin,
    )
    b.shape(
        [
            (x + 0.18 * s, y - 0.07 * s),
            (x + 0.14 * s, y - 0.15 * s),
            (x + 0.2 * s, y - 0.115 * s),
            (x + 0.26 * s, y - 0.14 * s),
            (x + 0.2 * s, y - 0.06 * s),
        ],
        skin,
    )
    b.slice(x - 0.05 * s, y + 0.012 * s, 0.12 * s, 0.05 * s, 180, 360, lighter(skin, 0.6))
    b.oval(x - 0.1 * s, y - 0.045 * s, 0.008 * s, 0.009 * s, (24, 26, 40))
    b.round_box(x - 0.2 * s, y + 0.004 * s, x + 0.19 * s, y + 0.018 * s, 0.007 * s, mix(spray, skin, 0.2))


def fish(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    """y: the middle."""
    x += 0.02 * math.sin(0.9 * b.moment + 8 * y)
    skin = mix(colour, air.sky[1], 0.08) if air.time else colour
    flip = 0.012 * math.sin(6 * b.moment + 20 * y)
    b.shape(
        [
            (x + 0.05 * s, y),
            (x + 0.115 * s, y - (0.05 - flip) * s),
            (x + 0.1 * s, y),
            (x + 0.115 * s, y + (0.05 + flip) * s),
        ],
        darker(skin, 0.15),
    )
    b.shape(
        [(x - 0.03 * s, y - 0.04 * s), (x + 0.015 * s, y - 0.075 * s), (x + 0.04 * s, y - 0.03 * s)],
        darker(skin, 0.15),
    )
    b.oval(x, y, 0.085 * s, 0.05 * s, skin)
    b.slice(x + 0.005 * s, y, 0.018 * s, 0.049 * s, 0, 360, lighter(skin, 0.55))
    b.slice(x + 0.045 * s, y, 0.01 * s, 0.037 * s, 0, 360, lighter(skin, 0.55))
    b.oval(x - 0.05 * s, y - 0.01 * s, 0.014 * s, 0.014 * s, WHITE)
    b.oval(x - 0.053 * s, y - 0.01 * s, 0.007 * s, 0.007 * s, (20, 22, 34))
    b.shape(
        [(x - 0.012 * s, y + 0.012 * s), (x + 0.025 * s, y + 0.006 * s), (x + 0.02 * s, y + 0.035 * s)],
        darker(skin, 0.22),
    )


def turtle(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    skin, shell = (132, 178, 112), colour
    for dx, dy, lean in ((-0.06, 0.03, -0.05), (0.07, 0.03, 0.05)):
        swing = 0.02 * math.sin(2 * b.moment + dx)
        b.shape(
            [
                (x + dx * s, y),
                (x + (dx + 0.03) * s, y + 0.01 * s),
                (x + (dx + lean) * s, y + (dy + 0.07 + swing) * s),
            ],
            darker(skin, 0.1),
        )
    b.oval(x - 0.12 * s, y - 0.02 * s, 0.036 * s, 0.028 * s, skin)
    b.oval(x - 0.13 * s, y - 0.027 * s, 0.006 * s, 0.006 * s, (24, 30, 30))
    b.slice(x, y + 0.02 * s, 0.105 * s, 0.095 * s, 180, 360, shell)
    b.round_box(x - 0.11 * s, y + 0.008 * s, x + 0.11 * s, y + 0.032 * s, 0.01 * s, lighter(shell, 0.35))
    for dx, dy in ((-0.05, -0.02), (0, -0.045), (0.05, -0.02)):
        b.oval(x + dx * s, y + dy * s, 0.019 * s, 0.015 * s, darker(shell, 0.22))
