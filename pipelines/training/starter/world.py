"""The small world that `starter/image` knows: what can be in a picture, and the many ways to say it.

A `Scene` is everything the painter needs. `WORDS` is the one list of words for each attribute: captions are made from it, and
it is exported as `vocabulary.json` beside the weights. Some combinations (`held_out`) are never shown in training, so that
the evaluation can ask whether words were learned apart from each other.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from pipelines.illustrator.words import TAUGHT

Rng = np.random.Generator

WORDS = TAUGHT
SHAPES = ("circle", "square", "triangle", "diamond", "star", "heart", "moon", "sun", "flower", "drop")
"""The emblem shapes that are taught: half of those the painter can draw, because two cores cannot teach them all."""
SEASONAL = ("mountains", "hills", "forest")  # the places where a season shows
OBJECT_PLACES = {  # where each thing may stand
    "house": ("mountains", "hills", "forest", "desert"),
    "balloon": ("mountains", "hills", "desert", "sea", "forest", "city"),
    "sailboat": ("sea",),
    "lighthouse": ("sea", "hills"),
    "tree": ("hills", "desert"),
    "cactus": ("desert",),
}
COLOURED = ("house", "balloon", "sailboat")
OBJECT_COLOURS = ("red", "orange", "yellow", "blue", "purple", "white")
STYLE_WORDS = [
    "flat",
    "minimal",
    "clean",
    "simple",
    "vector",
    "flat design",
    "modern",
    "illustration",
    "poster",
    "cute",
    "beautiful",
]
EMBLEM_WORDS = ["logo", "emblem", "icon", "symbol", "badge", "sticker", "logo design", "app icon"]
LANDSCAPE_WORDS = ["landscape", "scene", "view", "picture", "illustration", "painting", "postcard", "poster"]
STRAY_WORDS = [
    "my",
    "our",
    "very",
    "please",
    "draw",
    "make",
    "me",
    "quality",
    "best",
    "high",
    "detailed",
    "lovely",
    "company",
    "brand",
    "team",
    "4k",
    "hd",
    "photo",
    "image",
    "art",
    "nice",
    "great",
    "quiet",
    "peaceful",
    "happy",
    "old",
    "new",
    "famous",
    "wide",
    "small",
    "tiny",
    "huge",
    "bright",
    "warm",
    "cool",
    "magic",
    "dreamy",
    "travel",
    "music",
    "garden",
    "king",
    "and",
    "the",
    "with",
    "for",
]


@dataclass(frozen=True)
class Thing:
    """An object in a landscape. `colour` is "" for things that have a colour of their own."""

    name: str
    colour: str
    side: str


@dataclass(frozen=True)
class Scene:
    """What a picture shows; fields that do not apply are "". `seed` decides everything else: sizes, ridges, cloud places."""

    kind: Literal["landscape", "emblem"]
    seed: int
    place: str = ""
    time: str = ""
    weather: str = ""
    season: str = ""
    things: tuple[Thing, ...] = ()
    shape: str = ""
    colour: str = ""
    background: str = ""
    frame: str = ""


def held_out(scene: Scene) -> bool:
    """Whether the scene holds a combination that training never shows."""
    if scene.kind == "landscape":
        pairs = {("desert", "night"), ("forest", "dawn"), ("sea", "dawn")}
        things = {("house", "blue"), ("balloon", "purple"), ("sailboat", "yellow")}
        return (scene.place, scene.time) in pairs or any((t.name, t.colour) in things for t in scene.things)
    shape, colour = list(WORDS["shape"]).index(scene.shape), list(WORDS["colour"]).index(scene.colour)
    return (shape * 7 + colour) % 11 == 0


def random_scene(rng: Rng, *, held: bool | None = False, kind: str | None = None) -> Scene:
    """Draw a scene. held: False for the training world, True for held-out combinations only, None for either."""
    while True:
        scene = _emblem(rng) if (kind or rng.choice(["landscape", "emblem"])) == "emblem" else _landscape(rng)
        if held is None or held_out(scene) == held:
            return scene


def _landscape(rng: Rng) -> Scene:
    place = str(rng.choice(list(WORDS["place"])))
    weather = str(rng.choice(["clear", "clear", "cloudy", "stormy"]))
    season = str(rng.choice(list(WORDS["season"]))) if place in SEASONAL else ""
    possible = [name for name, places in OBJECT_PLACES.items() if place in places]
    count = min(len(possible), int(rng.choice([0, 1, 1, 2])))
    sides = rng.permutation(list(WORDS["side"]))
    things = []
    for name, side in zip(rng.permutation(possible)[:count], sides, strict=False):
        colour = str(rng.choice(OBJECT_COLOURS)) if name in COLOURED else ""
        things.append(Thing(str(name), colour, str(side)))
    time = str(rng.choice(list(WORDS["time"])))
    return Scene("landscape", int(rng.integers(2**31)), place, time, weather, season, tuple(things))


def _emblem(rng: Rng) -> Scene:
    colour, background = rng.choice(list(WORDS["colour"]), 2, replace=False)
    return Scene(
        "emblem",
        int(rng.integers(2**31)),
        shape=str(rng.choice(SHAPES)),
        colour=str(colour),
        background=str(background),
        frame=str(rng.choice(["none", "none", "ring", "box"])),
    )


def caption(scene: Scene, rng: Rng, *, complete: bool = False) -> tuple[str, dict[str, str]]:
    """One way to ask for the scene, and the attributes that the words really ask for ("thing0", "thing0_colour", … included).

    complete: leave nothing out (used to score). Otherwise parts may be left to the model, and unknown words may slip in.
    """
    parts, said = (_emblem_parts if scene.kind == "emblem" else _landscape_parts)(scene, rng, complete)
    text = parts
    if rng.random() < 0.25:
        text = f"{rng.choice(STYLE_WORDS)} {_bare(text)}"
    elif rng.random() < 0.15:
        text = f"{text}, {rng.choice(STYLE_WORDS)} style"
    if rng.random() < 0.25:
        words = text.split()
        words.insert(int(rng.integers(len(words) + 1)), _stray(rng))
        text = " ".join(words)
    return text, said


def _say(rng: Rng, attribute: str, value: str) -> str:
    return str(rng.choice(WORDS[attribute][value]))


def _bare(text: str) -> str:
    """Without a leading article."""
    for article in ("a ", "an ", "the "):
        if text.startswith(article):
            return text[len(article) :]
    return text


def _a(text: str) -> str:
    if text.startswith(("a ", "an ", "the ")):
        return text
    return ("an " if text[0] in "aeiou" else "a ") + text


def _stray(rng: Rng) -> str:
    if rng.random() < 0.6:
        return str(rng.choice(STRAY_WORDS))
    letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz"), int(rng.integers(3, 8)))
    return "".join(letters)


def _emblem_parts(scene: Scene, rng: Rng, complete: bool) -> tuple[str, dict[str, str]]:
    keep = lambda chance: complete or rng.random() < chance  # noqa: E731
    said = {"kind": "emblem", "shape": scene.shape}
    shape, ground = _say(rng, "shape", scene.shape), ""
    if keep(0.92):
        said["colour"] = scene.colour
        shape = f"{_say(rng, 'colour', scene.colour)} {shape}"
    if keep(0.85):
        said["background"] = scene.background
        colour = _say(rng, "colour", scene.background)
        ground = str(
            rng.choice(
                [
                    f"on a {colour} background",
                    f"on {colour}",
                    f"{colour} background",
                    f"on {_a(colour)} ground",
                ]
            )
        )
    frame = ""
    if (scene.frame != "none" and keep(0.85)) or (scene.frame == "none" and rng.random() < 0.1):
        said["frame"] = scene.frame
        frame = str(rng.choice(WORDS["frame"][scene.frame][1:]))
    word = str(rng.choice(EMBLEM_WORDS))
    how = rng.random()
    if how < 0.35:
        first = _a(shape)
    elif how < 0.55:
        first = f"{_a(word)} of {_a(shape)}"
    elif how < 0.75:
        first = f"{shape} {word}"
    elif how < 0.9:
        first = f"{word}, {shape}"
    else:
        first = f"{_a(word)} with {_a(shape)}"
    rest = [part for part in (ground, frame) if part]
    rng.shuffle(rest)
    join = str(rng.choice([" ", ", "]))
    pieces = [first, *rest]
    if rng.random() < 0.15:  # "blue background, white star"
        pieces = [*rest, first]
        join = ", "
    return join.join(pieces), said


def _landscape_parts(scene: Scene, rng: Rng, complete: bool) -> tuple[str, dict[str, str]]:
    keep = lambda chance: complete or rng.random() < chance  # noqa: E731
    said = {"kind": "landscape"}
    place = _say(rng, "place", scene.place)
    things = []
    for number, thing in enumerate(scene.things):
        if not keep(0.9):
            continue
        text = _say(rng, "object", thing.name)
        said[f"thing{number}"] = thing.name
        if thing.colour and keep(0.8):
            said[f"thing{number}_colour"] = thing.colour
            text = f"{_say(rng, 'colour', thing.colour)} {text}"
        text = _a(text)
        if rng.random() < 0.3:
            said[f"thing{number}_side"] = thing.side
            text = f"{text} {rng.choice(WORDS['side'][thing.side][1:])}"
        things.append(text)
    place_said = keep(0.95) or not things
    if place_said:
        said["place"] = scene.place
    details = []
    if keep(0.88):
        said["time"] = scene.time
        details.append(_say(rng, "time", scene.time))
    if (scene.weather != "clear" and keep(0.85)) or (scene.weather == "clear" and rng.random() < 0.2):
        said["weather"] = scene.weather
        details.append(_say(rng, "weather", scene.weather))
    if scene.season and (keep(0.85) if scene.season != "summer" else rng.random() < 0.5):
        said["season"] = scene.season
        details.append(_say(rng, "season", scene.season))
    rng.shuffle(details)
    if rng.random() < 0.25:  # a bare list of words
        pieces = [*details, *([place] if place_said else []), *things]
        rng.shuffle(pieces)
        return ", ".join(_bare(piece) for piece in pieces), said
    joined = " and ".join(things)
    if things and place_said:
        where = str(rng.choice(["in", "by", "near", "with", "over", "at"]))
        first = f"{joined} {where} {place}" if rng.random() < 0.6 else f"{place} with {joined}"
    else:
        first = joined or place
    if rng.random() < 0.2:
        first = f"{_a(str(rng.choice(LANDSCAPE_WORDS)))} of {first}"
    join = str(rng.choice([" ", ", "]))
    if details and rng.random() < 0.2:
        return f"{_bare(details[0])} {first}" + "".join(join + d for d in details[1:]), said
    return join.join([first, *details]), said


EXAMPLES = [
    "a yellow star on a blue background in a ring",
    "the sea at sunset, with clouds",
    "a red heart on a white background",
    "mountains in summer by day",
    "a green drop on a yellow background in a square frame",
    "a city skyline at night",
    "a white moon on a black background",
    "an autumn forest by day",
]


def vocabulary() -> dict[str, object]:
    """The words the model was taught, for `vocabulary.json`: by attribute, extra words, and examples."""
    return {
        "attributes": WORDS | {"shape": {shape: WORDS["shape"][shape] for shape in SHAPES}},
        "style_words": STYLE_WORDS,
        "kind_words": {"emblem": EMBLEM_WORDS, "landscape": LANDSCAPE_WORDS},
        "where_objects_stand": {name: list(places) for name, places in OBJECT_PLACES.items()},
        "examples": EXAMPLES,
    }


def as_json(scene: Scene) -> dict[str, object]:
    """The scene as plain JSON."""
    return asdict(scene)
