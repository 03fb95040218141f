"""What drives, sails and flies, drawn around (x, y) at scale s, 1 being the usual size."""

from __future__ import annotations

import math

from pipelines.illustrator.air import Air
from pipelines.illustrator.brush import Brush, mix
from pipelines.illustrator.colours import LAMP, WHITE, Colour, darker, lighter, named


def balloon(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    """y: the middle of the envelope."""
    y += 0.012 * math.sin(1.1 * b.moment + 5 * x)
    colour, r = air.lit(colour, 0, 0.4), 0.115 * s
    stripe = air.lit(lighter(named("cream"), 0.2), 0, 0.4)
    b.line([(x - r * 0.5, y + r * 0.8), (x - r * 0.17, y + r * 1.7)], 0.005 * s, darker(colour, 0.5))
    b.line([(x + r * 0.5, y + r * 0.8), (x + r * 0.17, y + r * 1.7)], 0.005 * s, darker(colour, 0.5))

    def envelope(width: float, fill: Colour, shift: float = 0.0) -> None:
        points = []
        for k in range(41):
            a = math.pi * k / 40
            half = math.sin(a) if k < 22 else max(0.2, math.sin(a) ** 0.72 * (1 - 0.12 * (k - 22) / 18))
            points.append((half * width, -math.cos(a) * (1 if k < 22 else 1.22)))
        right = [(x + shift * r + u * r, y + v * r) for u, v in points]
        left = [(x + shift * r - u * r, y + v * r) for u, v in reversed(points)]
        b.shape([*right, *left], fill)

    for width, fill in ((1.0, colour), (0.72, stripe), (0.42, colour), (0.14, stripe)):
        envelope(width, fill if width > 0.99 else mix(fill, darker(fill), 0.0))
    b.spot(
        x + r * 0.1,
        y - r * 0.7,
        x + r * 0.95,
        y + r * 1.1,
        (30, 20, 60),
        r * 0.18,
        0.16,
    )
    b.round_box(
        x - r * 0.2, y + r * 1.62, x + r * 0.2, y + r * 1.95, 0.008 * s, air.lit((146, 98, 58), 0, 0.5)
    )
    b.box(x - r * 0.2, y + r * 1.68, x + r * 0.2, y + r * 1.74, air.lit((104, 66, 42), 0, 0.5))
    if air.is_dark:
        b.glow(x, y + r * 0.9, r * 1.2, (255, 210, 120), 0.45)


def sailboat(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    """y: the waterline."""
    y += 0.006 * math.sin(1.7 * b.moment + 9 * x)
    sail, hull = air.lit(colour, 0, 0.4), air.lit((124, 76, 54), 0, 0.6)
    b.haze(
        [
            (x - 0.14 * s, y + 0.01),
            (x + 0.14 * s, y + 0.01),
            (x + 0.05 * s, y + 0.16 * s),
            (x - 0.09 * s, y + 0.16 * s),
        ],
        mix(sail, (20, 50, 100), 0.4),
        0.008,
        0.3,
    )
    b.box(x - 0.004 * s, y - 0.33 * s, x + 0.004 * s, y - 0.02 * s, air.lit((88, 62, 50)))
    b.shape(
        [
            (x - 0.01 * s, y - 0.32 * s),
            (x - 0.01 * s, y - 0.045 * s),
            (x - 0.14 * s, y - 0.045 * s),
            (x - 0.1 * s, y - 0.14 * s),
            (x - 0.05 * s, y - 0.25 * s),
        ],
        sail,
    )
    b.shape(
        [(x - 0.01 * s, y - 0.32 * s), (x - 0.01 * s, y - 0.045 * s), (x - 0.05 * s, y - 0.045 * s)],
        darker(sail, 0.12),
    )
    b.shape(
        [
            (x + 0.012 * s, y - 0.28 * s),
            (x + 0.075 * s, y - 0.16 * s),
            (x + 0.115 * s, y - 0.045 * s),
            (x + 0.012 * s, y - 0.045 * s),
        ],
        mix(sail, WHITE, 0.45),
    )
    b.shape(
        [(x - 0.01 * s, y - 0.345 * s), (x + 0.045 * s, y - 0.335 * s), (x - 0.004 * s, y - 0.32 * s)], sail
    )
    b.shape(
        [
            (x - 0.16 * s, y - 0.03 * s),
            (x + 0.165 * s, y - 0.03 * s),
            (x + 0.12 * s, y + 0.022 * s),
            (x - 0.125 * s, y + 0.022 * s),
        ],
        hull,
    )
    b.shape(
        [
            (x - 0.16 * s, y - 0.03 * s),
            (x + 0.165 * s, y - 0.03 * s),
            (x + 0.155 * s, y - 0.016 * s),
            (x - 0.152 * s, y - 0.016 * s),
        ],
        lighter(hull, 0.6),
    )


def rocket(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    """y: the middle."""
    y += 0.008 * math.sin(1.4 * b.moment)
    body, trim = air.lit((244, 246, 250), 0, 0.3), air.lit(colour, 0, 0.3)
    flick = 1 + 0.18 * math.sin(11 * b.moment)
    b.glow(x, y + 0.19 * s, 0.13 * s, (255, 180, 80), 0.7)
    for wide, long, tone in ((0.034, 0.15, (255, 140, 50)), (0.02, 0.1, (255, 226, 130))):
        b.shape(
            [(x - wide * s, y + 0.12 * s), (x + wide * s, y + 0.12 * s), (x, y + (0.12 + long * flick) * s)],
            tone,
        )
    for side in (-1, 1):
        b.shape(
            [
                (x + side * 0.035 * s, y + 0.03 * s),
                (x + side * 0.095 * s, y + 0.14 * s),
                (x + side * 0.035 * s, y + 0.115 * s),
            ],
            trim,
        )
    outline = [
        (0, -0.2),
        (0.03, -0.155),
        (0.048, -0.09),
        (0.052, 0.0),
        (0.04, 0.12),
        (-0.04, 0.12),
        (-0.052, 0.0),
        (-0.048, -0.09),
        (-0.03, -0.155),
    ]
    b.shape([(x + u * s, y + v * s) for u, v in outline], body)
    b.shape(
        [(x + u * s, y + v * s) for u, v in outline[:5]] + [(x + 0.01 * s, y + 0.12 * s)], darker(body, 0.12)
    )
    b.shape(
        [
            (x + u * s, y + v * s)
            for u, v in ((0, -0.2), (0.03, -0.155), (0.042, -0.11), (-0.042, -0.11), (-0.03, -0.155))
        ],
        trim,
    )
    b.oval(x, y - 0.04 * s, 0.026 * s, 0.026 * s, trim)
    b.oval(x, y - 0.04 * s, 0.019 * s, 0.019 * s, (130, 206, 240))
    b.oval(x - 0.006 * s, y - 0.047 * s, 0.006 * s, 0.006 * s, WHITE)
    b.box(x - 0.042 * s, y + 0.095 * s, x + 0.042 * s, y + 0.12 * s, darker(trim, 0.2))


def ufo(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    y += 0.01 * math.sin(1.9 * b.moment)
    b.haze(
        [
            (x - 0.04 * s, y + 0.02),
            (x + 0.04 * s, y + 0.02),
            (x + 0.14 * s, y + 0.4 * s),
            (x - 0.14 * s, y + 0.4 * s),
        ],
        (190, 255, 190),
        0.012,
        0.35,
    )
    b.oval(x, y - 0.028 * s, 0.055 * s, 0.05 * s, (150, 220, 240))
    b.oval(x - 0.016 * s, y - 0.045 * s, 0.018 * s, 0.016 * s, (220, 246, 252))
    body = air.lit(colour, 0, 0.3)
    b.oval(x, y, 0.13 * s, 0.034 * s, body)
    b.oval(x, y + 0.01 * s, 0.125 * s, 0.026 * s, darker(body, 0.3))
    for k in range(5):
        b.oval(
            x + (-0.09 + 0.045 * k) * s,
            y + 0.01 * s,
            0.009 * s,
            0.008 * s,
            LAMP if (k + int(3 * b.moment)) % 2 else (255, 130, 110),
        )


def planet(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    r = 0.13 * s
    b.glow(x, y, r * 1.9, lighter(colour, 0.2), 0.35)
    ring = mix(lighter(colour, 0.5), (255, 236, 200), 0.5)
    for half in (0, 1):
        if half:
            b.oval(x, y, r, r, colour)
            for dy, wide, tone in (
                (-0.45, 0.86, lighter(colour, 0.2)),
                (0.05, 0.99, darker(colour, 0.12)),
                (0.5, 0.84, lighter(colour, 0.12)),
            ):
                b.round_box(
                    x - r * wide, y + (dy - 0.09) * r, x + r * wide, y + (dy + 0.09) * r, r * 0.09, tone
                )
            b.dusk(x, y, r, (10, 8, 40), 0.42)
        start, end = (180, 360) if not half else (0, 180)
        wide = max(2, round(0.055 * s * b.size))
        b.draw.arc(
            [*b.at([(x - r * 1.75, y - r * 0.48)])[0], *b.at([(x + r * 1.75, y + r * 0.48)])[0]],
            start,
            end,
            fill=ring,
            width=wide // 2,
        )


def plane(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    x += 0.03 * b.moment
    body, trim = air.lit((246, 248, 252), 0, 0.4), air.lit(colour, 0, 0.4)
    for k in range(6):
        b.oval(
            x - (0.17 + 0.035 * k) * s,
            y + 0.004 * s,
            (0.02 - 0.002 * k) * s,
            (0.007 - 0.0008 * k) * s,
            mix(air.sky[1], WHITE, 0.7),
        )
    b.shape(
        [
            (x - 0.13 * s, y - 0.075 * s),
            (x - 0.09 * s, y - 0.075 * s),
            (x - 0.06 * s, y - 0.01 * s),
            (x - 0.12 * s, y - 0.005 * s),
        ],
        trim,
    )
    b.shape(
        [
            (x - 0.02 * s, y - 0.01 * s),
            (x + 0.03 * s, y - 0.01 * s),
            (x - 0.03 * s, y - 0.08 * s),
            (x - 0.055 * s, y - 0.08 * s),
        ],
        darker(body, 0.2),
    )
    b.oval(x + 0.085 * s, y, 0.05 * s, 0.026 * s, body)
    b.shape(
        [
            (x - 0.14 * s, y - 0.018 * s),
            (x + 0.085 * s, y - 0.026 * s),
            (x + 0.085 * s, y + 0.026 * s),
            (x - 0.1 * s, y + 0.018 * s),
        ],
        body,
    )
    for k in range(6):
        b.oval(x + (-0.06 + 0.026 * k) * s, y - 0.005 * s, 0.007 * s, 0.008 * s, (110, 160, 200))
    b.shape(
        [
            (x - 0.01 * s, y + 0.008 * s),
            (x + 0.045 * s, y + 0.008 * s),
            (x - 0.03 * s, y + 0.085 * s),
            (x - 0.06 * s, y + 0.085 * s),
        ],
        trim,
    )


def car(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    body = air.lit(colour, 0, 0.4)
    glass = LAMP if air.time == "night" else (196, 226, 240)
    b.shadow(x, y, 0.15 * s, 0.014 * s)
    b.shape(
        [
            (x - 0.075 * s, y - 0.085 * s),
            (x - 0.05 * s, y - 0.14 * s),
            (x + 0.045 * s, y - 0.14 * s),
            (x + 0.085 * s, y - 0.085 * s),
        ],
        body,
    )
    b.shape(
        [
            (x - 0.058 * s, y - 0.085 * s),
            (x - 0.04 * s, y - 0.126 * s),
            (x - 0.006 * s, y - 0.126 * s),
            (x - 0.006 * s, y - 0.085 * s),
        ],
        glass,
    )
    b.shape(
        [
            (x + 0.008 * s, y - 0.085 * s),
            (x + 0.008 * s, y - 0.126 * s),
            (x + 0.038 * s, y - 0.126 * s),
            (x + 0.064 * s, y - 0.085 * s),
        ],
        glass,
    )
    b.round_box(x - 0.14 * s, y - 0.088 * s, x + 0.145 * s, y - 0.025 * s, 0.022 * s, body)
    b.box(x - 0.13 * s, y - 0.045 * s, x + 0.135 * s, y - 0.032 * s, darker(body, 0.2))
    b.oval(x + 0.138 * s, y - 0.062 * s, 0.009 * s, 0.011 * s, (255, 244, 190))
    if air.is_dark:
        b.glow(x + 0.15 * s, y - 0.06 * s, 0.1 * s, LAMP, 0.7)
    for dx in (-0.078, 0.082):
        b.oval(x + dx * s, y - 0.026 * s, 0.032 * s, 0.032 * s, (40, 40, 50))
        b.oval(x + dx * s, y - 0.026 * s, 0.014 * s, 0.014 * s, (200, 204, 212))


def kite(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    x, y = x + 0.014 * math.sin(1.2 * b.moment), y + 0.01 * math.sin(1.9 * b.moment)
    tone = air.lit(colour, 0, 0.3)
    tail = [
        (x - 0.02 * s + 0.022 * s * math.sin(k * 1.1 + 2 * b.moment), y + (0.1 + 0.03 * k) * s)
        for k in range(8)
    ]
    b.line(tail, 0.005 * s, darker(tone, 0.3))
    for k in (2, 4, 6):
        b.oval(*tail[k], 0.013 * s, 0.009 * s, lighter(tone, 0.4))
    b.shape(
        [
            (x, y - 0.1 * s),
            (x + 0.07 * s, y - 0.01 * s),
            (x - 0.02 * s, y + 0.1 * s),
            (x - 0.075 * s, y - 0.02 * s),
        ],
        tone,
    )
    b.shape(
        [(x, y - 0.1 * s), (x + 0.07 * s, y - 0.01 * s), (x - 0.003 * s, y - 0.015 * s)], lighter(tone, 0.4)
    )
    b.shape(
        [(x - 0.02 * s, y + 0.1 * s), (x - 0.075 * s, y - 0.02 * s), (x - 0.003 * s, y - 0.015 * s)],
        darker(tone, 0.2),
    )
