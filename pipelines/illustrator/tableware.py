"""Cups, bottles, jars and what stands on a table."""

from __future__ import annotations

import math

from pipelines.illustrator.brush import curve, mix
from pipelines.illustrator.colours import WHITE, named
from pipelines.illustrator.form import Form


def _steam(f: Form, v: float) -> None:
    b = f.b
    for k, u in enumerate((-0.06, 0.02, 0.09)):
        path = f.at(
            [
                (u + 0.02 * math.sin(9 * t + k + 1.4 * b.moment), v - 0.17 * t)
                for t in (i / 12 for i in range(13))
            ]
        )
        b.gleam(path, 0.014 * f.s, WHITE, 0.008 * f.s, 0.6)


def mug(f: Form) -> None:
    f.ring(0.19, -0.18, 0.115, 0.115, 0.042, f.dark)
    f.turned([(0.17, -0.36), (0.168, -0.05), (0.155, -0.015), (0.13, 0.0)])
    f.oval(0, -0.36, 0.17, 0.034, mix(f.colour, WHITE, 0.4))
    f.oval(0, -0.358, 0.152, 0.026, (84, 52, 38))
    f.oval(-0.02, -0.354, 0.09, 0.012, (128, 84, 58))
    f.gleam(-0.115, -0.29, -0.08)
    _steam(f, -0.4)


def bottle(f: Form) -> None:
    profile = curve(
        (0.052, -0.56),
        (0.05, -0.47),
        (0.06, -0.42),
        (0.12, -0.34),
        (0.13, -0.25),
        (0.13, -0.04),
        (0.115, 0.0),
    )
    f.turned(profile)
    f.turned([(0.056, -0.615), (0.056, -0.555)], mix(f.colour, (40, 30, 50), 0.6))
    label = mix(named("cream"), WHITE, 0.4)
    f.solid([(-0.13, -0.24), (0.13, -0.24), (0.13, -0.08), (-0.13, -0.08)], label)
    f.oval(0, -0.175, 0.034, 0.034, f.colour)
    f.box(-0.065, -0.118, 0.065, -0.106, f.colour, 0.005)
    f.gleam(-0.085, -0.36, -0.26, 0.024)
    f.gleam(-0.09, -0.06, -0.03, 0.02, 0.4)


def vase(f: Form) -> None:
    stems = (
        (-0.13, -0.6, "red"),
        (0.02, -0.66, "yellow"),
        (0.15, -0.57, "pink"),
        (-0.05, -0.52, "white"),
        (0.09, -0.49, "coral"),
    )
    green = (74, 142, 88)
    for u, v, _ in stems:
        f.line([(u * 0.2, -0.32), (u * 0.6, (v - 0.32) / 2 - 0.03), (u, v)], 0.011, green)
        f.flat(
            curve((u * 0.5, -0.4), (u * 0.5 + 0.06, -0.46), (u * 0.5 + 0.09, -0.43), (u * 0.5, -0.39)),
            mix(green, (30, 80, 50), 0.2),
        )
    for k, (u, v, tone) in enumerate(stems):
        petal = named(tone) if tone != "white" else (255, 252, 246)
        for j in range(6):
            a = math.pi / 3 * j + k
            f.oval(
                u + 0.034 * math.cos(a),
                v + 0.034 * math.sin(a),
                0.027,
                0.027,
                petal if j % 2 else mix(petal, WHITE, 0.2),
            )
        f.oval(u, v, 0.024, 0.024, named("yellow") if tone != "yellow" else named("brown"))
    f.turned(curve((0.075, -0.36), (0.055, -0.31), (0.1, -0.24), (0.15, -0.15), (0.135, -0.05), (0.085, 0.0)))
    f.oval(0, -0.36, 0.075, 0.014, f.dark)
    f.gleam(-0.085, -0.22, -0.09, 0.026)


def teapot(f: Form) -> None:
    f.ring(-0.2, -0.19, 0.1, 0.11, 0.036, f.light)
    f.solid(
        curve(
            (0.12, -0.2),
            (0.2, -0.16),
            (0.25, -0.24),
            (0.32, -0.3),
            (0.345, -0.28),
            (0.3, -0.2),
            (0.24, -0.08),
            (0.12, -0.06),
        )
    )
    f.turned(curve((0.09, -0.33), (0.17, -0.26), (0.21, -0.16), (0.17, -0.05), (0.1, 0.0)))
    f.solid(curve((-0.1, -0.325), (-0.06, -0.37), (0.06, -0.37), (0.1, -0.325), (0, -0.315), (-0.1, -0.325)))
    f.oval(0, -0.385, 0.028, 0.026, f.dark)
    for u in (-0.09, 0.0, 0.09):
        f.oval(u, -0.16 + abs(u) * 0.2, 0.02, 0.02, mix(f.colour, WHITE, 0.65))
    f.gleam(-0.125, -0.25, -0.12, 0.024)


def jar(f: Form) -> None:
    f.turned(
        curve((0.12, -0.35), (0.155, -0.3), (0.16, -0.2), (0.16, -0.05), (0.13, 0.0)),
        mix(f.colour, WHITE, 0.12),
    )
    f.turned([(0.13, -0.42), (0.13, -0.345)], named("cream"))
    f.oval(0, -0.42, 0.13, 0.02, mix(named("cream"), WHITE, 0.5))
    for k in range(6):
        f.oval(-0.1 + 0.04 * k, -0.385, 0.011, 0.011, named("red"))
    f.solid([(-0.16, -0.23), (0.16, -0.23), (0.16, -0.08), (-0.16, -0.08)], mix(named("cream"), WHITE, 0.5))
    f.oval(0, -0.155, 0.045, 0.045, f.colour)
    f.gleam(-0.115, -0.3, -0.25, 0.022)


