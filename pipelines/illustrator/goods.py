"""Things of the house and of the shop."""

from __future__ import annotations

import math

from pipelines.illustrator.brush import MARK, curve, mix
from pipelines.illustrator.colours import WHITE, ink_on, named
from pipelines.illustrator.form import Form


def plant(f: Form) -> None:
    for k, lean in enumerate((-1.25, -0.8, -0.38, 0.0, 0.36, 0.78, 1.2)):
        long = 0.3 + 0.07 * math.cos(lean * 1.6) + 0.02 * (k % 2)
        sway = lean + 0.03 * math.sin(1.2 * f.b.moment + k)
        tip = (long * math.sin(sway), -0.2 - long * math.cos(sway * 0.85))
        side = (0.055 * math.cos(sway), 0.055 * math.sin(sway))
        middle = (tip[0] * 0.55, -0.2 + (tip[1] + 0.2) * 0.6)
        tone = (66, 150, 96) if k % 2 else (44, 122, 82)
        f.flat(
            curve((0, -0.19), (middle[0] - side[0], middle[1] - side[1]), tip)
            + curve(tip, (middle[0] + side[0], middle[1] + side[1]), (0, -0.19)),
            tone,
        )
        f.line(
            [(0, -0.2), middle, (tip[0] * 0.92, -0.2 + (tip[1] + 0.2) * 0.92)],
            0.006,
            mix(tone, (190, 230, 170), 0.4),
        )
    f.turned([(0.14, -0.2), (0.1, 0.0)])
    f.turned([(0.155, -0.235), (0.152, -0.18)])
    f.oval(0, -0.235, 0.153, 0.018, mix(f.dark, (30, 20, 20), 0.3))


def sneaker(f: Form) -> None:
    upper = curve(
        (-0.3, -0.06),
        (-0.31, -0.2),
        (-0.25, -0.27),
        (-0.15, -0.24),
        (-0.05, -0.255),
        (0.03, -0.215),
        (0.14, -0.135),
        (0.28, -0.11),
        (0.315, -0.06),
    )
    f.solid([*upper, (0.315, -0.045), (-0.3, -0.045)], across=False)
    f.flat(
        curve(
            (-0.3, -0.2),
            (-0.25, -0.27),
            (-0.15, -0.24),
            (-0.06, -0.25),
            (-0.09, -0.2),
            (-0.2, -0.18),
            (-0.3, -0.2),
        ),
        f.dark,
    )
    f.flat(
        curve((0.15, -0.13), (0.28, -0.11), (0.315, -0.06), (0.3, -0.045), (0.17, -0.045), (0.15, -0.13)),
        mix(f.colour, WHITE, 0.75),
    )
    f.flat(
        curve((-0.21, -0.06), (-0.1, -0.1), (0.06, -0.17), (0.02, -0.11), (-0.08, -0.06), (-0.21, -0.06)),
        mix(f.colour, WHITE, 0.85),
    )
    for k in range(4):
        u = -0.035 + 0.048 * k
        f.line([(u - 0.02, -0.238 + 0.03 * k), (u + 0.045, -0.198 + 0.03 * k)], 0.014, WHITE)
    f.box(-0.315, -0.058, 0.335, -0.012, (252, 250, 246), 0.022)
    f.box(-0.31, -0.02, 0.33, 0.0, mix(f.colour, (40, 30, 50), 0.3), 0.01)


def lamp(f: Form) -> None:
    f.b.glow(f.x, f.y - 0.3 * f.s, 0.36 * f.s, (255, 240, 190), 0.8)
    metal = (150, 116, 76)
    f.turned([(0.012, -0.36), (0.012, -0.03)], metal)
    f.turned([(0.03, -0.04), (0.1, -0.015), (0.11, 0.0)], metal)
    f.solid([(-0.1, -0.56), (0.1, -0.56), (0.19, -0.33), (-0.19, -0.33)])
    f.oval(0, -0.33, 0.19, 0.024, mix(f.colour, (255, 250, 220), 0.75))
    f.gleam(-0.07, -0.5, -0.38, 0.03, 0.4)


def book(f: Form) -> None:
    for k, (tone, wide, low) in enumerate(
        ((mix(f.colour, named("teal"), 0.7), 0.27, 0.0), (mix(f.colour, named("yellow"), 0.65), 0.24, -0.075))
    ):
        f.box(-wide, low - 0.075, wide, low, mix(tone, (30, 20, 50), 0.2), 0.012)
        f.box(-wide + 0.02, low - 0.064, wide, low - 0.011, (250, 244, 230), 0.006)
        f.box(-wide, low - 0.075, wide, low - 0.064, tone, 0.005)
        f.box(-wide, low - 0.075, -wide + 0.05, low, tone, 0.01)
        del k
    f.solid([(-0.14, -0.51), (0.16, -0.535), (0.18, -0.155), (-0.12, -0.15)])
    f.flat([(0.16, -0.535), (0.2, -0.525), (0.215, -0.165), (0.18, -0.155)], (246, 240, 226))
    f.flat([(-0.14, -0.51), (-0.11, -0.513), (-0.09, -0.151), (-0.12, -0.15)], f.dark)
    ink = ink_on(f.colour)
    f.flat([(-0.05, -0.44), (0.12, -0.453), (0.123, -0.43), (-0.047, -0.417)], ink)
    f.flat([(-0.02, -0.4), (0.09, -0.408), (0.092, -0.394), (-0.018, -0.386)], mix(ink, f.colour, 0.3))
    f.oval(0.05, -0.28, 0.05, 0.05, mix(f.colour, ink, 0.75))


