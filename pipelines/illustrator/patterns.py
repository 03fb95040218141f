"""Patterns and textures in two to five colours, over the whole canvas."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from PIL import Image

from pipelines.illustrator.brush import Brush, Point, mix, polygon
from pipelines.illustrator.colours import Colour, named
from pipelines.illustrator.emblem import stamp
from pipelines.illustrator.motif import Motif

WHITE: Colour = (255, 255, 255)


def draw_pattern(b: Brush, motif: Motif) -> None:
    ground, inks = _tones(motif)
    b.box(b.left - 0.01, b.top - 0.01, b.right + 0.01, b.bottom + 0.01, ground)
    if motif.pattern == "gradient":
        named_inks = len(set(motif.colours) - {motif.background}) - (
            0 if motif.background else len(motif.colours) > 1
        )
        gradient(b, ground, inks[: max(1, named_inks)])
    elif motif.pattern.startswith("shape "):
        _stamps(b, ground, inks, motif.pattern.removeprefix("shape "))
    else:
        PATTERNS[motif.pattern](b, ground, inks)


def _tones(motif: Motif) -> tuple[Colour, list[Colour]]:
    """(ground, inks): the ground that was asked for or the first of several colours, and at least three inks."""
    names = list(motif.colours)
    ground = motif.background
    if not ground:
        ground = names.pop(0) if len(names) > 1 else "cream" if names != ["cream"] else "dark blue"
    inks = [named(name) for name in names if name != ground]
    back = named(ground)
    if not inks:
        inks = [mix(back, WHITE, 0.55) if sum(back) < 560 else mix(back, (40, 40, 90), 0.4)]
    while len(inks) < 3:
        inks.append(mix(inks[0], back, 0.24 + 0.2 * (len(inks) - 1)))
    return back, inks


def _grid(b: Brush, step: float, down: float = 0.0) -> list[tuple[float, float, int, int]]:
    """(x, y, column, row) of cells that cover the canvas."""
    down = down or step
    columns = range(math.floor(b.left / step) - 1, math.ceil(b.right / step) + 1)
    rows = range(math.floor(b.top / down) - 1, math.ceil(b.bottom / down) + 1)
    return [((c + 0.5) * step, (r + 0.5) * down, c, r) for r in rows for c in columns]


def stripes(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    wide = 0.2
    for k in range(math.floor(b.left / wide) - 1, math.ceil(b.right / wide) + 1):
        x = k * wide
        b.box(x, b.top, x + wide * 0.42, b.bottom, inks[0])
        b.box(x + wide * 0.62, b.top, x + wide * 0.72, b.bottom, inks[k % 2 + 1])


def diagonal_stripes(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    wide, tall = 0.22, b.bottom - b.top
    for k in range(math.floor((b.left - tall) / wide) - 1, math.ceil(b.right / wide) + 1):
        for start, end, tone in ((0.0, 0.42, inks[0]), (0.62, 0.74, inks[k % 2 + 1])):
            x0, x1 = (k + start) * wide, (k + end) * wide
            b.shape([(x0, b.bottom), (x1, b.bottom), (x1 + tall, b.top), (x0 + tall, b.top)], tone)


def dots(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    for x, y, c, r in _grid(b, 0.16, 0.14):
        b.oval(x + (0.08 if r % 2 else 0.0), y, 0.042, 0.042, inks[0] if (c + r) % 3 else inks[1])


def waves(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    step = 0.105
    for k in range(math.floor(b.top / step) - 1, math.ceil(b.bottom / step) + 2):
        path = [
            (
                b.left - 0.02 + t * 0.02,
                k * step + 0.03 * math.sin((b.left + t * 0.02) * 2 * math.pi * 3.5 + b.moment),
            )
            for t in range(int((b.right - b.left) / 0.02) + 3)
        ]
        b.line(path, 0.036 if k % 3 else 0.052, inks[k % 3])


def checks(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    s = 0.125
    for x, y, c, r in _grid(b, s):
        if (c + r) % 2:
            b.box(x - s / 2, y - s / 2, x + s / 2, y + s / 2, inks[0])


def plaid(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    step = 0.25
    bands = (
        (0.0, 0.5, inks[0], 0.5),
        (0.62, 0.68, inks[1], 0.75),
        (0.74, 0.77, inks[2], 0.75),
        (0.22, 0.28, WHITE, 0.4),
    )
    for upright in (True, False):
        low, high = (b.left, b.right) if upright else (b.top, b.bottom)
        for k in range(math.floor(low / step) - 1, math.ceil(high / step) + 1):
            for start, end, tone, strength in bands:
                a, c = (k + start) * step, (k + end) * step
                area = (a, b.top, c, b.bottom) if upright else (b.left, a, b.right, c)
                _tint(b, *area, tone, strength)


def _tint(
    b: Brush, left: float, top: float, right: float, bottom: float, tone: Colour, strength: float
) -> None:
    (x0, y0), (x1, y1) = b.at([(left, top), (right, bottom)])
    area = (max(0, round(x0)), max(0, round(y0)), min(b.width, round(x1)), min(b.height, round(y1)))
    if area[2] > area[0] and area[3] > area[1]:
        part = b.image.crop(area)
        b.image.paste(Image.blend(part, Image.new("RGB", part.size, tone), strength), area[:2])


def terrazzo(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    for size, step in ((0.032, 0.085), (0.06, 0.15), (0.013, 0.045)):
        for x, y, c, r in _grid(b, step):
            own = b.dice(f"chip {size} {c} {r}")
            if own.random() < 0.28:
                continue
            x, y = x + float(own.uniform(-0.4, 0.4)) * step, y + float(own.uniform(-0.4, 0.4)) * step
            corners, turn = int(own.integers(4, 7)), float(own.uniform(0, 6.3))
            chip = [
                (
                    x + size * float(own.uniform(0.55, 1.05)) * math.cos(turn + 2 * math.pi * k / corners),
                    y + size * float(own.uniform(0.5, 0.95)) * math.sin(turn + 2 * math.pi * k / corners),
                )
                for k in range(corners)
            ]
            b.shape(chip, inks[int(own.integers(len(inks)))])


def zigzag(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    step, wide = 0.15, 0.1
    for k in range(math.floor(b.top / step) - 1, math.ceil(b.bottom / step) + 2):
        first = math.floor(b.left / wide) - 1
        path = [
            ((first + c) * wide, k * step + (0.04 if c % 2 else -0.04))
            for c in range(int((b.right - b.left) / wide) + 5)
        ]
        b.shape([*path, *[(x, y + 0.062) for x, y in reversed(path)]], inks[k % 3])


def confetti(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    for x, y, c, r in _grid(b, 0.072):
        own = b.dice(f"confetti {c} {r}")
        x, y = x + float(own.uniform(-0.03, 0.03)), y + float(own.uniform(-0.03, 0.03))
        a, tone, form = float(own.uniform(0, 6.3)), inks[int(own.integers(len(inks)))], int(own.integers(4))
        if form == 0:
            b.oval(x, y, 0.014, 0.014, tone)
        elif form == 1:
            b.shape(polygon(x, y, 0.02, 3, a), tone)
        else:
            b.line([(x, y), (x + 0.036 * math.cos(a), y + 0.036 * math.sin(a))], 0.013, tone)


def scales(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    s = 0.2
    for x, y, c, r in sorted(_grid(b, s, s * 0.5), key=lambda cell: cell[1]):
        x += s / 2 if r % 2 else 0.0
        tone = inks[(c * 2 + r) % len(inks)]
        for k, (share, fill) in enumerate(
            (
                (1.0, ground),
                (0.92, tone),
                (0.68, mix(tone, ground, 0.55)),
                (0.5, tone),
                (0.26, mix(tone, ground, 0.7)),
            )
        ):
            b.oval(x, y + s * 0.5, s * 0.5 * share, s * 0.5 * share, fill)
            del k


def triangles(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    tones = [ground, *inks]
    s = 0.17

    def corner(c: int, r: int) -> Point:
        own = b.dice(f"corner {c} {r}")
        return c * s + float(own.uniform(-0.3, 0.3)) * s, r * s + float(own.uniform(-0.3, 0.3)) * s

    for _, _, c, r in _grid(b, s):
        a, d, e, f = corner(c, r), corner(c + 1, r), corner(c, r + 1), corner(c + 1, r + 1)
        for k, points in enumerate(((a, d, e), (d, f, e))):
            own = b.dice(f"triangle {c} {r} {k}")
            tone = tones[int(own.integers(len(tones)))]
            b.shape(
                points, mix(tone, WHITE if own.random() < 0.5 else (30, 24, 60), 0.16 * float(own.random()))
            )


def bricks(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    wide, tall = 0.2, 0.09
    for x, y, c, r in _grid(b, wide, tall):
        x += wide / 2 if r % 2 else 0.0
        own = b.dice(f"brick {c} {r}")
        tone = mix(inks[0], inks[int(own.integers(len(inks)))], 0.5)
        tone = mix(tone, (40, 20, 40) if own.random() < 0.5 else WHITE, 0.14 * float(own.random()))
        b.round_box(x - wide * 0.475, y - tall * 0.44, x + wide * 0.475, y + tall * 0.44, 0.007, tone)
        b.box(
            x - wide * 0.46, y + tall * 0.34, x + wide * 0.46, y + tall * 0.42, mix(tone, (40, 20, 40), 0.16)
        )


def planks(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    tall = 0.145
    for k in range(math.floor(b.top / tall) - 1, math.ceil(b.bottom / tall) + 1):
        own = b.dice(f"plank {k}")
        tone = mix(inks[0], WHITE if k % 2 else (60, 30, 30), 0.05 + 0.12 * float(own.random()))
        y = k * tall
        b.box(b.left, y, b.right, y + tall - 0.006, tone)
        b.box(b.left, y + tall - 0.006, b.right, y + tall, mix(tone, (40, 20, 30), 0.45))
        for j in range(5):
            v = y + tall * (j + 0.7) / 6
            path = [
                (b.left + t * 0.04, v + 0.009 * math.sin(t * 0.35 + j + k * 2))
                for t in range(int((b.right - b.left) / 0.04) + 2)
            ]
            b.line(path, 0.0035, mix(tone, (60, 30, 30), 0.16))
        x = b.left + float(own.random()) * (b.right - b.left)
        for share in (0.022, 0.013, 0.006):
            b.oval(x, y + tall * 0.48, share * 1.7, share, mix(tone, (60, 30, 30), 0.4 - 10 * share))


def gradient(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    stops = [ground, *inks]
    step = (b.bottom - b.top) / (len(stops) - 1)
    for k, (above, below) in enumerate(pairwise(stops)):
        b.fade(b.top + k * step, b.top + (k + 1) * step, above, below)


def leaves(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    for x, y, c, r in _grid(b, 0.2, 0.18):
        own = b.dice(f"leaf {c} {r}")
        x += 0.1 if r % 2 else 0.0
        a, tone = float(own.uniform(0, 6.3)), inks[int(own.integers(len(inks)))]
        for lean in (-0.7, 0.0, 0.7):
            long = 0.085 if lean else 0.11
            d, n = (math.cos(a + lean), math.sin(a + lean)), (-math.sin(a + lean), math.cos(a + lean))
            half = [
                (
                    x + d[0] * long * t + n[0] * 0.032 * math.sin(math.pi * t),
                    y + d[1] * long * t + n[1] * 0.032 * math.sin(math.pi * t),
                )
                for t in (k / 10 for k in range(11))
            ]
            other = [
                (
                    x + d[0] * long * t - n[0] * 0.032 * math.sin(math.pi * t),
                    y + d[1] * long * t - n[1] * 0.032 * math.sin(math.pi * t),
                )
                for t in (k / 10 for k in range(11))
            ]
            b.shape([*half, *reversed(other)], tone if lean else mix(tone, ground, 0.2))
            b.line([(x, y), (x + d[0] * long * 0.85, y + d[1] * long * 0.85)], 0.0045, ground)


def flowers(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    for x, y, c, r in _grid(b, 0.19, 0.17):
        own = b.dice(f"bloom {c} {r}")
        x += 0.095 if r % 2 else 0.0
        size, turn = float(own.uniform(0.026, 0.042)), float(own.uniform(0, 6.3))
        tone = inks[int(own.integers(len(inks)))]
        for k in range(6):
            a = turn + math.pi / 3 * k
            b.oval(x + size * math.cos(a), y + size * math.sin(a), size * 0.66, size * 0.66, tone)
        b.oval(x, y, size * 0.62, size * 0.62, named("yellow") if tone != named("yellow") else WHITE)
        b.oval(x + 0.08, y + 0.06, 0.009, 0.009, inks[int(own.integers(len(inks)))])


def night_sky(b: Brush, ground: Colour, inks: Sequence[Colour]) -> None:
    b.fade(b.top, b.bottom, (14, 16, 54), (40, 44, 110))
    for x, y, c, r in _grid(b, 0.14):
        own = b.dice(f"night {c} {r}")
        stamp(
            b,
            "star" if own.random() < 0.8 else "moon",
            x + float(own.uniform(-0.04, 0.04)),
            y + float(own.uniform(-0.04, 0.04)),
            float(own.uniform(0.012, 0.036)),
            (255, 232, 150),
            (24, 26, 76),
        )


def _stamps(b: Brush, ground: Colour, inks: Sequence[Colour], shape: str) -> None:
    for x, y, c, r in _grid(b, 0.21, 0.19):
        stamp(b, shape, x + (0.105 if r % 2 else 0.0), y, 0.062, inks[(c + 2 * r) % len(inks)], ground)


PATTERNS: dict[str, Callable[[Brush, Colour, Sequence[Colour]], None]] = {
    "stripes": stripes, "diagonal stripes": diagonal_stripes, "dots": dots, "waves": waves, "checks": checks, "plaid": plaid,
    "terrazzo": terrazzo, "zigzag": zigzag, "confetti": confetti, "scales": scales, "triangles": triangles, "bricks": bricks,
    "planks": planks, "gradient": gradient, "leaves": leaves, "flowers": flowers, "night sky": night_sky,
}  # fmt: skip
