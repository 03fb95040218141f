"""What people build on land, each drawn on its foot (x, y) at scale s, 1 being the usual size."""

from __future__ import annotations

import math

from pipelines.illustrator.air import Air
from pipelines.illustrator.brush import Brush, mix
from pipelines.illustrator.colours import LAMP, Colour, darker, lighter


def house(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    wall, roof = (
        air.lit(colour, 0, 0.5),
        air.lit((118, 66, 58) if colour[0] < 200 or colour[1] > 190 else (72, 72, 96), 0, 0.6),
    )
    glass = LAMP if air.is_dark else (206, 232, 246)
    b.shadow(x + 0.02 * s, y, 0.15 * s, 0.018 * s)
    b.box(x + 0.045 * s, y - 0.27 * s, x + 0.075 * s, y - 0.17 * s, darker(roof, 0.1))
    b.box(x - 0.1 * s, y - 0.14 * s, x + 0.1 * s, y, wall)
    b.box(x + 0.055 * s, y - 0.14 * s, x + 0.1 * s, y, darker(wall, 0.13))
    b.shape(
        [(x, y - 0.145 * s), (x - 0.1 * s, y - 0.14 * s), (x, y - 0.235 * s), (x + 0.1 * s, y - 0.14 * s)],
        wall,
    )
    b.shape([
        (x - 0.005 * s, y - 0.26 * s), (x + 0.13 * s, y - 0.135 * s), (x + 0.1 * s, y - 0.127 * s),
        (x, y - 0.222 * s), (x - 0.1 * s, y - 0.127 * s), (x - 0.13 * s, y - 0.135 * s),
    ], roof)  # fmt: skip
    for left in (-0.076, -0.02):
        if left == -0.02:
            b.round_box(
                x - 0.022 * s, y - 0.088 * s, x + 0.022 * s, y, 0.006 * s, air.lit((104, 68, 50), 0, 0.5)
            )
            continue
        for side in (left, 0.038):
            b.round_box(x + side * s, y - 0.098 * s, x + (side + 0.036) * s, y - 0.056 * s, 0.004 * s, glass)
            b.line(
                [(x + (side + 0.018) * s, y - 0.098 * s), (x + (side + 0.018) * s, y - 0.056 * s)],
                0.004 * s,
                lighter(wall, 0.6),
            )
    b.oval(x, y - 0.165 * s, 0.017 * s, 0.017 * s, glass)
    if air.is_dark:
        b.glow(x, y - 0.07 * s, 0.16 * s, LAMP, 0.28)
    if air.season == "winter":
        snow = air.lit((246, 250, 255), 0, 0.6)
        b.shape([
            (x - 0.005 * s, y - 0.268 * s), (x + 0.132 * s, y - 0.142 * s), (x + 0.11 * s, y - 0.142 * s),
            (x, y - 0.243 * s), (x - 0.11 * s, y - 0.142 * s), (x - 0.132 * s, y - 0.142 * s),
        ], snow)  # fmt: skip


def lighthouse(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    top, tall = y - 0.38 * s, 0.38 * s
    stripe = air.lit(colour, 0, 0.5)

    def edge(v: float) -> float:
        return (0.032 + 0.022 * (v - top) / tall) * s

    if air.is_dark:
        beam = 0.25 + 0.05 * math.sin(b.moment)
        for side in (-1, 1):
            b.haze(
                [
                    (x, top - 0.026 * s),
                    (x + side * 2.4, top - 0.026 * s - beam * 1.4),
                    (x + side * 2.4, top + 0.3),
                ],
                LAMP,
                0.012,
                0.3,
            )
    for k in range(5):
        high, low = top + tall * k / 5, top + tall * (k + 1) / 5
        b.shape(
            [(x - edge(high), high), (x + edge(high), high), (x + edge(low), low), (x - edge(low), low)],
            stripe if k % 2 == 0 else air.lit((250, 248, 244), 0, 0.5),
        )
    b.haze(
        [(x + 0.006 * s, top), (x + edge(top), top), (x + edge(y), y), (x + 0.01 * s, y)],
        (20, 20, 50),
        0.004,
        0.2,
    )
    b.round_box(x - 0.014 * s, y - 0.06 * s, x + 0.014 * s, y, 0.012 * s, air.lit((70, 60, 70)))
    b.box(x - 0.048 * s, top - 0.006 * s, x + 0.048 * s, top + 0.01 * s, air.lit((60, 62, 78)))
    b.box(x - 0.027 * s, top - 0.052 * s, x + 0.027 * s, top - 0.006 * s, LAMP)
    b.shape(
        [(x, top - 0.1 * s), (x + 0.042 * s, top - 0.05 * s), (x - 0.042 * s, top - 0.05 * s)],
        darker(stripe, 0.25),
    )
    if air.is_dark:
        b.glow(x, top - 0.028 * s, 0.14 * s, LAMP, 0.9)


def windmill(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    wall = air.lit(colour, 0, 0.6)
    b.shadow(x, y, 0.1 * s, 0.016 * s)
    b.shape(
        [
            (x - 0.045 * s, y - 0.24 * s),
            (x + 0.045 * s, y - 0.24 * s),
            (x + 0.075 * s, y),
            (x - 0.075 * s, y),
        ],
        wall,
    )
    b.shape(
        [(x + 0.01 * s, y - 0.24 * s), (x + 0.045 * s, y - 0.24 * s), (x + 0.075 * s, y), (x + 0.02 * s, y)],
        darker(wall, 0.12),
    )
    b.shape(
        [(x - 0.055 * s, y - 0.235 * s), (x + 0.055 * s, y - 0.235 * s), (x, y - 0.31 * s)],
        air.lit((150, 70, 58), 0, 0.6),
    )
    b.round_box(x - 0.02 * s, y - 0.07 * s, x + 0.02 * s, y, 0.018 * s, air.lit((104, 68, 50)))
    b.oval(x, y - 0.14 * s, 0.014 * s, 0.018 * s, LAMP if air.is_dark else air.lit((150, 190, 214)))
    hub, wood = (x, y - 0.245 * s), air.lit((92, 70, 60))
    for k in range(4):
        a = 0.5 + 0.5 * b.moment + k * math.pi / 2
        dx, dy = math.cos(a), math.sin(a)
        tip = (hub[0] + 0.17 * s * dx, hub[1] + 0.17 * s * dy)
        b.shape([
            (hub[0] + 0.045 * s * dx, hub[1] + 0.045 * s * dy), tip,
            (tip[0] - 0.045 * s * dy, tip[1] + 0.045 * s * dx),
            (hub[0] + 0.045 * s * (dx - dy), hub[1] + 0.045 * s * (dy + dx)),
        ], air.lit((244, 236, 220), 0, 0.6))  # fmt: skip
        b.line([hub, tip], 0.009 * s, wood)
    b.oval(*hub, 0.014 * s, 0.014 * s, wood)


def castle(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    stone, roof = air.lit(colour, 0, 0.7), air.lit((86, 96, 168), 0, 0.6)
    glass = LAMP if air.is_dark else darker(stone, 0.55)

    def tower(cx: float, wide: float, tall: float) -> None:
        b.box(x + (cx - wide) * s, y - tall * s, x + (cx + wide) * s, y, stone)
        b.box(x + cx * s, y - tall * s, x + (cx + wide) * s, y, darker(stone, 0.1))
        b.shape(
            [
                (x + (cx - wide * 1.35) * s, y - tall * s),
                (x + (cx + wide * 1.35) * s, y - tall * s),
                (x + cx * s, y - (tall + 0.1) * s),
            ],
            roof,
        )
        b.line([(x + cx * s, y - (tall + 0.1) * s), (x + cx * s, y - (tall + 0.135) * s)], 0.004 * s, roof)
        b.shape(
            [
                (x + cx * s, y - (tall + 0.135) * s),
                (x + (cx + 0.035) * s, y - (tall + 0.125) * s),
                (x + cx * s, y - (tall + 0.115) * s),
            ],
            air.lit((226, 66, 62), 0, 0.4),
        )
        b.round_box(
            x + (cx - 0.009) * s,
            y - (tall - 0.03) * s,
            x + (cx + 0.009) * s,
            y - (tall - 0.065) * s + 0.001,
            0.008 * s,
            glass,
        )

    b.shadow(x, y, 0.22 * s, 0.016 * s)
    tower(-0.06, 0.032, 0.25)
    tower(0.075, 0.036, 0.29)
    b.box(x - 0.15 * s, y - 0.13 * s, x + 0.15 * s, y, darker(stone, 0.05))
    for k in range(8):
        b.box(
            x + (-0.15 + 0.04 * k) * s,
            y - 0.15 * s,
            x + (-0.128 + 0.04 * k) * s,
            y - 0.128 * s,
            darker(stone, 0.05),
        )
    tower(-0.16, 0.036, 0.2)
    tower(0.165, 0.034, 0.18)
    b.round_box(x - 0.028 * s, y - 0.075 * s, x + 0.028 * s, y, 0.028 * s, air.lit((92, 62, 50)))
    b.box(x - 0.028 * s, y - 0.03 * s, x + 0.028 * s, y, air.lit((92, 62, 50)))


def tent(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    cloth = air.lit(colour, 0, 0.5)
    b.shadow(x, y, 0.15 * s, 0.016 * s)
    b.shape([(x - 0.02 * s, y - 0.15 * s), (x + 0.15 * s, y), (x - 0.13 * s, y)], cloth)
    b.shape([(x - 0.02 * s, y - 0.15 * s), (x + 0.15 * s, y), (x + 0.05 * s, y)], darker(cloth, 0.2))
    b.shape(
        [(x - 0.02 * s, y - 0.115 * s), (x + 0.018 * s, y), (x - 0.062 * s, y)],
        LAMP if air.is_dark else darker(cloth, 0.5),
    )
    if air.is_dark:
        b.glow(x - 0.02 * s, y - 0.04 * s, 0.17 * s, LAMP, 0.45)


def snowman(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    snow, coal = air.lit((250, 252, 255), 0, 0.6), (44, 42, 54)
    b.shadow(x, y, 0.11 * s, 0.02 * s)
    for dx, hand in ((-0.13, -0.19), (0.13, -0.2)):
        b.line([(x, y - 0.15 * s), (x + dx * s, y + hand * s)], 0.009 * s, air.lit((104, 72, 54)))
    for cy, r in ((-0.07, 0.085), (-0.185, 0.062), (-0.275, 0.046)):
        b.oval(x, y + cy * s, r * s, r * s, mix(snow, (120, 150, 210), 0.28))
        b.oval(x - 0.008 * s, y + (cy - 0.006) * s, r * 0.92 * s, r * 0.92 * s, snow)
    for dx in (-0.017, 0.015):
        b.oval(x + dx * s, y - 0.288 * s, 0.006 * s, 0.006 * s, coal)
    for cy in (-0.15, -0.185, -0.22):
        b.oval(x, y + cy * s, 0.007 * s, 0.007 * s, coal)
    b.shape([(x, y - 0.277 * s), (x + 0.05 * s, y - 0.266 * s), (x, y - 0.263 * s)], (240, 130, 50))
    b.round_box(x - 0.05 * s, y - 0.243 * s, x + 0.05 * s, y - 0.225 * s, 0.008 * s, air.lit(colour, 0, 0.4))
    b.round_box(x + 0.018 * s, y - 0.24 * s, x + 0.038 * s, y - 0.18 * s, 0.006 * s, air.lit(colour, 0, 0.4))
    b.box(x - 0.05 * s, y - 0.318 * s, x + 0.05 * s, y - 0.308 * s, coal)
    b.box(x - 0.032 * s, y - 0.37 * s, x + 0.032 * s, y - 0.31 * s, coal)


def campfire(b: Brush, x: float, y: float, s: float, colour: Colour, air: Air) -> None:
    flick = 0.014 * math.sin(9 * b.moment)
    b.glow(x, y - 0.05 * s, 0.24 * s, (255, 170, 70), 0.75 if air.is_dark else 0.3)
    for wide, tall, tone in (
        (0.05, 0.15, (244, 96, 44)),
        (0.034, 0.105, (255, 166, 56)),
        (0.018, 0.06, (255, 232, 140)),
    ):
        b.shape(
            [
                (x - wide * s, y - 0.025 * s),
                (x - wide * 0.7 * s, y - tall * 0.45 * s),
                (x + (flick - 0.01) * s, y - tall * s),
                (x + wide * 0.8 * s, y - tall * 0.4 * s),
                (x + wide * s, y - 0.025 * s),
                (x, y),
            ],
            tone,
        )
    for a, c in (((-0.075, 0.0), (0.07, -0.025)), ((0.075, 0.0), (-0.07, -0.025))):
        b.line(
            [(x + a[0] * s, y + a[1] * s), (x + c[0] * s, y + c[1] * s)],
            0.022 * s,
            air.lit((112, 74, 50), 0, 0.6),
        )
