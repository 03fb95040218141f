"""Places without a sky of ours: space and under water."""

from __future__ import annotations

import math

from pipelines.illustrator.air import Air, rays, stars
from pipelines.illustrator.animals import fish
from pipelines.illustrator.brush import Brush, mix
from pipelines.illustrator.colours import Colour, named
from pipelines.illustrator.land import fill, ridge
from pipelines.illustrator.motif import Motif


def space(b: Brush, air: Air, motif: Motif) -> None:
    b.fade(b.top, 0.5, (14, 10, 42), (30, 16, 66))
    b.fade(0.5, b.bottom, (30, 16, 66), (12, 12, 40))
    own = b.dice("nebula")
    for k, tone in enumerate(((150, 60, 170), (60, 90, 200), (220, 90, 140), (50, 150, 190), (120, 60, 190))):
        x = float(own.uniform(b.left, b.right)) + 0.02 * math.sin(0.3 * b.moment + k)
        b.glow(x, float(own.uniform(b.top, b.bottom)), float(own.uniform(0.3, 0.55)), tone, 0.42)
    stars(b, b.bottom, 2.2)
    names = {thing.name for thing in motif.things}
    if "planet" not in names and "planet" not in motif.avoid:
        x, y, r = 0.24 + float(own.uniform(-0.05, 0.05)), 0.84, 0.3
        tone = ((236, 130, 100), (96, 160, 214), (150, 120, 210))[int(own.integers(3))]
        b.glow(x, y, r * 1.5, mix(tone, (255, 255, 255), 0.3), 0.4)
        b.oval(x, y, r, r, tone)
        for dx, dy, size in (
            (-0.4, -0.3, 0.16),
            (0.2, -0.55, 0.11),
            (0.35, 0.1, 0.2),
            (-0.1, 0.15, 0.13),
            (0.05, -0.2, 0.07),
        ):
            b.oval(x + dx * r, y + dy * r, size * r, size * r, mix(tone, (40, 20, 70), 0.16))
            b.oval(
                x + (dx + 0.02) * r,
                y + (dy + 0.025) * r,
                size * 0.82 * r,
                size * 0.82 * r,
                mix(tone, (40, 20, 70), 0.08),
            )
        b.dusk(x, y, r, (8, 6, 34), 0.5)
        mx, my, mr = 0.8 + float(own.uniform(-0.06, 0.06)), 0.2, 0.05
        b.oval(mx, my, mr, mr, (214, 214, 224))
        for dx, dy, size in ((-0.3, -0.2, 0.24), (0.3, 0.25, 0.18), (0.15, -0.45, 0.13)):
            b.oval(mx + dx * mr, my + dy * mr, size * mr, size * mr, (178, 178, 196))
        b.dusk(mx, my, mr, (8, 6, 34), 0.5)


def underwater(b: Brush, air: Air, motif: Motif) -> None:
    day = {"night": 0.5, "sunset": 0.2, "dawn": 0.08}.get(air.time, 0.0)

    def deep(tone: Colour) -> Colour:
        return mix(tone, (8, 14, 50), day)

    b.fade(b.top, 0.5, deep((96, 206, 226)), deep((34, 132, 190)))
    b.fade(0.5, b.bottom, deep((34, 132, 190)), deep((12, 66, 132)))
    rays(b, 0.45, (220, 250, 255), 0.2)
    for k, (height, tone) in enumerate(((0.74, (24, 96, 150)), (0.83, (30, 84, 128)))):
        fill(b, ridge(b, f"reef {k}", height, 0.05, 1.3), deep(tone))
    sand = ridge(b, "sand", 0.91, 0.018, 0.9)
    fill(b, sand, deep((232, 206, 150)), deep((196, 164, 116)))
    corals = ((244, 104, 116), (250, 150, 92), (196, 96, 190), (250, 196, 92))
    for x, own in b.along("coral", 0.17, 0.8):
        tone, y = deep(corals[int(own.integers(4))]), sand(x) + 0.02
        if own.random() < 0.45:
            for branch in (-0.5, -0.2, 0.12, 0.42):
                tip = (x + 0.1 * math.sin(branch), y - 0.12 * float(own.uniform(0.7, 1.2)) * math.cos(branch))
                b.line([(x, y), (x + 0.03 * branch, y - 0.05), tip], 0.017, tone)
        elif own.random() < 0.6:
            sway = 0.012 * math.sin(1.4 * b.moment + 9 * x)
            for dx in (-0.018, 0.0, 0.02):
                tall = float(own.uniform(0.12, 0.24))
                path = [
                    (x + dx + 0.011 * math.sin(7 * t + dx * 90) + sway * t, y - tall * t)
                    for t in (k / 10 for k in range(11))
                ]
                b.line(path, 0.013, deep((46, 150, 104) if dx else (74, 178, 118)))
        else:
            b.slice(x, y, 0.05, 0.06, 180, 360, tone)
            for dx in (-0.025, 0.0, 0.025):
                b.oval(
                    x + dx,
                    y - 0.026 - (0.012 if not dx else 0),
                    0.007,
                    0.007,
                    mix(tone, (255, 255, 255), 0.45),
                )
    for x, own in b.along("bubble", 0.13, 1.0):
        y = 0.85 - (0.6 * float(own.random()) + 0.06 * b.moment) % 0.75
        r = float(own.uniform(0.005, 0.014))
        b.ring(x, y, r, r, 0.0028, (206, 242, 250))
    if not motif.things:
        own = b.dice("shoal")
        for k in range(4):
            tone = named(("orange", "yellow", "coral", "teal")[k])
            fish(
                b,
                0.2 + 0.19 * k + float(own.uniform(-0.05, 0.05)),
                0.34 + float(own.uniform(-0.14, 0.24)),
                float(own.uniform(0.75, 1.25)),
                tone,
                air,
            )
