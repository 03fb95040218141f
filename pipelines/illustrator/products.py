"""Products before a backdrop: on a seamless sweep of colour, a table, a podium, marble or tiles, with light from the left."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipelines.illustrator.brush import MARK, Brush, mix
from pipelines.illustrator.colours import WHITE, Colour, named
from pipelines.illustrator.form import Form
from pipelines.illustrator.goods import bag, book, chair, headphones, lamp, phone, plant, sneaker
from pipelines.illustrator.motif import Motif, Thing
from pipelines.illustrator.tableware import apple, bottle, candle, cupcake, jar, mug, perfume, teapot, vase

FLOOR = 0.8  # where things stand
USUAL = {  # what colour a product has when none was asked for
    "mug": "coral", "bottle": "teal", "vase": "blue", "plant": "brown", "sneaker": "red", "lamp": "yellow", "book": "purple",
    "candle": "cream", "perfume": "pink", "headphones": "dark blue", "teapot": "light blue", "cupcake": "pink", "chair": "orange",
    "phone": "black", "jar": "orange", "bag": "brown", "apple": "red",
}  # fmt: skip


def draw_product(b: Brush, motif: Motif) -> None:
    wall = named(motif.background)
    b.fade(b.top, FLOOR - 0.14, mix(wall, WHITE, 0.12), mix(wall, WHITE, 0.02))
    b.fade(FLOOR - 0.14, b.bottom, mix(wall, WHITE, 0.02), mix(wall, (40, 30, 60), 0.1))
    b.glow(0.32, 0.3, 0.75, mix(wall, WHITE, 0.55), 0.55)
    foot = _surface(b, motif.surface, wall)
    spots = _spots(motif.things)
    s = {1: 1.0, 2: 0.82, 3: 0.66}.get(len(spots), 0.54)
    for number, (thing, x) in enumerate(spots):
        colour = named(thing.colour or USUAL.get(thing.name, "teal"))
        if not thing.colour and max(abs(u - v) for u, v in zip(colour, wall, strict=True)) < 60:
            colour = named("dark blue") if sum(wall) > 380 else named("cream")
        own = b.dice(f"product {number}")
        size = s * float(own.uniform(0.95, 1.05))
        b.shadow(x + 0.06 * size, foot, 0.24 * size, 0.026 * size, 0.3)
        b.shadow(x, foot + 0.002, 0.15 * size, 0.012 * size, 0.4)
        PRODUCTS[thing.name](Form(b, x, foot, size, colour))


def _spots(things: tuple[Thing, ...]) -> list[tuple[Thing, float]]:
    single = [thing for thing in things for _ in range(min(4, thing.count))][:4]
    order = {"left": 0, "": 1, "middle": 1, "right": 2}
    single.sort(key=lambda thing: order[thing.side])
    if len(single) == 1:
        return [(single[0], {"left": 0.27, "right": 0.73}.get(single[0].side, 0.5))]
    reach = 0.21 + 0.03 * len(single)
    return [(thing, 0.5 - reach + 2 * reach * k / (len(single) - 1)) for k, thing in enumerate(single)]


def _surface(b: Brush, surface: str, wall: Colour) -> float:
    """Draws what the product stands on; returns the height of its foot."""
    if surface == "podium":
        y, r, tall = FLOOR - 0.03, 0.36, 0.09

        def drum(form: Brush) -> None:
            form.box(0.5 - r, y, 0.5 + r, y + tall, MARK)
            form.oval(0.5, y + tall, r, 0.055, MARK)

        b.shadow(0.56, y + tall + 0.01, r * 1.05, 0.05, 0.28)
        b.shaded(drum, mix(wall, WHITE, 0.3), mix(wall, (50, 30, 70), 0.24))
        b.oval(0.5, y, r, 0.055, mix(wall, WHITE, 0.38))
        return FLOOR - 0.02
    edge = FLOOR - 0.07
    if surface == "table":
        wood = (190, 132, 86)
        b.fade(edge, b.bottom, mix(wood, WHITE, 0.16), mix(wood, (70, 30, 30), 0.24))
        for row in range(7):
            y = edge + 0.004 + (b.bottom - edge) * (row / 7) ** 1.4
            b.box(b.left, y, b.right, y + 0.0035, mix(wood, (80, 40, 30), 0.36))
            for x, own in b.along(f"grain {row}", 0.34, 1.0):
                long = float(own.uniform(0.05, 0.13))
                v = y + (0.012 + 0.02 * row / 7) * float(own.uniform(0.6, 1.6))
                b.line([(x - long, v), (x, v + 0.003), (x + long, v)], 0.0025, mix(wood, (90, 50, 40), 0.2))
        b.box(b.left, edge, b.right, edge + 0.01, mix(wood, WHITE, 0.34))
    elif surface == "marble":
        b.fade(edge, b.bottom, (250, 250, 252), (222, 224, 232))
        for x, own in b.along("vein", 0.24, 1.0):
            y = edge + 0.02 + float(own.random()) * (b.bottom - edge)
            path = [(x + 0.05 * k, y + 0.028 * math.sin(1.3 * k + 9 * float(own.random()))) for k in range(6)]
            b.line(path, 0.004, (206, 208, 220))
        b.box(b.left, edge, b.right, edge + 0.008, (255, 255, 255))
    elif surface == "floor":
        b.fade(edge, b.bottom, mix(wall, WHITE, 0.5), mix(wall, WHITE, 0.3))
        lines = mix(wall, (60, 50, 80), 0.14)
        for k in range(1, 5):
            y = edge + (b.bottom - edge) * (k / 5) ** 1.5
            b.box(b.left, y, b.right, y + 0.004, lines)
        for k in range(-9, 10):
            b.line([(0.5 + 0.09 * k, edge), (0.5 + 0.26 * k, b.bottom)], 0.004, lines)
        b.box(b.left, edge, b.right, edge + 0.012, mix(wall, WHITE, 0.62))
    return FLOOR


PRODUCTS: dict[str, Callable[[Form], None]] = {
    "mug": mug, "bottle": bottle, "vase": vase, "plant": plant, "sneaker": sneaker, "lamp": lamp, "book": book, "candle": candle,
    "perfume": perfume, "headphones": headphones, "teapot": teapot, "cupcake": cupcake, "chair": chair, "phone": phone,
    "jar": jar, "bag": bag, "apple": apple,
}  # fmt: skip
