"""The sky of a landscape and what it does to everything under it: hour, weather, season, and the distance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipelines.illustrator.brush import Brush, Point, mix
from pipelines.illustrator.colours import LIGHT, Colour
from pipelines.illustrator.motif import Motif

SKIES: dict[str, tuple[Colour, Colour, Colour]] = {  # top, middle, horizon
    "day": ((62, 140, 226), (132, 196, 246), (224, 242, 252)),
    "dawn": ((124, 134, 208), (240, 180, 202), (255, 226, 198)),
    "sunset": ((70, 44, 114), (214, 88, 104), (255, 184, 96)),
    "night": ((10, 14, 44), (24, 36, 90), (62, 82, 138)),
}
SUNS: dict[str, tuple[Colour, Colour, float]] = {  # disc, glow, radius
    "day": ((255, 244, 176), (255, 250, 224), 0.062),
    "dawn": ((255, 246, 222), (255, 236, 206), 0.07),
    "sunset": ((255, 234, 150), (255, 206, 120), 0.092),
    "night": ((250, 246, 222), (150, 170, 220), 0.06),
}
CLOUDS: dict[str, tuple[Colour, Colour]] = {  # lit side, shaded side
    "day": ((255, 255, 255), (216, 232, 246)),
    "dawn": ((255, 240, 236), (246, 202, 212)),
    "sunset": ((255, 206, 150), (214, 112, 112)),
    "night": ((88, 104, 156), (58, 72, 124)),
}
GREENS: dict[str, tuple[Colour, Colour, Colour]] = {  # meadow, dark meadow, leaves
    "summer": ((126, 190, 84), (74, 148, 82), (44, 124, 72)),
    "autumn": ((214, 176, 88), (176, 132, 66), (222, 112, 44)),
    "winter": ((240, 245, 252), (208, 222, 238), (150, 178, 198)),
    "spring": ((160, 208, 104), (104, 174, 96), (248, 176, 202)),
    "": ((132, 190, 92), (82, 150, 84), (52, 130, 76)),
}
GREY: Colour = (112, 120, 136)


@dataclass(frozen=True)
class Air:
    """The light of one landscape."""

    time: str
    weather: str
    season: str
    sun_x: float
    horizon: float

    @classmethod
    def of(cls, motif: Motif, b: Brush, horizon: float) -> Air:
        sun_x = float(b.dice("sun").uniform(0.24, 0.76)) + 0.01 * b.moment
        return cls(motif.time, motif.weather, motif.season, sun_x, horizon)

    @property
    def is_dark(self) -> bool:
        """Lamps are on."""
        return self.time in ("night", "sunset") or self.weather == "stormy"

    @property
    def gloom(self) -> float:
        return {"stormy": 0.62, "rainy": 0.42, "snowfall": 0.28, "cloudy": 0.1, "foggy": 0.3}.get(
            self.weather, 0.0
        )

    @property
    def sky(self) -> tuple[Colour, Colour, Colour]:
        dark = self.time == "night"
        top, middle, low = SKIES[self.time]
        grey = mix(GREY, (22, 26, 48), 0.62 if dark else 0.0)
        if self.weather == "stormy":
            grey = mix(grey, (40, 44, 62), 0.45)
        if self.weather in ("snowfall", "foggy"):
            grey = mix(grey, (236, 240, 246), 0.15 if dark else 0.6)
        return (
            mix(top, grey, self.gloom),
            mix(middle, grey, self.gloom * 0.9),
            mix(low, grey, self.gloom * 0.7),
        )

    @property
    def meadow(self) -> tuple[Colour, Colour, Colour]:
        return GREENS[self.season]

    def lit(self, colour: Colour, far: float = 0.0, strength: float = 1.0) -> Colour:
        """A colour in this light. far: 0 here, 1 lost in the haze at the horizon."""
        tint, share = LIGHT[self.time]
        colour = mix(colour, tint, share * strength)
        colour = mix(colour, self.sky[1], self.gloom * 0.38 * strength)
        fog = 0.25 if self.weather == "foggy" else 0.0
        return mix(colour, self.sky[2], min(1.0, far + fog * (0.4 + far)))


def draw_sky(b: Brush, air: Air, motif: Motif) -> None:
    """Gradient, stars, sun or moon, clouds, rainbow."""
    top, middle, low = air.sky
    half = b.top + (air.horizon - b.top) * 0.55
    b.fade(b.top, half, top, middle)
    b.fade(half, air.horizon, middle, low)
    b.fade(air.horizon, b.bottom, low, low)
    covered = air.weather in ("stormy", "rainy", "snowfall", "foggy")
    if air.time == "night" and not covered:
        stars(b, air.horizon - 0.08)
    if not covered or (air.weather == "foggy" and air.time != "night"):
        _sun(b, air)
    if air.weather == "rainbow":
        _rainbow(b, air)
    if air.weather in ("cloudy", "stormy", "rainy", "rainbow") or (
        air.weather == "clear" and "cloudy" not in motif.avoid and air.time != "night"
    ):
        _clouds(b, air)
    if air.weather == "stormy":
        _lightning(b, air)


def stars(b: Brush, low: float, density: float = 1.0) -> None:
    """Stars from the top down to `low`, thinner towards it; a few larger ones sparkle."""
    step = 0.085 / math.sqrt(density)
    rows = math.ceil((low - b.top) / step)
    for row in range(rows):
        for x, own in b.along(f"star {row}", step, 1.0):
            y = low - (row + float(own.uniform(0, 1))) * step
            if own.random() > 0.34 + 0.3 * row / rows:
                continue
            r = float(own.uniform(0.0016, 0.0042)) * (
                1 + 0.35 * math.sin(2.2 * b.moment + 6 * float(own.random()))
            )
            colour = mix((255, 250, 226), (176, 200, 255), float(own.random()))
            if own.random() < 0.12:
                b.shape([
                    (x, y - 3.4 * r), (x + 0.8 * r, y - 0.8 * r), (x + 3.4 * r, y), (x + 0.8 * r, y + 0.8 * r),
                    (x, y + 3.4 * r), (x - 0.8 * r, y + 0.8 * r), (x - 3.4 * r, y), (x - 0.8 * r, y - 0.8 * r),
                ], colour)  # fmt: skip
            else:
                b.oval(x, y, r, r, colour)


def sun_height(b: Brush, air: Air) -> float:
    high = float(b.dice("sun height").uniform(0.15, 0.21))
    return {"dawn": air.horizon - 0.1, "sunset": air.horizon - 0.07}.get(air.time, high) - 0.004 * b.moment


def _sun(b: Brush, air: Air) -> None:
    disc, glow, r = SUNS[air.time]
    x, y = air.sun_x, sun_height(b, air)
    if air.time == "night":
        b.glow(x, y, 0.3, glow, 0.45)
        b.shape(crescent(x, y, r), disc)
        return
    b.glow(x, y, 0.52 if air.time != "day" else 0.34, glow, 0.75)
    if air.weather != "foggy":
        b.oval(x, y, r, r, disc)
    else:
        b.glow(x, y, r * 2, disc, 0.8)


def crescent(x: float, y: float, r: float) -> list[Point]:
    """A waxing moon: a disc of radius r less a smaller one up to its right."""
    cut_x, cut_y, cut = x + r * 0.5, y - r * 0.22, r * 0.84
    angles = [2 * math.pi * k / 180 + 0.9 - math.pi / 2 for k in range(181)]
    rim = [(x + r * math.cos(a), y + r * math.sin(a)) for a in angles]
    outer = [p for p in rim if math.hypot(p[0] - cut_x, p[1] - cut_y) >= cut]
    turn = (
        math.atan2(outer[-1][1] - cut_y, outer[-1][0] - cut_x),
        math.atan2(outer[0][1] - cut_y, outer[0][0] - cut_x),
    )
    start, end = turn[0] % (2 * math.pi), turn[1] % (2 * math.pi)
    if end > start:
        end -= 2 * math.pi
    inner = [start + (end - start) * k / 60 for k in range(61)]
    return [*outer, *[(cut_x + cut * math.cos(a), cut_y + cut * math.sin(a)) for a in inner]]


def _clouds(b: Brush, air: Air) -> None:
    light, shade = CLOUDS[air.time]
    many = {"clear": 0.72, "rainbow": 0.62}.get(air.weather, 0.3)
    if air.weather in ("stormy", "rainy"):
        dark = mix((92, 98, 116), SKIES[air.time][0], 0.3)
        light, shade = (
            mix(dark, (190, 196, 208), 0.22),
            mix(dark, (30, 34, 50), 0.35 if air.weather == "stormy" else 0.1),
        )
    drift = 0.012 * b.moment
    for row, (height, scale) in enumerate(((0.1, 0.8), (0.24, 1.1))):
        if air.weather == "clear" and row == 0:
            continue
        for x, own in b.along(f"cloud {row}", many if air.weather in ("clear", "rainbow") else 0.38, 0.7):
            y = height + float(own.uniform(-0.05, 0.06)) + (b.top * 0.45)
            if air.weather == "clear" and abs(x - air.sun_x) < 0.16:
                continue
            s = scale * float(own.uniform(0.7, 1.15)) * (1.25 if air.weather in ("stormy", "rainy") else 1.0)
            cloud(b, x + drift * (0.6 + scale), y, s, light, shade, own)


def cloud(
    b: Brush, x: float, y: float, s: float, light: Colour, shade: Colour, own: np.random.Generator
) -> None:
    """Heaps on a flat base, lit from above."""
    heaps = [(-0.1, 0.004, 0.036), (-0.045, -0.026, 0.05), (0.03, -0.034, 0.056), (0.088, -0.004, 0.042)]
    heaps = [(dx, dy, r * float(own.uniform(0.9, 1.1))) for dx, dy, r in heaps]
    for colour, lift in ((shade, 0.0), (light, 0.012)):
        for dx, dy, r in heaps:
            b.oval(x + dx * s, y + (dy - lift) * s, r * s, (r - lift * 0.5) * s, colour)
        if not lift:
            b.round_box(x - 0.134 * s, y, x + 0.128 * s, y + 0.04 * s, 0.02 * s, colour)


def _lightning(b: Brush, air: Air) -> None:
    x = 0.3 + 0.4 * float(b.dice("bolt").random())
    y, s = 0.25, 0.34
    zigzag = [(0.1, 0), (0.34, 0), (0.2, 0.38), (0.38, 0.38), (-0.02, 1), (0.1, 0.52), (-0.06, 0.52)]
    b.glow(x + 0.1 * s, y + 0.4 * s, 0.3, (220, 224, 255), 0.5)
    b.shape([(x + u * s, y + v * s) for u, v in zigzag], (255, 240, 130))


def _rainbow(b: Brush, air: Air) -> None:
    x, y = 0.5 + float(b.dice("rainbow").uniform(-0.12, 0.12)), air.horizon + 0.12
    before = b.image.copy()
    for k, colour in enumerate(
        ((232, 76, 74), (246, 150, 60), (252, 222, 92), (102, 190, 110), (78, 148, 226), (138, 96, 196))
    ):
        b.ring(x, y, 0.56 - 0.02 * k, 0.56 - 0.02 * k, 0.022, colour)
    b.image = Image.blend(before, b.image, 0.62)
    b.draw = ImageDraw.Draw(b.image)


def draw_weather(b: Brush, air: Air) -> None:
    """What falls or drifts in front of everything."""
    if air.weather in ("rainy", "stormy"):
        _rain(b, mix((214, 226, 240), air.sky[1], 0.25), 0.5)
    elif air.weather == "snowfall":
        for size, step, own_seed in ((0.006, 0.11, "far"), (0.011, 0.16, "near")):
            rows = math.ceil((b.bottom - b.top) / step) + 1
            for row in range(rows):
                for x, own in b.along(f"flake {own_seed} {row}", step, 1.0):
                    fall = 0.12 * b.moment * (size / 0.008)
                    span = b.bottom - b.top
                    y = b.top + (row * step + float(own.random()) * step + fall) % span
                    r = size * float(own.uniform(0.6, 1.1))
                    b.oval(x + 0.012 * math.sin(2 * b.moment + row), y, r, r, (255, 255, 255))
    elif air.weather == "foggy":
        light = mix(air.sky[2], (255, 255, 255), 0.1 if air.time == "night" else 0.5)
        for k, y in enumerate((0.56, 0.68, 0.82)):
            x = 0.5 + 0.3 * math.sin(k * 2.1 + 0.2 * b.moment)
            b.spot(x - 0.9, y - 0.035, x + 0.9, y + 0.035, light, 0.03, 0.62)


def _rain(b: Brush, colour: Colour, strength: float) -> None:
    layer = Image.new("L", (b.width, b.height))
    draw = ImageDraw.Draw(layer)
    step, wide = 0.075, max(1, round(0.004 * b.size))
    span = b.bottom - b.top
    for row in range(math.ceil(span / step) + 1):
        for x, own in b.along(f"rain {row}", step, 1.0):
            y = b.top + (row * step + float(own.random()) * step + 0.9 * b.moment) % span
            long = float(own.uniform(0.035, 0.06))
            draw.line(b.at([(x, y), (x - long * 0.22, y + long)]), fill=255, width=wide)
    b.image.paste(colour, (0, 0), layer.point(lambda v: v * strength))


def rays(b: Brush, x: float, colour: Colour, strength: float = 0.3) -> None:
    """Light that falls in from above, softly."""
    for k, lean in enumerate((-0.35, -0.12, 0.1, 0.3)):
        wide = 0.05 + 0.02 * (k % 2)
        foot = lean + 0.04 * math.sin(0.8 * b.moment + k)
        points = [
            (x + lean * 0.3 - wide * 0.4, b.top - 0.05), (x + lean * 0.3 + wide * 0.4, b.top - 0.05),
            (x + foot * 1.6 + wide * 2, 0.8), (x + foot * 1.6 - wide * 2, 0.8),
        ]  # fmt: skip
        b.haze(points, colour, 0.015, strength)


def mirror(b: Brush, line: float, water: Colour, strength: float) -> None:
    """Still water from `line` down: what stands above it upside down, darker and wavering."""
    (_, y), *_ = b.at([(0, line)])
    first = round(y)
    deep = b.height - first
    if deep <= 0:
        return
    above = b.image.crop((0, max(0, first - deep), b.width, first)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    reflection = Image.new("RGB", (b.width, deep), water)
    reflection.paste(above, (0, 0))
    reflection = reflection.filter(ImageFilter.BoxBlur((0, max(1, b.size // 170))))
    b.image.paste(Image.blend(reflection, Image.new("RGB", reflection.size, water), strength), (0, first))
    b.draw = ImageDraw.Draw(b.image)
