"""Places by the water: sea, lake, beach, island, and the city at its river."""

from __future__ import annotations

import math

import numpy as np

from pipelines.illustrator.air import Air, mirror
from pipelines.illustrator.brush import Brush, mix
from pipelines.illustrator.colours import LAMP, named
from pipelines.illustrator.land import draw_meadow, draw_peaks, draw_tufts, draw_wood, fill, leaves_of
from pipelines.illustrator.motif import Motif
from pipelines.illustrator.plants import palm
from pipelines.illustrator.things import THINGS


def _water(b: Brush, air: Air, top: float) -> None:
    near, far = {
        "day": ((30, 104, 176), (120, 200, 224)),
        "dawn": ((92, 108, 178), (244, 196, 206)),
        "sunset": ((58, 44, 112), (246, 158, 104)),
        "night": ((12, 22, 62), (54, 78, 134)),
    }[air.time]
    grey = mix((80, 98, 120), (20, 26, 46), 0.6 if air.time == "night" else 0.0)
    b.fade(top, b.bottom, mix(far, grey, air.gloom), mix(near, grey, air.gloom * 0.8))


def _glitter(b: Brush, air: Air, top: float) -> None:
    """The sun's or moon's path on the water."""
    if air.weather in ("stormy", "rainy", "snowfall", "foggy"):
        return
    tone = {
        "day": (236, 250, 255),
        "dawn": (255, 236, 224),
        "sunset": (255, 214, 136),
        "night": (206, 216, 240),
    }[air.time]
    own = b.dice("glitter")
    for k in range(15):
        y = top + 0.012 + (b.bottom - top) * 0.88 * (k / 15) ** 1.25
        wide = (0.022 + 0.1 * (k / 15)) * float(own.uniform(0.45, 1.2))
        x = (
            air.sun_x
            + float(own.uniform(-0.5, 0.5)) * (0.02 + 0.11 * k / 15)
            + 0.006 * math.sin(2 * b.moment + k)
        )
        thick = 0.003 + 0.006 * k / 15
        b.round_box(
            x - wide,
            y,
            x + wide,
            y + thick * 1.6,
            thick * 0.8,
            mix(tone, air.sky[1], 0.1 + 0.3 * (k % 3) / 3),
        )


def _waves(b: Brush, air: Air, top: float) -> None:
    light = mix(air.lit((190, 226, 240)), air.sky[2], 0.2)
    rough = air.weather == "stormy"
    for row in range(9):
        y = top + 0.02 + (b.bottom - top) * (row / 9) ** 1.35
        scale = 0.35 + 0.9 * row / 9
        for x, own in b.along(f"wave {row}", 0.2 * scale + 0.04, 1.0):
            if own.random() < 0.42:
                continue
            x += 0.012 * math.sin(1.1 * b.moment + row)
            w = 0.035 * scale * float(own.uniform(0.6, 1.4))
            lift = (0.016 if rough else 0.005) * scale
            b.line(
                [(x - w, y), (x - w * 0.4, y - lift), (x + w * 0.3, y - lift * 0.3), (x + w, y)],
                0.004 * scale + 0.001,
                mix(light, (255, 255, 255), 0.5 if rough else 0.1),
            )


def sea(b: Brush, air: Air, motif: Motif) -> None:
    _water(b, air, air.horizon)
    _waves(b, air, air.horizon)
    _glitter(b, air, air.horizon)


def coast_line(x: float) -> float:
    return 0.83 + 0.018 * math.sin(5 * x + 1) + 0.008 * math.sin(13 * x)


def coast(b: Brush, air: Air, motif: Motif) -> None:
    """Rocks with grass, along the bottom, for what stands on land."""
    if not any(THINGS[thing.name][2] == "ground" for thing in motif.things):
        return
    fill(b, lambda x: coast_line(x) + 0.012, air.lit((236, 244, 248), 0, 0.5))
    fill(b, lambda x: coast_line(x) + 0.02, air.lit((128, 116, 112)), air.lit((84, 78, 84)))
    meadow, dark, _ = air.meadow if air.season else ((128, 184, 92), (86, 148, 84), (0, 0, 0))
    fill(b, coast_line, air.lit(meadow), air.lit(dark))


