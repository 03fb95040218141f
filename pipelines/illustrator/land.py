"""Lines of the land and the places on it: mountains, hills, village, desert, forest, volcano."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from pipelines.illustrator.air import Air, rays
from pipelines.illustrator.brush import Brush, Point, mix
from pipelines.illustrator.buildings import house
from pipelines.illustrator.colours import LAMP, Colour, named
from pipelines.illustrator.motif import Motif
from pipelines.illustrator.plants import pine


def ridge(b: Brush, name: str, height: float, swing: float, waves: float = 1.1) -> Callable[[float], float]:
    """A soft line of hills: x → y."""
    own = b.dice(name)
    a, c, d = (float(own.uniform(0, 2 * math.pi)) for _ in range(3))

    def line(x: float) -> float:
        t = 2 * math.pi * waves * x
        return height + swing * (
            0.62 * math.sin(t + a) + 0.28 * math.sin(2.13 * t + c) + 0.1 * math.sin(4.7 * t + d)
        )

    return line


def fill(b: Brush, line: Callable[[float], float], colour: Colour, below: Colour | None = None) -> None:
    """Everything under a line; with `below`, fading to it at the bottom."""
    xs = np.linspace(b.left - 0.01, b.right + 0.01, max(65, int(65 * (b.right - b.left))))
    points = [(float(x), line(float(x))) for x in xs]
    outline = [*points, (b.right + 0.01, b.bottom + 0.01), (b.left - 0.01, b.bottom + 0.01)]
    if below is None:
        b.shape(outline, colour)
    else:
        b.shaded(lambda f: f.draw.polygon(f.at(outline), fill=255), colour, below, across=False)


def _jagged(b: Brush, name: str, foot: float, tall: float, spacing: float, colour: Colour) -> None:
    """A far range as one silhouette."""
    points: list[Point] = []
    for x, own in b.along(name, spacing, 0.5):
        top = foot - tall * float(own.uniform(0.45, 1.0))
        points += [
            (x - spacing * 0.5, foot - tall * 0.3 * float(own.uniform(0.4, 1.0))),
            (x - spacing * 0.22, (top + foot) / 2 - 0.25 * tall * float(own.uniform(0, 0.4))),
            (x, top),
        ]
        points.append((x + spacing * 0.2, (top + foot) / 2 - 0.2 * tall * float(own.uniform(0, 0.5))))
    b.shape([*points, (b.right + 0.4, b.bottom + 0.1), (b.left - 0.4, b.bottom + 0.1)], colour)


def _peak(
    b: Brush, x: float, top: float, foot: float, own: np.random.Generator, air: Air, far: float
) -> None:
    """One mountain: a lit and a shaded flank, and snow."""
    rock, wide = (122, 128, 158), (foot - top) * float(own.uniform(0.78, 0.95))
    light, shade = air.lit(mix(rock, (236, 214, 206), 0.2), far), air.lit(mix(rock, (54, 56, 98), 0.42), far)
    bend = x + wide * 0.12 * float(own.uniform(-1, 1))
    spine = [
        (x, top),
        (x + 0.05 * wide, top + 0.2 * (foot - top)),
        (x - 0.03 * wide, top + 0.45 * (foot - top)),
        (bend, foot),
    ]
    left = [
        (x, top),
        (x - 0.3 * wide, top + 0.34 * (foot - top)),
        (x - 0.62 * wide, top + 0.6 * (foot - top)),
        (x - wide, foot),
    ]
    right = [
        (x, top),
        (x + 0.34 * wide, top + 0.3 * (foot - top)),
        (x + 0.6 * wide, top + 0.64 * (foot - top)),
        (x + wide, foot),
    ]
    sun_left = air.sun_x < x
    b.shape([*left, *reversed(spine)], light if sun_left else shade)
    b.shape([*right, *reversed(spine)], shade if sun_left else light)
    cap = 0.62 if air.season == "winter" else 0.34
    deep = cap * (foot - top)

    def flank(side: int, tone: Colour) -> None:
        edge = left if side < 0 else right
        rim = _on(edge, top + deep)
        teeth = [(rim, top + deep)]
        inner = _on(spine, top + deep * 0.9)
        for k in range(1, 4):
            u = rim + (inner - rim) * k / 4
            teeth.append((u, top + deep * (0.72 if k % 2 else 1.02)))
        b.shape(
            [
                (x, top),
                *[p for p in edge if top < p[1] < top + deep],
                *teeth,
                (inner, top + deep * 0.9),
                *[p for p in reversed(spine) if top < p[1] < top + deep * 0.9],
            ],
            tone,
        )

    bright, dim = air.lit((255, 255, 255), far * 0.7, 0.7), air.lit((198, 208, 234), far * 0.8, 0.8)
    flank(-1, bright if sun_left else dim)
    flank(1, dim if sun_left else bright)


def _on(path: list[Point], y: float) -> float:
    """x of a falling path at height y."""
    for (x0, y0), (x1, y1) in pairwise(path):
        if y0 <= y <= y1:
            return x0 + (x1 - x0) * (y - y0) / max(1e-6, y1 - y0)
    return path[-1][0]


def draw_peaks(b: Brush, air: Air, foot: float, high: float, low: float, spacing: float = 0.36) -> None:
    _jagged(b, "far range", foot, foot - high + 0.02, 0.2, air.lit((150, 160, 200), 0.55))
    peaks = sorted(
        ((x, float(own.uniform(high, low)), own) for x, own in b.along("peak", spacing, 0.45)),
        key=lambda p: p[1],
        reverse=True,
    )
    for x, top, own in peaks:
        _peak(b, x, top, foot + 0.1, own, air, 0.16 * (top - high) / max(0.01, low - high) + 0.04)


def draw_meadow(
    b: Brush,
    air: Air,
    name: str,
    height: float,
    swing: float,
    tone: Colour,
    far: float = 0.0,
    waves: float = 1.1,
) -> Callable[[float], float]:
    line = ridge(b, name, height, swing, waves)
    fill(b, line, air.lit(tone, far), air.lit(mix(tone, (40, 90, 70), 0.28), far * 0.6))
    return line


def draw_tufts(b: Brush, air: Air, low: float = 0.88) -> None:
    """Grass and small flowers in front."""
    _, dark, _ = air.meadow
    if air.season == "winter":
        return
    petals = {
        "spring": ((255, 255, 255), (250, 170, 200), (255, 226, 110)),
        "summer": ((255, 250, 240), (244, 92, 84), (255, 214, 84)),
        "autumn": ((232, 140, 60), (206, 84, 50), (240, 196, 90)),
    }.get(air.season, ((255, 255, 255), (255, 214, 84), (244, 92, 84)))
    for row in range(3):
        for x, own in b.along(f"tuft {row}", 0.062, 1.0):
            y = low + 0.042 * row + float(own.uniform(-0.012, 0.012)) + (b.bottom - 1) * row / 3
            if own.random() < 0.5:
                for lean in (-0.008, 0.0, 0.008):
                    b.line([(x, y), (x + lean, y - 0.02)], 0.0035, air.lit(mix(dark, (30, 80, 50), 0.2)))
            elif own.random() < 0.5:
                r = 0.0055 + 0.0012 * row
                b.line([(x, y), (x, y - 0.02)], 0.003, air.lit(dark))
                b.oval(x, y - 0.022, r, r, air.lit(petals[int(own.integers(3))], 0, 0.6))


def draw_wood(
    b: Brush,
    air: Air,
    name: str,
    line: Callable[[float], float],
    spacing: float,
    s: float,
    far: float,
    kind: str = "",
) -> None:
    for x, own in b.along(name, spacing, 0.9):
        if own.random() < 0.3:
            continue
        size = s * float(own.uniform(0.8, 1.2))
        conifer = kind == "pine" or (kind == "" and own.random() < 0.45)
        if conifer:
            pine(
                b,
                x,
                line(x) + 0.012,
                size,
                (58, 124, 88) if air.season != "winter" else (86, 132, 128),
                air,
                far,
            )
        else:
            leaves = leaves_of(air, own)
            b.box(
                x - 0.012 * size,
                line(x) - 0.1 * size,
                x + 0.012 * size,
                line(x) + 0.012,
                air.lit((110, 78, 58), far),
            )
            for dx, dy, r in ((-0.05, -0.12, 0.06), (0.05, -0.12, 0.06), (0, -0.18, 0.07)):
                b.oval(
                    x + dx * size,
                    line(x) + dy * size + 0.01,
                    r * size,
                    r * size,
                    air.lit(mix(leaves, (20, 50, 50), 0.14), far),
                )
            b.oval(x - 0.015 * size, line(x) - 0.165 * size, 0.06 * size, 0.058 * size, air.lit(leaves, far))


def leaves_of(air: Air, own: np.random.Generator) -> Colour:
    if air.season == "autumn":
        return ((226, 120, 46), (206, 78, 44), (238, 178, 70), (190, 104, 48))[int(own.integers(4))]
    return mix(
        air.meadow[2],
        (120, 190, 110) if air.season == "summer" else (255, 255, 255),
        0.18 * float(own.random()),
    )


def mountains(b: Brush, air: Air, motif: Motif) -> None:
    draw_peaks(b, air, air.horizon, 0.2, 0.36)
    meadow, dark, _ = air.meadow
    line = draw_meadow(
        b, air, "foothill", air.horizon + 0.05, 0.02, mix(dark, (90, 130, 150), 0.3), 0.16, 1.6
    )
    draw_wood(b, air, "far wood", line, 0.05, 0.28, 0.18, "pine")
    line = draw_meadow(b, air, "slope", air.horizon + 0.12, 0.028, dark, 0.05)
    draw_wood(b, air, "wood", line, 0.12, 0.42, 0.05, "pine")
    draw_meadow(b, air, "meadow", air.horizon + 0.21, 0.025, meadow)
    draw_tufts(b, air)


def hills(b: Brush, air: Air, motif: Motif) -> None:
    meadow, dark, _ = air.meadow
    draw_meadow(b, air, "hill 0", air.horizon - 0.07, 0.04, mix(dark, (130, 160, 190), 0.5), 0.4, 1.3)
    line = draw_meadow(b, air, "hill 1", air.horizon, 0.045, mix(dark, (110, 150, 160), 0.3), 0.22)
    draw_wood(b, air, "hill trees 1", line, 0.085, 0.24, 0.22)
    line = draw_meadow(b, air, "hill 2", air.horizon + 0.085, 0.045, dark, 0.06, 0.9)
    draw_wood(b, air, "hill trees 2", line, 0.2, 0.42, 0.05)
    draw_meadow(b, air, "hill 3", air.horizon + 0.2, 0.03, meadow, 0.0, 0.8)
    draw_tufts(b, air)


def village(b: Brush, air: Air, motif: Motif) -> None:
    meadow, dark, _ = air.meadow
    draw_peaks(b, air, air.horizon - 0.02, 0.3, 0.42, 0.5)
    line = draw_meadow(b, air, "hill 1", air.horizon + 0.02, 0.03, mix(dark, (110, 150, 160), 0.3), 0.2)
    draw_wood(b, air, "hill trees 1", line, 0.07, 0.26, 0.2)
    line = draw_meadow(b, air, "hill 2", air.horizon + 0.1, 0.03, dark, 0.06, 0.9)
    walls = ("cream", "white", "coral", "light blue", "yellow", "light green")
    for row, (down, size) in enumerate(((0.025, 0.5), (0.085, 0.66))):
        for x, own in b.along(f"home {row}", 0.15 + 0.06 * row, 0.6):
            if own.random() < 0.2:
                continue
            house(
                b,
                x,
                line(x) + down,
                size * float(own.uniform(0.85, 1.1)),
                named(walls[int(own.integers(6))]),
                air,
            )
    own = b.dice("church")
    x = float(own.uniform(0.3, 0.7))
    stone, y = air.lit((240, 234, 222)), line(x) + 0.05
    b.box(x - 0.028, y - 0.2, x + 0.028, y, stone)
    b.shape([(x - 0.036, y - 0.2), (x + 0.036, y - 0.2), (x, y - 0.34)], air.lit((150, 70, 62)))
    b.oval(x, y - 0.165, 0.013, 0.013, LAMP if air.is_dark else air.lit((90, 110, 140)))
    b.box(x + 0.028, y - 0.1, x + 0.11, y, mix(stone, (60, 60, 90), 0.1))
    b.shape(
        [(x + 0.022, y - 0.1), (x + 0.116, y - 0.1), (x + 0.1, y - 0.15), (x + 0.028, y - 0.15)],
        air.lit((134, 62, 56)),
    )
    draw_meadow(b, air, "hill 3", air.horizon + 0.24, 0.02, meadow, 0.0, 0.8)
    draw_tufts(b, air, 0.92)


def desert(b: Brush, air: Air, motif: Motif) -> None:
    for x, dice in b.along("mesa", 0.52, 0.6):
        if dice.random() < 0.35:
            continue
        wide, tall = float(dice.uniform(0.08, 0.15)), float(dice.uniform(0.08, 0.16))
        y, tone = air.horizon + 0.03, air.lit((206, 132, 98), 0.3)
        b.shape(
            [
                (x - wide, y),
                (x - wide * 0.72, y - tall * 0.45),
                (x - wide * 0.62, y - tall),
                (x + wide * 0.6, y - tall),
                (x + wide * 0.74, y - tall * 0.4),
                (x + wide, y),
            ],
            tone,
        )
        b.shape(
            [
                (x + wide * 0.2, y),
                (x + wide * 0.25, y - tall),
                (x + wide * 0.6, y - tall),
                (x + wide * 0.74, y - tall * 0.4),
                (x + wide, y),
            ],
            mix(tone, (90, 50, 80), 0.2),
        )
    for k, (height, tone, far) in enumerate(
        (
            (-0.0, (232, 186, 124), 0.25),
            (0.085, (240, 198, 134), 0.1),
            (0.19, (248, 212, 148), 0.0),
            (0.31, (240, 196, 128), 0.0),
        )
    ):
        line = ridge(b, f"dune {k}", air.horizon + height, 0.045, 0.75 + 0.1 * k)
        fill(b, line, air.lit(tone, far), air.lit(mix(tone, (206, 142, 96), 0.55), far))
        xs = np.linspace(b.left, b.right, 80)
        crest = [(float(x), line(float(x))) for x in xs]
        lee = [(x + 0.012, y + max(0.0, (line(x + 0.03) - y)) * 1.6 + 0.004) for x, y in crest]
        b.shape([*crest, *reversed(lee)], air.lit(mix(tone, (168, 98, 78), 0.42), far))


def volcano(b: Brush, air: Air, motif: Motif) -> None:
    own = b.dice("volcano")
    x, top, foot = 0.5 + float(own.uniform(-0.06, 0.06)), 0.27, 0.74
    smoke = mix(air.lit((120, 112, 120)), air.sky[1], 0.2)
    for k in range(9):
        t = k / 9
        cx = x + 0.03 * math.sin(4 * t + 0.7 * b.moment) + 0.14 * t * t
        b.oval(
            cx,
            top - 0.02 - 0.25 * t,
            0.035 + 0.075 * t,
            0.03 + 0.055 * t,
            mix(smoke, air.sky[0], 0.15 + 0.5 * t),
        )
    b.glow(x, top, 0.26, (255, 120, 50), 0.7 if air.is_dark else 0.45)
    rock = air.lit((98, 82, 88))
    left, right = (
        [(x - 0.07, top), (x - 0.16, 0.42), (x - 0.3, 0.6), (x - 0.52, foot)],
        [(x + 0.07, top), (x + 0.15, 0.42), (x + 0.28, 0.6), (x + 0.52, foot)],
    )
    b.shape([*left, *reversed(right)], rock)
    b.shape([(x + 0.01, top), *right, (x + 0.1, foot), (x + 0.05, 0.5)], mix(rock, (30, 20, 50), 0.28))
    lava, hot = (255, 110, 44), (255, 206, 92)
    for path, wide in (
        ([(x - 0.01, top), (x - 0.04, 0.38), (x - 0.02, 0.48), (x - 0.1, 0.62), (x - 0.09, foot)], 0.03),
        ([(x + 0.03, top), (x + 0.06, 0.36), (x + 0.12, 0.46), (x + 0.13, 0.57)], 0.02),
    ):
        b.line(path, wide, lava)
        b.line(path, wide * 0.45, hot)
    b.oval(x, top, 0.072, 0.016, mix(rock, (20, 10, 20), 0.4))
    b.oval(x, top + 0.003, 0.056, 0.011, hot)
    for k in range(7):
        a = -0.5 * math.pi + (k - 3) * 0.26
        reach = 0.08 + 0.05 * ((k * 37) % 5) / 5 + 0.015 * math.sin(3 * b.moment + k)
        b.oval(
            x + reach * math.cos(a), top + reach * 1.25 * math.sin(a), 0.008, 0.008, hot if k % 2 else lava
        )
    meadow, dark, _ = air.meadow
    line = draw_meadow(b, air, "jungle", foot - 0.01, 0.02, dark, 0.06, 1.4)
    draw_wood(b, air, "jungle", line, 0.06, 0.34, 0.06)
    draw_meadow(b, air, "meadow", 0.84, 0.025, meadow)
    draw_tufts(b, air)


def forest(b: Brush, air: Air, motif: Motif) -> None:
    meadow, dark, _ = air.meadow
    conifers = air.season in ("winter", "summer", "")
    rows = (
        (0.0, 0.052, 0.62, 0.55),
        (0.045, 0.075, 0.82, 0.34),
        (0.1, 0.12, 1.1, 0.16),
        (0.17, 0.2, 1.42, 0.0),
    )
    for k, (down, spacing, s, far) in enumerate(rows):
        y = air.horizon + down
        line = ridge(b, f"forest floor {k}", y, 0.012, 1.2)
        fill(b, line, air.lit(mix(dark, (40, 80, 70), 0.25), far))
        for x, own in b.along(f"forest {k}", spacing, 0.8):
            size = s * float(own.uniform(0.82, 1.18))
            if k == 3 and abs(x - 0.5) < 0.2 and motif.things:
                continue
            if conifers or own.random() < 0.3:
                tone = mix((38, 112, 84), (70, 136, 84), float(own.random()))
                pine(
                    b,
                    x,
                    line(x) + 0.02,
                    size,
                    mix(tone, (120, 160, 170), 0.3) if air.season == "winter" else tone,
                    air,
                    far,
                )
            else:
                _broadleaf(b, x, line(x) + 0.02, size, leaves_of(air, own), air, far)
    draw_meadow(b, air, "glade", air.horizon + 0.22, 0.02, meadow, 0.0, 0.9)
    draw_tufts(b, air)
    if air.time in ("day", "dawn") and air.gloom < 0.2:
        rays(b, air.sun_x, (255, 246, 206), 0.12)


def _broadleaf(b: Brush, x: float, y: float, s: float, leaves: Colour, air: Air, far: float) -> None:
    b.box(x - 0.012 * s, y - 0.18 * s, x + 0.012 * s, y, air.lit((104, 74, 58), far))
    for tone, dx, dy, share in (
        (mix(leaves, (40, 20, 50), 0.2), 0.0, 0.01, 1.0),
        (leaves, -0.008, -0.008, 0.88),
        (mix(leaves, (255, 244, 200), 0.22), -0.022, -0.03, 0.5),
    ):
        for hx, hy, r in ((-0.055, -0.2, 0.062), (0.055, -0.2, 0.062), (0.0, -0.28, 0.068)):
            b.oval(x + (hx + dx) * s, y + (hy + dy) * s, r * share * s, r * share * s, air.lit(tone, far))
