"""The list of things that can be in a landscape: how each is drawn, its own colour, and where it belongs."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.illustrator.air import Air
from pipelines.illustrator.animals import birds, cat, dog, fish, sheep, turtle, whale
from pipelines.illustrator.brush import Brush
from pipelines.illustrator.buildings import campfire, castle, house, lighthouse, snowman, tent, windmill
from pipelines.illustrator.colours import Colour
from pipelines.illustrator.plants import cactus, flowers, palm, pine, tree
from pipelines.illustrator.vehicles import balloon, car, kite, plane, planet, rocket, sailboat, ufo

Draw = Callable[[Brush, float, float, float, Colour, Air], None]

# name → how it is drawn, its own colour, where: on the "ground", on the "water", in the "sky" or in the "deep"
THINGS: dict[str, tuple[Draw, str, str]] = {
    "house": (house, "cream", "ground"), "balloon": (balloon, "red", "sky"), "sailboat": (sailboat, "white", "water"),
    "lighthouse": (lighthouse, "red", "ground"), "tree": (tree, "", "ground"), "pine": (pine, "dark green", "ground"),
    "palm": (palm, "green", "ground"), "cactus": (cactus, "green", "ground"), "tent": (tent, "orange", "ground"),
    "windmill": (windmill, "cream", "ground"), "castle": (castle, "grey", "ground"), "snowman": (snowman, "red", "ground"),
    "sheep": (sheep, "white", "ground"), "cat": (cat, "orange", "ground"), "dog": (dog, "brown", "ground"),
    "birds": (birds, "dark blue", "sky"), "rocket": (rocket, "red", "sky"), "ufo": (ufo, "grey", "sky"),
    "planet": (planet, "orange", "sky"), "plane": (plane, "red", "sky"), "whale": (whale, "dark blue", "water"),
    "fish": (fish, "orange", "deep"), "turtle": (turtle, "dark green", "deep"), "flowers": (flowers, "red", "ground"),
    "campfire": (campfire, "orange", "ground"), "car": (car, "red", "ground"), "kite": (kite, "red", "sky"),
}  # fmt: skip