def candle(f: Form) -> None:
    flick = 0.008 * math.sin(7 * f.b.moment)
    f.b.glow(f.x, f.y - 0.38 * f.s, 0.34 * f.s, (255, 214, 130), 0.75)
    f.turned([(0.13, -0.28), (0.13, -0.02), (0.12, 0.0)])
    f.oval(0, -0.28, 0.13, 0.026, mix(f.colour, WHITE, 0.5))
    f.oval(0, -0.278, 0.1, 0.017, mix(f.colour, (255, 230, 170), 0.7))
    f.line([(0, -0.28), (0, -0.325)], 0.009, (70, 56, 50))
    f.flat(
        curve(
            (0, -0.31),
            (0.036, -0.35),
            (0.02 + flick, -0.4),
            (flick, -0.45),
            (-0.026, -0.39),
            (-0.034, -0.35),
            (0, -0.31),
        ),
        (255, 170, 64),
    )
    f.flat(curve((0, -0.318), (0.018, -0.345), (flick, -0.4), (-0.017, -0.345), (0, -0.318)), (255, 240, 176))
    f.solid([(-0.13, -0.19), (0.13, -0.19), (0.13, -0.08), (-0.13, -0.08)], mix(named("cream"), WHITE, 0.5))
    f.box(-0.06, -0.15, 0.06, -0.138, f.dark, 0.004)
    f.box(-0.035, -0.122, 0.035, -0.112, f.dark, 0.004)


def perfume(f: Form) -> None:
    glass = mix(f.colour, WHITE, 0.35)
    f.solid(
        [
            (-0.16, -0.34),
            (0.16, -0.34),
            (0.17, -0.31),
            (0.17, -0.02),
            (0.15, 0.0),
            (-0.15, 0.0),
            (-0.17, -0.02),
            (-0.17, -0.31),
        ],
        glass,
    )
    f.box(-0.135, -0.24, 0.135, -0.025, f.colour, 0.014)
    f.box(-0.135, -0.3, 0.135, -0.23, mix(glass, WHITE, 0.3), 0.014)
    gold = (214, 172, 92)
    f.turned([(0.045, -0.39), (0.045, -0.34)], gold)
    f.turned([(0.075, -0.51), (0.075, -0.385)], mix(f.colour, (40, 26, 60), 0.65))
    f.box(-0.075, -0.2, 0.075, -0.09, mix(named("cream"), WHITE, 0.4), 0.006)
    f.box(-0.05, -0.16, 0.05, -0.15, gold)
    f.box(-0.03, -0.132, 0.03, -0.124, gold)
    f.gleam(-0.12, -0.3, -0.05, 0.024, 0.7)


def cupcake(f: Form) -> None:
    f.solid([(-0.15, -0.17), (0.15, -0.17), (0.11, 0.0), (-0.11, 0.0)], (196, 138, 92))
    for k in range(7):
        u = -0.135 + 0.045 * k
        f.line([(u, -0.17), (u * 0.74, 0.0)], 0.007, (158, 104, 68))
    for v, wide, tall in ((-0.19, 0.185, 0.065), (-0.265, 0.14, 0.058), (-0.33, 0.092, 0.05)):
        f.solid(
            [(wide * math.cos(t), v + tall * math.sin(t)) for t in (2 * math.pi * k / 40 for k in range(40))]
        )
        f.oval(-wide * 0.35, v - tall * 0.35, wide * 0.32, tall * 0.3, mix(f.colour, WHITE, 0.45))
    f.oval(0.01, -0.4, 0.04, 0.04, (222, 46, 56))
    f.oval(-0.003, -0.413, 0.011, 0.011, (255, 190, 190))
    f.line([(0.01, -0.435), (0.035, -0.49)], 0.007, (90, 120, 60))
    for k, (u, v) in enumerate(
        (
            (-0.1, -0.2),
            (0.08, -0.19),
            (0.02, -0.235),
            (-0.05, -0.28),
            (0.07, -0.275),
            (-0.01, -0.33),
            (0.14, -0.2),
        )
    ):
        tone = named(("yellow", "teal", "white", "blue")[k % 4])
        f.line([(u, v), (u + 0.02 * math.cos(k * 2.0), v + 0.02 * math.sin(k * 2.0))], 0.009, tone)


def apple(f: Form) -> None:
    f.solid(
        curve(
            (0, -0.3),
            (0.1, -0.33),
            (0.18, -0.26),
            (0.185, -0.14),
            (0.11, 0.0),
            (0, -0.015),
            (-0.11, 0.0),
            (-0.185, -0.14),
            (-0.18, -0.26),
            (-0.1, -0.33),
            (0, -0.3),
        )
    )
    f.line([(0, -0.29), (0.015, -0.385)], 0.016, (104, 72, 52))
    f.flat(curve((0.015, -0.35), (0.06, -0.42), (0.15, -0.41), (0.1, -0.345), (0.015, -0.35)), (92, 168, 88))
    f.gleam(-0.1, -0.25, -0.15, 0.03)