def headphones(f: Form) -> None:
    band = [
        (0.225 * math.sin(a), -0.28 - 0.24 * math.cos(a))
        for a in (math.pi * (k / 24 - 0.5) * 1.12 for k in range(25))
    ]
    f.line(band, 0.05, f.dark)
    f.line([(u * 0.97, v + 0.004) for u, v in band[4:-4]], 0.018, f.light)
    for side in (-1, 1):
        u = side * 0.22
        f.oval(u - side * 0.035, -0.15, 0.075, 0.13, mix(f.colour, (30, 26, 40), 0.72))
        f.solid(
            [
                (u + side * 0.02 + 0.068 * math.cos(t), -0.15 + 0.125 * math.sin(t))
                for t in (2 * math.pi * k / 40 for k in range(40))
            ]
        )
        f.oval(u + side * 0.025, -0.15, 0.034, 0.066, mix(f.colour, WHITE, 0.3))
    f.gleam(-0.27, -0.22, -0.12, 0.016, 0.6)


def chair(f: Form) -> None:
    wood = (166, 114, 74)
    for u, lean in ((-0.17, -0.03), (0.17, 0.03), (-0.1, -0.015), (0.1, 0.015)):
        f.line([(u, -0.15), (u + lean, 0.0)], 0.024, wood if abs(u) > 0.12 else mix(wood, (40, 20, 40), 0.3))
    f.solid(
        curve((-0.19, -0.24), (-0.21, -0.45), (-0.14, -0.55), (0.14, -0.55), (0.21, -0.45), (0.19, -0.24))
    )
    f.solid(
        curve(
            (-0.23, -0.2),
            (-0.2, -0.26),
            (0.2, -0.26),
            (0.23, -0.2),
            (0.2, -0.13),
            (-0.2, -0.13),
            (-0.23, -0.2),
        ),
        mix(f.colour, WHITE, 0.14),
    )
    for side in (-1, 1):
        f.solid(
            curve(
                (side * 0.25, -0.14),
                (side * 0.28, -0.3),
                (side * 0.21, -0.34),
                (side * 0.18, -0.28),
                (side * 0.19, -0.14),
                (side * 0.25, -0.14),
            )
        )
    f.line([(-0.08, -0.48), (-0.06, -0.3)], 0.006, f.dark)
    f.line([(0.08, -0.48), (0.06, -0.3)], 0.006, f.dark)


def phone(f: Form) -> None:
    f.box(-0.135, -0.54, 0.135, 0.0, mix(f.colour, (150, 150, 170), 0.25), 0.035)
    f.box(-0.125, -0.53, 0.125, -0.01, (24, 24, 34), 0.028)
    f.b.shaded(
        lambda p: p.round_box(
            f.x - 0.112 * f.s, f.y - 0.515 * f.s, f.x + 0.112 * f.s, f.y - 0.025 * f.s, 0.02 * f.s, MARK
        ),
        mix(f.colour, (120, 140, 255), 0.55),
        mix(f.colour, (255, 150, 170), 0.65),
        across=False,
    )
    f.box(-0.032, -0.505, 0.032, -0.49, (24, 24, 34), 0.008)
    for row in range(3):
        for k in range(3):
            tone = named(
                ("coral", "yellow", "teal", "white", "light blue", "pink", "light green", "purple", "orange")[
                    3 * row + k
                ]
            )
            f.box(
                -0.085 + 0.064 * k, -0.34 + 0.078 * row, -0.043 + 0.064 * k, -0.298 + 0.078 * row, tone, 0.011
            )
    f.box(-0.04, -0.05, 0.04, -0.042, WHITE, 0.004)


def bag(f: Form) -> None:
    handle = [
        (0.1 * math.sin(a), -0.33 - 0.15 * math.cos(a)) for a in (math.pi * (k / 20 - 0.5) for k in range(21))
    ]
    f.line(handle, 0.024, f.dark)
    f.solid(
        curve(
            (-0.19, -0.34),
            (0.19, -0.34),
            (0.23, -0.04),
            (0.2, 0.0),
            (-0.2, 0.0),
            (-0.23, -0.04),
            (-0.19, -0.34),
        )
    )
    f.flat(
        curve(
            (-0.195, -0.34),
            (0.195, -0.34),
            (0.2, -0.24),
            (0.06, -0.16),
            (-0.06, -0.16),
            (-0.2, -0.24),
            (-0.195, -0.34),
        ),
        f.dark,
    )
    f.box(-0.03, -0.19, 0.03, -0.135, (226, 186, 104), 0.01)
    f.gleam(-0.16, -0.2, -0.06, 0.02, 0.35)
