"""Landscapes: sky, land, the things in it, and the weather in front, from far to near."""

from __future__ import annotations

from pipelines.illustrator.air import Air, draw_sky, draw_weather
from pipelines.illustrator.brush import Brush
from pipelines.illustrator.colours import Colour, named
from pipelines.illustrator.motif import Motif, Thing
from pipelines.illustrator.places import PLACES
from pipelines.illustrator.things import THINGS

WATER = 1
SIDES = {"left": 0.22, "middle": 0.5, "right": 0.78}
ORDERS = {
    1: ("middle",),
    2: ("left", "right"),
    3: ("left", "middle", "right"),
    4: ("left", "right", "middle", "right"),
}
SIZES = {
    "castle": 1.15, "planet": 1.1, "sheep": 1.15, "whale": 1.2, "lighthouse": 1.05, "rocket": 1.15, "cat": 1.35, "dog": 1.3,
}  # fmt: skip


def draw_landscape(b: Brush, motif: Motif) -> None:
    place = PLACES[motif.place]
    air = Air.of(motif, b, place.horizon)
    if place.has_sky:
        draw_sky(b, air, motif)
    place.draw(b, air, motif)
    spots = sorted(_spots(motif.things), key=lambda spot: _depth(spot[0]))
    far = [spot for spot in spots if _depth(spot[0]) <= WATER]
    for spot in far:
        _draw_thing(b, air, motif, *spot)
    place.near(b, air, motif)
    for spot in spots[len(far) :]:
        _draw_thing(b, air, motif, *spot)
    if place.has_sky:
        draw_weather(b, air)


def _depth(name: str) -> int:
    """What is drawn first: what flies, then what stands, then what lies in front."""
    return {"sky": 0, "water": WATER, "ground": 2, "deep": 3}[THINGS[name][2]] + (
        name in ("flowers", "campfire")
    )


def _spots(things: tuple[Thing, ...]) -> list[tuple[str, str, float, int]]:
    """(name, colour, x, number) of every single thing: where they were asked for, the rest spread out."""
    taken = [thing.side for thing in things if thing.side]
    free = [side for side in ORDERS[max(1, min(4, len(things)))] if side not in taken]
    free += [side for side in ("left", "right", "middle") if side not in free and side not in taken]
    spots = []
    for thing in things:
        side = thing.side or (free.pop(0) if free else "middle")
        count = min(6, thing.count)
        reach = (0.16 if len(things) > 1 else 0.27) if count > 1 else 0.0
        centre = SIDES[side] if count == 1 or len(things) > 1 else 0.5
        for k in range(count):
            x = centre + (reach * (2 * k / (count - 1) - 1) if count > 1 else 0.0)
            spots.append(
                (thing.name, thing.colour, min(max(x, 0.13), 0.74 if thing.name == "whale" else 0.84), k)
            )
    return spots


def _draw_thing(b: Brush, air: Air, motif: Motif, name: str, colour: str, x: float, index: int) -> None:
    draw, usual, where = THINGS[name]
    own = b.dice(f"{name} {index} {x:.2f}")
    x += float(own.uniform(-0.025, 0.025))
    s = SIZES.get(name, 1.0) * float(own.uniform(0.94, 1.06))
    count = sum(thing.count for thing in motif.things if thing.name == name)
    s *= 1.0 if count < 3 else 0.82 if count < 5 else 0.7
    place = PLACES[motif.place]
    fill: Colour = named(colour or usual) if colour or usual else air.meadow[2]
    if name == "tree" and colour == "":
        fill = air.meadow[2]
    if where == "sky":
        high = {"birds": 0.22, "plane": 0.2, "planet": 0.24, "kite": 0.26}.get(name, 0.3)
        y = high + float(own.uniform(-0.03, 0.04)) + (0.13 * (index % 2) - 0.04 if count > 1 else 0.0)
        y += b.top * 0.25
    elif where == "deep" and motif.place == "underwater":
        y = 0.42 + float(own.uniform(-0.16, 0.2)) + 0.12 * (index % 3 - 1)
        s *= 1.25
    elif where in ("water", "deep"):
        y = place.water(x) + float(own.uniform(-0.01, 0.03)) + 0.05 * (index % 2)
    else:
        y = place.ground(b, x) + float(own.uniform(-0.012, 0.02)) + 0.035 * (index % 2)
    if name in ("flowers", "campfire"):
        y = min(0.97, y + 0.05)
    if motif.place == "space" and where != "sky":
        where, y = "sky", 0.5 + float(own.uniform(-0.12, 0.2))
    draw(b, x, y, s, fill, air)
