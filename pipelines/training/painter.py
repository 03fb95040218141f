"""Paint a scene as a flat picture: the source of every picture `starter/image` has seen.

`paint(scene)` gives the same pixels for the same scene, always. Shapes are placed in unit coordinates (0, 0 top left, 1, 1 bottom
right) on a canvas twice as large, which is then averaged down, so edges are smooth at any size.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pipelines.training.world import Rng, Scene, Thing

Colour = tuple[int, int, int]
Point = tuple[float, float]

COLOURS: dict[str, Colour] = {
    "red": (222, 50, 48),
    "orange": (244, 140, 36),
    "yellow": (250, 208, 60),
    "green": (62, 160, 76),
    "teal": (38, 178, 172),
    "blue": (44, 92, 206),
    "purple": (128, 66, 178),
    "pink": (244, 140, 178),
    "white": (250, 248, 244),
    "black": (32, 32, 38),
}
SKIES: dict[str, tuple[Colour, Colour]] = {  # top, horizon
    "day": ((84, 164, 236), (206, 234, 250)),
    "dawn": ((164, 156, 220), (255, 208, 206)),
    "sunset": ((122, 56, 128), (255, 150, 62)),
    "night": ((12, 16, 52), (44, 58, 112)),
}
LIGHT: dict[
    str, tuple[Colour, float]
] = {  # what the hour mixes into every colour on the ground, and how much
    "day": ((255, 255, 255), 0.0),
    "dawn": ((236, 170, 190), 0.25),
    "sunset": ((150, 60, 40), 0.32),
    "night": ((14, 20, 58), 0.58),
}
SEASONS: dict[str, tuple[Colour, Colour]] = {  # ground, leaves
    "summer": ((96, 172, 72), (38, 122, 66)),
    "autumn": ((204, 160, 74), (218, 106, 38)),
    "winter": ((236, 242, 250), (196, 214, 230)),
    "spring": ((150, 204, 96), (246, 166, 196)),
    "": ((120, 180, 84), (46, 130, 70)),
}
SIDES = {"left": 0.22, "middle": 0.5, "right": 0.78}


def paint(scene: Scene, size: int = 256, supersample: int = 2) -> Image.Image:
    """The picture of a scene, `size` × `size`, RGB."""
    brush = _Brush(size * supersample, np.random.default_rng(scene.seed))
    if scene.kind == "emblem":
        _emblem(brush, scene)
    else:
        _landscape(brush, scene)
    return brush.image.reduce(supersample) if supersample > 1 else brush.image


class _Brush:
    """Draws in unit coordinates; everything random about a picture comes from its `rng`."""

    def __init__(self, size: int, rng: Rng) -> None:
        self.size, self.rng = size, rng
        self.image = Image.new("RGB", (size, size))
        self.draw = ImageDraw.Draw(self.image)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        self.draw.polygon([(x * self.size, y * self.size) for x, y in points], fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.draw.rectangle([v * self.size for v in (left, top, right, bottom)], fill=colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self.draw.ellipse([v * self.size for v in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    def fade(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        rows = max(1, round((bottom - top) * self.size))
        mix = np.linspace(0, 1, rows)[:, None]
        column = (np.array(above) * (1 - mix) + np.array(below) * mix).round().astype(np.uint8)[:, None]
        self.image.paste(
            Image.fromarray(column).resize((self.size, rows), Image.Resampling.NEAREST),
            (0, round(top * self.size)),
        )


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def _round(x: float, y: float, r: float, corners: int, turn: float = 0.0) -> list[Point]:
    steps = (turn + 2 * math.pi * k / corners for k in range(corners))
    return [(x + r * math.sin(a), y - r * math.cos(a)) for a in steps]


# ── Landscapes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _landscape(b: _Brush, scene: Scene) -> None:
    tint, share = LIGHT[scene.time]
    stormy = scene.weather == "stormy"

    def lit(colour: Colour, strength: float = 1.0) -> Colour:
        colour = _mix(colour, tint, share * strength)
        return _mix(colour, (62, 66, 82), 0.3) if stormy else colour

    above, below = SKIES[scene.time]
    if stormy:
        above, below = _mix(above, (54, 58, 74), 0.72), _mix(below, (126, 130, 146), 0.5)
    horizon = {"sea": b.between(0.54, 0.6), "desert": b.between(0.56, 0.62), "city": 0.78}.get(
        scene.place, b.between(0.6, 0.66)
    )
    b.fade(0, 1, above, below)
    sun_x = b.between(0.2, 0.8)
    _sky(b, scene, sun_x, horizon)
    ground, leaves = SEASONS[scene.season]
    {
        "mountains": _mountains,
        "hills": _hills,
        "desert": _desert,
        "sea": _sea,
        "forest": _forest,
        "city": _city,
    }[scene.place](b, lit, horizon, ground, leaves, scene, sun_x)
    for thing in scene.things:
        _thing(b, thing, scene, lit, horizon, leaves)


def _sky(b: _Brush, scene: Scene, sun_x: float, horizon: float) -> None:
    if scene.weather != "stormy":
        if scene.time == "night":
            for _ in range(9):
                x, y, r = b.between(0.03, 0.97), b.between(0.03, 0.4), b.between(0.012, 0.018)
                b.shape([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], (240, 238, 214))
            moon_y = b.between(0.13, 0.2)
            back = _mix(*SKIES["night"], moon_y)
            b.oval(sun_x, moon_y, 0.075, 0.075, (246, 240, 206))
            b.oval(sun_x + 0.035, moon_y - 0.015, 0.064, 0.064, back)
        else:
            height = {"day": b.between(0.14, 0.2), "dawn": horizon - 0.08, "sunset": horizon - 0.05}[
                scene.time
            ]
            colour = {"day": (255, 236, 140), "dawn": (255, 242, 214), "sunset": (255, 226, 110)}[scene.time]
            radius = {"day": 0.07, "dawn": 0.085, "sunset": 0.11}[scene.time]
            b.oval(sun_x, height, radius, radius, colour)
    if scene.weather == "clear":
        return
    colour = {
        "day": (255, 255, 255),
        "dawn": (255, 228, 232),
        "sunset": (255, 190, 140),
        "night": (92, 104, 150),
    }[scene.time]
    if scene.weather == "stormy":
        colour = _mix((70, 74, 90), SKIES[scene.time][0], 0.25)
    for k in range(3 if scene.weather == "cloudy" else 4):
        x = (k + b.between(0.15, 0.85)) / (3 if scene.weather == "cloudy" else 4)
        _cloud(b, x, b.between(0.12, 0.3), b.between(0.8, 1.2), colour)
    if scene.weather == "stormy":
        x, y, s = b.between(0.2, 0.8), 0.27, 0.3
        zigzag = [(0.1, 0), (0.34, 0), (0.2, 0.38), (0.38, 0.38), (-0.02, 1), (0.1, 0.52), (-0.06, 0.52)]
        b.shape([(x + u * s, y + v * s) for u, v in zigzag], (255, 232, 92))


def _cloud(b: _Brush, x: float, y: float, s: float, colour: Colour) -> None:
    for dx, dy, r in ((-0.075, 0.005, 0.042), (0.0, -0.022, 0.06), (0.075, 0.002, 0.046)):
        b.oval(x + dx * s, y + dy * s, r * s, r * s, colour)
    b.box(x - 0.075 * s, y + 0.003 * s, x + 0.075 * s, y + 0.047 * s, colour)


def _ridge(b: _Brush, height: float, swing: float, colour: Colour, waves: float = 1.2) -> None:
    a, c = b.between(0, 2 * math.pi), b.between(0, 2 * math.pi)
    xs = np.linspace(0, 1, 65)
    ys = height + swing * (
        0.7 * np.sin(2 * math.pi * waves * xs + a) + 0.3 * np.sin(2 * math.pi * 2.1 * waves * xs + c)
    )
    b.shape([*zip(xs.tolist(), ys.tolist(), strict=True), (1, 1.01), (0, 1.01)], colour)


def _mountains(b, lit, horizon, ground, leaves, scene, sun_x) -> None:  # type: ignore[no-untyped-def]
    rock, snow = lit((112, 122, 150)), lit((246, 248, 252))
    peaks = sorted(((k + b.between(0.25, 0.75)) / 3, b.between(0.24, 0.4)) for k in range(3))
    for number, (x, top) in enumerate(peaks):
        foot, wide = horizon + 0.1, (horizon + 0.1 - top) * 0.8
        shade = _mix(rock, lit((84, 92, 122)), (number % 2) * 0.6)
        b.shape([(x, top), (x + wide, foot), (x - wide, foot)], shade)
        cap = 0.34 if scene.season != "winter" else 0.62
        deep = (foot - top) * cap
        b.shape(
            [(x, top), (x + wide * cap, top + deep), (x + wide * cap * 0.4, top + deep * 0.78), (x, top + deep * 1.1),
             (x - wide * cap * 0.4, top + deep * 0.78), (x - wide * cap, top + deep)], snow,
        )  # fmt: skip
    _ridge(b, horizon + 0.06, 0.025, lit(_mix(ground, leaves, 0.35)))
    _ridge(b, horizon + 0.19, 0.03, lit(ground))


def _hills(b, lit, horizon, ground, leaves, scene, sun_x) -> None:  # type: ignore[no-untyped-def]
    far = _mix(ground, (150, 180, 200), 0.4)
    for height, colour in ((-0.06, far), (0.06, _mix(ground, leaves, 0.4)), (0.19, ground)):
        _ridge(b, horizon + height, 0.045, lit(colour))
    for _ in range(3):
        x, y, r = b.between(0.05, 0.95), horizon + b.between(0.06, 0.1), b.between(0.03, 0.042)
        b.oval(x, y - r * 0.6, r, r, lit(leaves))


def _desert(b, lit, horizon, ground, leaves, scene, sun_x) -> None:  # type: ignore[no-untyped-def]
    for height, colour in ((-0.02, (222, 178, 116)), (0.09, (236, 196, 132)), (0.22, (246, 212, 150))):
        _ridge(b, horizon + height, 0.05, lit(colour), waves=0.8)


def _sea(b, lit, horizon, ground, leaves, scene, sun_x) -> None:  # type: ignore[no-untyped-def]
    b.fade(horizon, 1, lit((70, 164, 204)), lit((22, 88, 152)))
    if scene.weather != "stormy":
        glow = {
            "day": (190, 226, 240),
            "dawn": (255, 220, 222),
            "sunset": (255, 196, 110),
            "night": (176, 184, 206),
        }[scene.time]
        for k in range(4):
            y, wide = horizon + 0.035 + 0.07 * k, 0.06 + 0.025 * k
            b.box(sun_x - wide, y, sun_x + wide, y + 0.016, glow)
    if "lighthouse" in {thing.name for thing in scene.things}:
        return
    if b.rng.random() < 0.5:
        _ridge(b, 0.93, 0.02, lit((240, 216, 160)), waves=0.6)


def _forest(b, lit, horizon, ground, leaves, scene, sun_x) -> None:  # type: ignore[no-untyped-def]
    needles = {"winter": (206, 222, 234), "autumn": (206, 104, 44), "spring": (236, 150, 184)}.get(
        scene.season, (34, 108, 68)
    )
    far = _mix(needles, (110, 140, 160), 0.45)
    for row, (foot, tall, count, colour) in enumerate(
        ((horizon + 0.06, 0.22, 9, far), (horizon + 0.16, 0.34, 5, needles))
    ):
        if row:
            _ridge(b, foot - 0.02, 0.01, lit(ground))
        else:
            b.box(0, foot - 0.03, 1, 1, lit(far))
        for k in range(count):
            x, h = (k + b.between(0.3, 0.7)) / count, tall * b.between(0.85, 1.1)
            w = h * 0.3
            if row:
                b.box(x - 0.012, foot - 0.02, x + 0.012, foot + 0.035, lit((104, 74, 56)))
            for low, high, wide in ((0.0, 0.5, 1.0), (0.28, 0.78, 0.78), (0.55, 1.0, 0.55)):
                b.shape(
                    [(x, foot - h * high), (x + w * wide, foot - h * low), (x - w * wide, foot - h * low)],
                    lit(colour),
                )


def _city(b, lit, horizon, ground, leaves, scene, sun_x) -> None:  # type: ignore[no-untyped-def]
    night = scene.time in ("night", "sunset")
    window = (255, 222, 120) if night else lit((196, 220, 236))
    x = -0.02
    while x < 1:
        w, top = b.between(0.1, 0.15), b.between(0.42, 0.6)
        b.box(x, top, x + w - 0.004, 0.9, lit((146, 158, 184), 0.8))
        x += w
    x = b.between(-0.06, 0.0)
    while x < 1:
        w, top = b.between(0.15, 0.2), b.between(0.46, 0.7)
        b.box(x, top, x + w, 0.9, lit((82, 94, 126)))
        across = 2
        for row in range(int((0.84 - top) / 0.085)):
            for k in range(across):
                left = x + w * (0.18 + 0.38 * k)
                b.box(left, top + 0.035 + 0.085 * row, left + w * 0.26, top + 0.08 + 0.085 * row, window)
        x += w + b.between(0.01, 0.04)
    b.box(0, 0.87, 1, 1, lit((96, 104, 116)))


def _thing(b, thing: Thing, scene: Scene, lit, horizon: float, leaves: Colour) -> None:  # type: ignore[no-untyped-def]
    x = SIDES[thing.side] + b.between(-0.05, 0.05)
    colour = lit(COLOURS[thing.colour], 0.5) if thing.colour else (0, 0, 0)
    ground = horizon + 0.25
    if thing.name == "house":
        y, s = ground + b.between(-0.01, 0.03), b.between(0.95, 1.1)
        b.box(x - 0.1 * s, y - 0.14 * s, x + 0.1 * s, y, colour)
        roof = lit((112, 62, 52) if thing.colour not in ("red", "orange") else (84, 78, 92), 0.6)
        b.shape([(x, y - 0.25 * s), (x + 0.135 * s, y - 0.13 * s), (x - 0.135 * s, y - 0.13 * s)], roof)
        glass = (255, 226, 130) if scene.time in ("night", "sunset") else (224, 240, 248)
        b.box(x - 0.075 * s, y - 0.1 * s, x - 0.02 * s, y - 0.045 * s, glass)
        b.box(x + 0.02 * s, y - 0.09 * s, x + 0.07 * s, y, lit((92, 62, 48), 0.5))
    elif thing.name == "balloon":
        y, r = b.between(0.22, 0.28), b.between(0.1, 0.115)
        b.shape(
            [
                (x - r * 0.82, y + r * 0.55),
                (x + r * 0.82, y + r * 0.55),
                (x + r * 0.24, y + r * 1.4),
                (x - r * 0.24, y + r * 1.4),
            ],
            colour,
        )
        b.oval(x, y, r, r, colour)
        b.oval(x, y, r * 0.4, r, _mix(colour, (255, 255, 255), 0.45))
        b.box(x - r * 0.24, y + r * 1.52, x + r * 0.24, y + r * 1.9, lit((132, 90, 58), 0.5))
    elif thing.name == "sailboat":
        y, s = horizon + b.between(0.17, 0.22), b.between(0.95, 1.15)
        b.shape([(x - 0.005, y - 0.3 * s), (x - 0.005, y - 0.04 * s), (x - 0.13 * s, y - 0.04 * s)], colour)
        b.shape(
            [(x + 0.012, y - 0.27 * s), (x + 0.11 * s, y - 0.04 * s), (x + 0.012, y - 0.04 * s)],
            _mix(colour, (255, 255, 255), 0.4),
        )
        b.shape([(x - 0.16 * s, y - 0.025 * s), (x + 0.16 * s, y - 0.025 * s), (x + 0.1 * s, y + 0.045 * s), (x - 0.1 * s, y + 0.045 * s)],
                lit((112, 70, 52), 0.6))  # fmt: skip
    elif thing.name == "lighthouse":
        y = ground + 0.02 if scene.place == "hills" else 0.9
        if scene.place == "sea":
            b.oval(x, 0.97, 0.2, 0.1, lit((110, 106, 112)))
        tall = y - b.between(0.3, 0.34)
        edge = lambda v: 0.035 + 0.025 * (v - tall) / (y - tall)  # noqa: E731
        for k in range(4):
            top, low = tall + (y - tall) * k / 4, tall + (y - tall) * (k + 1) / 4
            b.shape([(x - edge(top), top), (x + edge(top), top), (x + edge(low), low), (x - edge(low), low)],
                    lit((216, 52, 50) if k % 2 else (248, 246, 242), 0.5))  # fmt: skip
        b.box(x - 0.03, tall - 0.055, x + 0.03, tall, (255, 234, 130))
        b.shape(
            [(x, tall - 0.11), (x + 0.048, tall - 0.055), (x - 0.048, tall - 0.055)], lit((150, 40, 44), 0.5)
        )
    elif thing.name == "tree":
        y, s = ground + 0.02, b.between(0.95, 1.15)
        b.box(x - 0.02 * s, y - 0.15 * s, x + 0.02 * s, y, lit((106, 74, 54)))
        for dx, dy, r in ((-0.07, -0.19, 0.075), (0.07, -0.19, 0.075), (0.0, -0.26, 0.09)):
            b.oval(x + dx * s, y + dy * s, r * s, r * s, lit(leaves))
    else:  # cactus
        y, s, green = ground + 0.02, b.between(0.95, 1.15), lit((60, 138, 82))
        for left, top, right, low in ((-0.03, -0.29, 0.03, 0), (-0.11, -0.2, -0.07, -0.1), (-0.11, -0.13, 0.0, -0.09),
                                      (0.07, -0.24, 0.11, -0.13), (0.0, -0.165, 0.11, -0.125)):  # fmt: skip
            b.box(x + left * s, y + top * s, x + right * s, y + low * s, green)
        for dx, dy, r in ((0, -0.29, 0.03), (-0.09, -0.2, 0.02), (0.09, -0.24, 0.02)):
            b.oval(x + dx * s, y + dy * s, r * s, r * s, green)


# ── Emblems ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _emblem(b: _Brush, scene: Scene) -> None:
    def wobble(colour: Colour) -> Colour:
        red, green, blue = (int(np.clip(v + b.between(-8, 8), 0, 255)) for v in colour)
        return red, green, blue

    ground, colour = wobble(COLOURS[scene.background]), wobble(COLOURS[scene.colour])
    b.box(0, 0, 1, 1, ground)
    if scene.frame == "ring":
        b.oval(0.5, 0.5, 0.45, 0.45, colour)
        b.oval(0.5, 0.5, 0.405, 0.405, ground)
    elif scene.frame == "box":
        b.box(0.06, 0.06, 0.94, 0.94, colour)
        b.box(0.105, 0.105, 0.895, 0.895, ground)
    x, y = 0.5 + b.between(-0.02, 0.02), 0.5 + b.between(-0.02, 0.02)
    r = b.between(0.25, 0.28) if scene.frame != "none" else b.between(0.28, 0.36)
    _shape(b, scene.shape, x, y, r, colour, ground)


def _shape(b: _Brush, name: str, x: float, y: float, r: float, colour: Colour, ground: Colour) -> None:
    """One emblem shape of about radius r around (x, y); details are cut out in the ground's colour."""

    def poly(points: Sequence[Point], fill: Colour = colour) -> None:
        b.shape([(x + u * r, y + v * r) for u, v in points], fill)

    def oval(u: float, v: float, ru: float, rv: float, fill: Colour = colour) -> None:
        b.oval(x + u * r, y + v * r, ru * r, rv * r, fill)

    def box(left: float, top: float, right: float, low: float, fill: Colour = colour) -> None:
        b.box(x + left * r, y + top * r, x + right * r, y + low * r, fill)

    angle = np.linspace(0, 2 * math.pi, 73)
    if name == "circle":
        oval(0, 0, 0.95, 0.95)
    elif name == "square":
        box(-0.85, -0.85, 0.85, 0.85)
    elif name == "triangle":
        poly([(0, -0.95), (1, 0.8), (-1, 0.8)])
    elif name == "diamond":
        poly([(0, -1.05), (0.75, 0), (0, 1.05), (-0.75, 0)])
    elif name == "hexagon":
        poly(_round(0, 0, 1, 6))
    elif name == "star":
        outer, inner = _round(0, 0.05, 1.1, 5), _round(0, 0.05, 0.46, 5, math.pi / 5)
        poly([p for pair in zip(outer, inner, strict=True) for p in pair])
    elif name == "heart":
        hx, hy = (
            16 * np.sin(angle) ** 3,
            13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle),
        )
        poly(list(zip((hx / 16).tolist(), (-hy / 15 - 0.1).tolist(), strict=True)))
    elif name == "moon":
        oval(0, 0, 0.98, 0.98)
        oval(0.42, -0.18, 0.82, 0.82, ground)
    elif name == "sun":
        for a in range(8):
            tip, base = _round(0, 0, 1.12, 8)[a], _round(0, 0, 0.62, 40)
            poly([tip, base[(5 * a + 2) % 40], base[(5 * a - 2) % 40]])
        oval(0, 0, 0.56, 0.56)
    elif name == "flower":
        for u, v in _round(0, 0, 0.58, 6):
            oval(u, v, 0.38, 0.38)
        oval(0, 0, 0.3, 0.3, ground)
    elif name == "leaf":
        t = np.linspace(0, math.pi, 31)
        right = list(zip((0.62 * np.sin(t)).tolist(), (-np.cos(t) * 1.0).tolist(), strict=True))
        poly([*right, *[(-u, v) for u, v in reversed(right)]])
        poly([(-0.05, -0.5), (0.05, -0.5), (0.05, 1.3), (-0.05, 1.3)], ground)
        poly([(-0.06, 0.95), (0.06, 0.95), (0.06, 1.3), (-0.06, 1.3)])
    elif name == "drop":
        oval(0, 0.32, 0.66, 0.66)
        poly([(0, -1.08), (0.6, 0.06), (-0.6, 0.06)])
    elif name == "bolt":
        poly([(0.25, -1.05), (-0.65, 0.15), (-0.08, 0.15), (-0.25, 1.05), (0.65, -0.2), (0.1, -0.2)])
    elif name == "cat":
        poly([(-0.85, -1), (-0.2, -0.55), (-0.85, 0.1)])
        poly([(0.85, -1), (0.2, -0.55), (0.85, 0.1)])
        oval(0, 0.1, 0.88, 0.78)
        oval(-0.36, 0, 0.13, 0.17, ground)
        oval(0.36, 0, 0.13, 0.17, ground)
        poly([(-0.13, 0.32), (0.13, 0.32), (0, 0.48)], ground)
    elif name == "fish":
        oval(-0.18, 0, 0.82, 0.5)
        poly([(0.4, 0), (1.08, -0.5), (1.08, 0.5)])
        oval(-0.58, -0.12, 0.1, 0.1, ground)
    elif name == "mug":
        oval(0.62, 0, 0.42, 0.42)
        oval(0.62, 0, 0.22, 0.22, ground)
        box(-0.75, -0.7, 0.55, 0.75)
    elif name == "rocket":
        poly([(-0.3, 0.2), (-0.72, 0.8), (-0.3, 0.66)])
        poly([(0.3, 0.2), (0.72, 0.8), (0.3, 0.66)])
        poly(
            [
                (0, -1.15),
                (0.26, -0.75),
                (0.38, -0.3),
                (0.36, 0.3),
                (0.26, 0.7),
                (-0.26, 0.7),
                (-0.36, 0.3),
                (-0.38, -0.3),
                (-0.26, -0.75),
            ]
        )
        oval(0, -0.3, 0.17, 0.17, ground)
        poly([(-0.16, 0.78), (0.16, 0.78), (0, 1.15)])
    elif name == "crown":
        poly([(-0.95, -0.6), (-0.45, 0.0), (0, -0.85), (0.45, 0.0), (0.95, -0.6), (0.75, 0.5), (-0.75, 0.5)])
        box(-0.75, 0.6, 0.75, 0.78)
    elif name == "mushroom":
        box(-0.26, 0, 0.26, 0.9, _mix(colour, ground, 0.35))
        b.draw.pieslice([v * b.size for v in (x - r, y - r * 0.9, x + r, y + r * 1.1)], 180, 360, fill=colour)
        for u, v, s in ((-0.45, -0.25, 0.15), (0.08, -0.5, 0.17), (0.52, -0.18, 0.13)):
            oval(u, v, s, s, ground)
    else:  # apple
        oval(-0.3, 0.2, 0.58, 0.72)
        oval(0.3, 0.2, 0.58, 0.72)
        poly([(-0.06, -0.35), (0.06, -0.35), (0.12, -0.85), (0.0, -0.85)])
        poly([(0.1, -0.55), (0.3, -0.9), (0.72, -0.92), (0.5, -0.6)])