def lake(b: Brush, air: Air, motif: Motif) -> None:
    _, dark, _ = air.meadow
    draw_peaks(b, air, air.horizon - 0.05, 0.2, 0.34)
    line = draw_meadow(b, air, "shore hill", air.horizon - 0.035, 0.018, dark, 0.12, 1.7)
    draw_wood(b, air, "shore wood", line, 0.055, 0.34, 0.1)
    b.box(b.left, air.horizon - 0.01, b.right, b.bottom, air.lit(dark, 0.1))
    water = {"day": (58, 136, 190), "dawn": (150, 140, 190), "sunset": (110, 62, 104), "night": (18, 30, 74)}[
        air.time
    ]
    mirror(b, air.horizon, mix(water, (90, 100, 116), air.gloom), 0.42)
    _glitter(b, air, air.horizon)


def lakeside(b: Brush, air: Air, motif: Motif) -> None:
    draw_meadow(b, air, "near shore", 0.94, 0.03, air.meadow[0], 0.0, 0.7)
    draw_tufts(b, air, 0.955)


def beach(b: Brush, air: Air, motif: Motif) -> None:
    _water(b, air, air.horizon)
    _waves(b, air, air.horizon)
    _glitter(b, air, air.horizon)


def sand(b: Brush, air: Air, motif: Motif) -> None:
    """The strip along the bottom of the beach, with what always lies there."""
    line = _shore_line
    fill(b, lambda x: line(x) - 0.02 - 0.006 * math.sin(0.9 * b.moment), air.lit((168, 226, 226), 0, 0.7))
    fill(b, lambda x: line(x) - 0.005 - 0.006 * math.sin(0.9 * b.moment), air.lit((255, 255, 255), 0, 0.6))
    fill(b, lambda x: line(x) + 0.008, air.lit((228, 194, 142)))
    fill(b, lambda x: line(x) + 0.022, air.lit((250, 222, 168)), air.lit((240, 200, 140)))
    names = {thing.name for thing in motif.things}
    if "palm" not in names and "palm" not in motif.avoid:
        palm(b, 0.1, 0.9, 1.35, named("green"), air)
    if len(names) < 2:
        _parasol(b, air, 0.72)
    own = b.dice("shells")
    for _ in range(9):
        x, y = float(own.uniform(b.left, b.right)), float(own.uniform(0.93, 0.985))
        b.oval(x, y, 0.006, 0.004, air.lit((255, 240, 224)))


def _shore_line(x: float) -> float:
    return 0.8 + 0.03 * math.sin(2.4 * x + 0.6)


def _parasol(b: Brush, air: Air, x: float) -> None:
    y, r = 0.92, 0.1
    b.shadow(x + 0.04, y + 0.004, 0.1, 0.014)
    b.line([(x, y), (x - 0.03, y - 0.2)], 0.008, air.lit((240, 236, 226)))
    top = (x - 0.03, y - 0.2)
    for k in range(6):
        tone = named("red") if k % 2 == 0 else (255, 250, 240)
        b.slice(top[0], top[1] + 0.02, r, r * 0.82, 180 + 30 * k, 210 + 30 * k + 0.5, air.lit(tone, 0, 0.6))
    b.round_box(x + 0.02, y - 0.008, x + 0.13, y + 0.014, 0.006, air.lit(named("teal"), 0, 0.6))


