"""What a picture shows: as far as someone asked for it, and with everything settled.

An empty field was not asked for. `settled` fills those in from the seed, so that one prompt has many pictures and one seed one.
"""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["landscape", "emblem", "product", "pattern"]
STYLES = ("flat", "watercolour", "pixel", "neon", "poster", "sketch")
BARE = ("space", "underwater")  # places with no weather and no season
SEASONAL = ("mountains", "hills", "forest", "lake", "village")  # places where a season shows
PALETTES = (  # (motif, ground) that look well together
    ("red", "cream"), ("teal", "white"), ("yellow", "dark blue"), ("white", "blue"), ("orange", "dark green"),
    ("pink", "purple"), ("white", "teal"), ("dark blue", "coral"), ("yellow", "red"), ("green", "cream"),
)  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """Something in a landscape or on a table. side: "" for wherever it looks well. count: how many of them."""

    name: str
    colour: str = ""
    side: str = ""
    count: int = 1


@dataclass(frozen=True)
class Motif:
    """What a picture shows. things: in a landscape, or the products in a product picture. colours: a pattern's, in order."""

    kind: Kind = "landscape"
    style: str = ""
    place: str = ""
    time: str = ""
    weather: str = ""
    season: str = ""
    things: tuple[Thing, ...] = ()
    shape: str = ""
    colour: str = ""
    background: str = ""
    frame: str = ""
    surface: str = ""
    pattern: str = ""
    colours: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()
    """Values that must not be shown, such as "cloudy" or "house"."""

    def settled(self, seed: int) -> Motif:
        """Everything that was left open, drawn from the seed; what was asked for stays."""
        pick = _Pick(seed, self.avoid)
        change: dict[str, object] = {"style": self.style or "flat"}
        if self.kind == "landscape":
            place = (
                self.place
                or self._likely_place()
                or pick("place", ("mountains", "hills", "sea", "lake", "forest", "city"))
            )
            change["place"] = place
            bare = place in BARE
            change["time"] = self.time or (
                "night" if place == "space" else pick("time", ("day", "day", "day", "day", "dawn", "sunset"))
            )
            change["weather"] = self.weather or (
                "clear" if bare else pick("weather", ("clear", "clear", "cloudy"))
            )
            season = self.season or ("winter" if self.weather == "snowfall" or self._has("snowman") else "")
            change["season"] = season or (
                pick("season", ("summer", "summer", "spring", "autumn")) if place in SEASONAL else ""
            )
        elif self.kind == "emblem":
            motif, ground = PALETTES[pick.number("palette", len(PALETTES))]
            change["shape"] = self.shape or pick(
                "shape", ("star", "sun", "flower", "mountain", "bird", "compass")
            )
            change["background"] = self.background or (
                ground if self.colour != ground else "white" if ground != "white" else "dark blue"
            )
            change["colour"] = self.colour or (
                motif if self.background != motif else "white" if motif != "white" else "dark blue"
            )
            change["frame"] = self.frame or "none"
        elif self.kind == "product":
            change["things"] = self.things or (Thing(pick("product", ("mug", "vase", "plant", "bottle"))),)
            change["background"] = self.background or pick(
                "backdrop", ("cream", "coral", "light blue", "light green", "light purple", "yellow")
            )
            change["surface"] = self.surface or pick("surface", ("plain", "plain", "podium"))
        else:
            change["pattern"] = self.pattern or pick(
                "pattern", ("terrazzo", "waves", "triangles", "dots", "scales")
            )
            change["colours"] = (
                self.colours or _PATTERN_PALETTES[pick.number("colours", len(_PATTERN_PALETTES))]
            )
        return dataclasses.replace(self, **change)  # type: ignore[arg-type]

    def _has(self, name: str) -> bool:
        return any(thing.name == name for thing in self.things)

    def _likely_place(self) -> str:
        """Where the things that were asked for are at home."""
        for thing in self.things:
            if thing.name in _HOMES:
                return _HOMES[thing.name]
        return "hills" if self.things or self.season else ""


_HOMES = {
    "sailboat": "sea", "lighthouse": "sea", "cactus": "desert", "palm": "beach", "whale": "sea", "fish": "underwater",
    "turtle": "underwater", "rocket": "space", "ufo": "space", "planet": "space", "pine": "mountains",
    "castle": "mountains", "tent": "lake", "campfire": "lake", "snowman": "hills", "balloon": "hills",
}  # fmt: skip
_PATTERN_PALETTES = (
    ("cream", "coral", "teal", "dark blue"),
    ("white", "blue", "light blue", "yellow"),
    ("light green", "dark green", "cream", "orange"),
    ("pink", "red", "cream", "dark red"),
    ("dark blue", "teal", "yellow", "white"),
)


class _Pick:
    """A choice by name, the same for the same seed whatever else was chosen."""

    def __init__(self, seed: int, avoid: frozenset[str]) -> None:
        self._seed, self._avoid = seed, avoid

    def number(self, name: str, count: int) -> int:
        return int(np.random.default_rng((self._seed, zlib.crc32(name.encode()))).integers(count))

    def __call__(self, name: str, options: tuple[str, ...]) -> str:
        left = [option for option in options if option not in self._avoid] or list(options)
        return left[self.number(name, len(left))]
