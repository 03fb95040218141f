"""The list of places: how each looks, and where things stand in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.illustrator.air import Air
from pipelines.illustrator.beyond import space, underwater
from pipelines.illustrator.brush import Brush
from pipelines.illustrator.land import desert, forest, hills, mountains, village, volcano
from pipelines.illustrator.motif import Motif
from pipelines.illustrator.shores import beach, city, coast, coast_line, island, lake, lakeside, sand, sea

Draw = Callable[[Brush, Air, Motif], None]


@dataclass(frozen=True)
class Place:
    """horizon: height of the line where land or water begins. ground: foot of a thing at x. water: waterline of one that swims.

    near: what lies in front of things that swim.
    """

    draw: Draw
    horizon: float
    ground: Callable[[Brush, float], float] = lambda b, x: 0.86
    water: Callable[[float], float] = lambda x: 0.78
    has_sky: bool = True
    near: Draw = lambda b, air, motif: None


PLACES: dict[str, Place] = {
    "mountains": Place(mountains, 0.62), "hills": Place(hills, 0.6), "village": Place(village, 0.58, lambda b, x: 0.92),
    "desert": Place(desert, 0.6, lambda b, x: 0.85),
    "sea": Place(sea, 0.56, lambda b, x: coast_line(x) + 0.02, lambda x: 0.74, near=coast),
    "lake": Place(lake, 0.62, lambda b, x: 0.955, lambda x: 0.76, near=lakeside), "forest": Place(forest, 0.6, lambda b, x: 0.9),
    "beach": Place(beach, 0.54, lambda b, x: 0.93, lambda x: 0.68, near=sand),
    "island": Place(island, 0.56, lambda b, x: 0.8, lambda x: 0.7),
    "volcano": Place(volcano, 0.66, lambda b, x: 0.89), "city": Place(city, 0.7, lambda b, x: 0.8, lambda x: 0.9),
    "space": Place(space, 0.6, has_sky=False),
    "underwater": Place(underwater, 0.6, lambda b, x: 0.92, lambda x: 0.4, has_sky=False),
}  # fmt: skip
