"""Paint a scene as a flat picture: the source of every picture `starter/image` has seen.

`paint(scene)` gives the same pixels for the same scene, always. Shapes are placed in unit coordinates (0, 0 top left, 1, 1 bottom
right) on a canvas twice as large, which is then averaged down, so edges are smooth at any size.
"""

import math

import numpy as np
from PIL import Image

from pipelines.illustrator.brush import Brush, mix
from pipelines.illustrator.colours import COLOURS, LIGHT, SEASONS, SKIES, Colour
from pipelines.illustrator.shapes import draw_shape
from pipelines.training.starter.world import Scene, Thing

SIDES = {"left": 0.22, "middle": 0.5, "right": 0.78}


def paint(scene: Scene, size: int = 256, supersample: int = 2) -> Image.Image:
    """The picture of a scene, `size` × `size`, RGB."""
    brush = Brush(size * supersample, size * supersample, np.random.default_rng(scene.seed))
    if scene.kind == "emblem":
        _emblem(brush, scene)
    else:
        _landscape(brush, scene)
    return brush.image.reduce(supersample) if supersample > 1 else brush.image


# ── Landscapes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _landscape(b: Brush, scene: Scene) -> None:
    tint, share = LIGHT[scene.time]
    stormy = scene.weather == "stormy"

    def lit(colour: Colour, strength: float = 1.0) -> Colour:
        colour = mix(colour, tint, share * strength)
        return mix(colour, (62, 66, 82), 0.3) if stormy else colour

    above, below = SKIES[scene.time]
    if stormy:
        above, below = mix(above, (54, 58, 74), 0.72), mix(below, (126, 130, 146), 0.5)
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


def _sky(b: Brush, scene: Scene, sun_x: float, horizon: float) -> None:
    if scene.weather != "stormy":
        if scene.time == "night":
            for _ in range(9):
                x, y, r = b.between(0.03, 0.97), b.between(0.03, 0.4), b.between(0.012, 0.018)
                b.shape([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], (240, 238, 214))
            moon_y = b.between(0.13, 0.2)
            back = mix(*SKIES["night"], moon_y)
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
        colour = mix((70, 74, 90), SKIES[scene.time][0], 0.25)
    for k in range(3 if scene.weather == "cloudy" else 4):
        x = (k + b.between(0.15, 0.85)) / (3 if scene.weather == "cloudy" else 4)
        _cloud(b, x, b.between(0.12, 0.3), b.between(0.8, 1.2), colour)
    if scene.weather == "stormy":
        x, y, s = b.between(0.2, 0.8), 0.27, 0.3
        zigzag = [(0.1, 0), (0.34, 0), (0.2, 0.38), (0.38, 0.38), (-0.02, 1), (0.1, 0.52), (-0.06, 0.52)]
        b.shape([(x + u * s, y + v * s) for u, v in zigzag], (255, 232, 92))


def _cloud(b: Brush, x: float, y: float, s: float, colour: Colour) -> None:
    for dx, dy, r in ((-0.075, 0.005, 0.042), (0.0, -0.022, 0.06), (0.075, 0.002, 0.046)):
        b.oval(x + dx * s, y + dy * s, r * s, r * s, colour)
    b.box(x - 0.075 * s, y + 0.003 * s, x + 0.075 * s, y + 0.047 * s, colour)


def _ridge(b: Brush, height: float, swing: float, colour: Colour, waves: float = 1.2) -> None:
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
        shade = mix(rock, lit((84, 92, 122)), (number % 2) * 0.6)
        b.shape([(x, top), (x + wide, foot), (x - wide, foot)], shade)
        cap = 0.34 if scene.season != "winter" else 0.62
        deep = (foot - top) * cap
        b.shape(
            [(x, top), (x + wide * cap, top + deep), (x + wide * cap * 0.4, top + deep * 0.78), (x, top + deep * 1.1),
             (x - wide * cap * 0.4, top + deep * 0.78), (x - wide * cap, top + deep)], snow,
        )  # fmt: skip
    _ridge(b, horizon + 0.06, 0.025, lit(mix(ground, leaves, 0.35)))
    _ridge(b, horizon + 0.19, 0.03, lit(ground))


def _hills(b, lit, horizon, ground, leaves, scene, sun_x) -> None:  # type: ignore[no-untyped-def]
    far = mix(ground, (150, 180, 200), 0.4)
    for height, colour in ((-0.06, far), (0.06, mix(ground, leaves, 0.4)), (0.19, ground)):
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
    far = mix(needles, (110, 140, 160), 0.45)
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
        b.oval(x, y, r * 0.4, r, mix(colour, (255, 255, 255), 0.45))
        b.box(x - r * 0.24, y + r * 1.52, x + r * 0.24, y + r * 1.9, lit((132, 90, 58), 0.5))
    elif thing.name == "sailboat":
        y, s = horizon + b.between(0.17, 0.22), b.between(0.95, 1.15)
        b.shape([(x - 0.005, y - 0.3 * s), (x - 0.005, y - 0.04 * s), (x - 0.13 * s, y - 0.04 * s)], colour)
        b.shape(
            [(x + 0.012, y - 0.27 * s), (x + 0.11 * s, y - 0.04 * s), (x + 0.012, y - 0.04 * s)],
            mix(colour, (255, 255, 255), 0.4),
        )
        b.shape([
            (x - 0.16 * s, y - 0.025 * s), (x + 0.16 * s, y - 0.025 * s),
            (x + 0.1 * s, y + 0.045 * s), (x - 0.1 * s, y + 0.045 * s),
        ], lit((112, 70, 52), 0.6))  # fmt: skip
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


def _emblem(b: Brush, scene: Scene) -> None:
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
    draw_shape(b, scene.shape, x, y, r, colour, ground)