def island(b: Brush, air: Air, motif: Motif) -> None:
    _water(b, air, air.horizon)
    _waves(b, air, air.horizon)
    _glitter(b, air, air.horizon)
    y = 0.82
    b.oval(0.5, y + 0.02, 0.42, 0.05, air.lit((160, 222, 224), 0, 0.7))
    b.oval(0.5, y + 0.012, 0.38, 0.04, air.lit((255, 255, 255), 0, 0.6))
    b.slice(0.5, y + 0.01, 0.36, 0.075, 180, 360, air.lit((250, 222, 168)))
    b.oval(0.5, y + 0.01, 0.36, 0.03, air.lit((246, 212, 154)))
    b.slice(0.48, y - 0.02, 0.22, 0.08, 180, 360, air.lit((112, 178, 92)))
    if "palm" not in {thing.name for thing in motif.things}:
        palm(b, 0.4, y - 0.06, 1.2, named("green"), air)
        palm(b, 0.62, y - 0.04, 0.95, named("green"), air)


def city(b: Brush, air: Air, motif: Motif) -> None:
    shore = 0.8
    for row, (low, high, wide, far) in enumerate(
        ((0.36, 0.52, 0.085, 0.62), (0.4, 0.6, 0.105, 0.34), (0.5, 0.7, 0.12, 0.06))
    ):
        tone = ((128, 144, 190), (98, 112, 158), (66, 76, 116))[row]
        for x, own in b.along(f"tower {row}", wide * 1.06, 0.35):
            w, top = wide * float(own.uniform(0.72, 1.0)) / 2, float(own.uniform(low, high))
            wall = air.lit(mix(tone, (196, 150, 140) if own.random() < 0.3 else tone, 0.4), far, 0.9)
            b.box(x - w, top, x + w, shore, wall)
            b.box(x + w * 0.35, top, x + w, shore, mix(wall, (20, 20, 60), 0.12))
            roof = int(own.integers(4))
            if roof == 0:
                b.shape([(x - w, top), (x + w, top), (x, top - w * 0.9)], wall)
            elif roof == 1:
                b.box(x - w * 0.6, top - 0.025, x + w * 0.6, top, wall)
                b.line([(x, top - 0.02), (x, top - 0.085)], 0.005, wall)
            elif roof == 2:
                b.slice(x, top, w, w * 0.8, 180, 360, wall)
            if row == 0:
                continue
            _windows(b, air, x, w, top, shore, own, far)
    b.box(b.left, shore - 0.022, b.right, shore, air.lit((60, 66, 92)))
    for x, own in b.along("quay tree", 0.075, 0.6):
        r = 0.02 * float(own.uniform(0.8, 1.3))
        b.oval(x, shore - 0.026, r, r, air.lit(mix(leaves_of(air, own), (20, 50, 60), 0.2)))
    water = {"day": (62, 124, 180), "dawn": (140, 130, 184), "sunset": (104, 58, 106), "night": (14, 22, 58)}[
        air.time
    ]
    mirror(b, shore, mix(water, (70, 80, 100), air.gloom), 0.46)
    light = mix(air.sky[2], water, 0.3)
    for row in range(5):
        y = shore + 0.02 + 0.038 * row
        for x, own in b.along(f"ripple {row}", 0.16, 1.0):
            if own.random() < 0.5:
                w = 0.025 + 0.02 * float(own.random())
                b.round_box(x - w, y, x + w, y + 0.004, 0.002, light)


def _windows(
    b: Brush, air: Air, x: float, w: float, top: float, low: float, own: np.random.Generator, far: float
) -> None:
    across = max(2, round(w / 0.0155))
    lamp, glass = mix(LAMP, air.sky[1], far * 0.4), air.lit((176, 204, 230), far, 0.8)
    step = 0.03
    rows = int((low - 0.03 - top - 0.018) / step)
    lights = own.random((max(1, rows), across))
    for r in range(rows):
        for k in range(across):
            left = x - w + 2 * w * (k + 0.24) / across
            y = top + 0.02 + step * r
            on = air.is_dark and lights[r, k] < 0.55
            tone = lamp if on else mix(glass, (30, 36, 70), 0.72) if air.is_dark else glass
            b.box(left, y, left + 2 * w * 0.52 / across, y + 0.0165, tone)
