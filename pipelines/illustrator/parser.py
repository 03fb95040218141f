"""Reads a prompt into a motif: the longest known phrases first, each with what it belongs to.

A colour belongs to the noun it stands before, "on blue" is the ground, "on the left" the thing it follows, and "no clouds" or
"without a house" the opposite. No model: a word that is in no list is not understood, and that is told.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipelines.illustrator.motif import Kind, Motif, Thing
from pipelines.illustrator.words import (
    EMBLEM_WORDS,
    GROUND_WORDS,
    NEGATIONS,
    NUMBERS,
    PATTERN_WORDS,
    PRODUCT_WORDS,
    SCENE_WORDS,
    SILENT,
    words,
)

ARTICLES = ("a", "an", "the")
BREAKS = (",", ".", ";", ":", "!", "?", "\n")
JOINTS = ("and", "with", "in", "on", "at", "by", "near", "over", "of", "under", "above", "beside", "behind")
NOUNS = ("object", "shape", "product", "ground", "pattern", "emblem word", "pattern word", "surface")
MOST_THINGS = 4
SHAPE_OF = {
    "pine": "tree", "palm": "tree", "village": "house", "hills": "mountain", "flowers": "flower", "forest": "tree",
    "mountains": "mountain", "sea": "wave", "birds": "bird", "cloudy": "cloud", "snowfall": "snowflake", "night": "moon",
    "day": "sun",
}  # fmt: skip
SHADES = {"light": "light", "pale": "light", "pastel": "light", "dark": "dark", "deep": "dark"}
OBJECT_OF = {"flower": "flowers", "leaf": "tree", "mushroom": "", "dog": "dog"}


@dataclass(frozen=True)
class Reading:
    """A prompt as understood. unknown: words in it that were not understood, in their order."""

    motif: Motif
    unknown: tuple[str, ...] = ()
    is_blank: bool = False
    """Not one word of it was understood."""


@dataclass
class _Found:
    """A phrase of the prompt. meanings: attribute → value."""

    start: int
    end: int
    meanings: dict[str, str]
    plural: bool = False
    negated: bool = False
    count: int = 1
    colour: str = ""
    side: str = ""
    taken: bool = field(default=False)  # a colour that found its noun

    def has(self, *attributes: str) -> bool:
        return any(name in self.meanings for name in attributes)


def read(prompt: str, negative: str = "") -> Reading:
    """What a prompt asks for. negative: what it must not show, in the same words."""
    tokens = _tokens(prompt)
    found, unknown = _find(tokens)
    _negate(found, tokens)
    avoid = {value for item in found if item.negated for value in item.meanings.values()}
    avoid |= {value for item in _find(_tokens(negative))[0] for value in item.meanings.values()}
    said = [item for item in found if not item.negated]
    _bind(said, tokens)
    kind = _kind(said)
    motif = _motif(kind, said, tokens, frozenset(avoid))
    return Reading(motif, tuple(dict.fromkeys(unknown)), is_blank=not found)


# ---- words → phrases ----


def _tokens(text: str) -> list[str]:
    found = re.findall(r"\n|[^\W_]+(?:'[^\W_]+)?|[,.;:!?]", text.lower().replace("-", " ").replace("’", "'"))
    return [token.removesuffix("'s") for token in found if token not in ARTICLES]


@functools.cache
def _lexicon() -> dict[tuple[str, ...], dict[str, str]]:
    """Phrase → attribute → value, articles left out."""
    lexicon: dict[tuple[str, ...], dict[str, str]] = {}

    def add(phrase: str, attribute: str, value: str) -> None:
        key = tuple(_tokens(phrase))
        lexicon.setdefault(key, {}).setdefault(attribute, value)

    for attribute, values in words().items():
        for value, said in values.items():
            for phrase in said:
                add(phrase, attribute, value)
                if attribute == "colour" and " " not in phrase:
                    for shade, plain in SHADES.items():
                        if not value.startswith(("light", "dark")) and value not in ("white", "black"):
                            add(f"{shade} {phrase}", attribute, f"{plain} {value}")
    groups = {
        "emblem word": EMBLEM_WORDS, "pattern word": PATTERN_WORDS, "product word": PRODUCT_WORDS,
        "scene word": SCENE_WORDS, "ground": GROUND_WORDS,
    }  # fmt: skip
    for attribute, phrases in groups.items():
        for phrase in phrases:
            add(phrase, attribute, phrase)
    return lexicon


_LONGEST = 5


def _find(tokens: Sequence[str]) -> tuple[list[_Found], list[str]]:
    """The phrases in their order, and the words that are in none."""
    found: list[_Found] = []
    unknown: list[str] = []
    place, count = 0, 0
    while place < len(tokens):
        item = _longest_at(tokens, place)
        if item is not None:
            if count and item.has("object", "product", "shape"):
                item.count = count
            count = 0 if item.has("object", "product", "shape") else count
            found.append(item)
            place = item.end
            continue
        word, pair = tokens[place], " ".join(tokens[place : place + 2])
        if pair in NUMBERS or word in NUMBERS or word.isdigit():
            place += pair in NUMBERS
            count = NUMBERS.get(pair) or NUMBERS.get(word) or min(9, int(word))
        elif word not in SILENT and word not in BREAKS and word not in NEGATIONS:
            unknown.append(word)
        place += 1
    return found, unknown


def _longest_at(tokens: Sequence[str], place: int) -> _Found | None:
    lexicon = _lexicon()
    for length in range(min(_LONGEST, len(tokens) - place), 0, -1):
        phrase = tuple(tokens[place : place + length])
        for last, plural in _singulars(phrase[-1]):
            meanings = lexicon.get((*phrase[:-1], last))
            if meanings and not (length > 1 and phrase[0] in JOINTS and _reaches(tokens, place + 1, length)):
                return _Found(place, place + length, dict(meanings), plural)
    return None


def _reaches(tokens: Sequence[str], place: int, length: int) -> bool:
    """Whether a phrase of that length begins here: "in dark green" is a green, not the dark."""
    phrase = tuple(tokens[place : place + length])
    return len(phrase) == length and any(
        (*phrase[:-1], last) in _lexicon() for last, _ in _singulars(phrase[-1])
    )


def _singulars(word: str) -> Iterable[tuple[str, bool]]:
    yield word, False
    if word.endswith("ies"):
        yield word[:-3] + "y", True
    if word.endswith("ves"):
        yield word[:-3] + "f", True
    if word.endswith("es"):
        yield word[:-2], True
    if word.endswith("s") and len(word) > 2:
        yield word[:-1], True


def _negate(found: list[_Found], tokens: Sequence[str]) -> None:
    """Mark the phrase right after "no" or "without"; words between may be silent ones."""
    for item in found:
        before = item.start - 1
        while before >= 0 and (
            tokens[before] in SILENT or any(f.has("colour") and f.start <= before < f.end for f in found)
        ):
            if tokens[before] in JOINTS:
                break
            before -= 1
        item.negated = before >= 0 and tokens[before] in NEGATIONS


# ---- phrases → what belongs together ----


def _bind(said: list[_Found], tokens: Sequence[str]) -> None:
    for index, item in enumerate(said):
        after = said[index + 1] if index + 1 < len(said) else None
        before = said[index - 1] if index else None
        if item.has("colour") and not item.taken:
            gap = tokens[item.end : after.start] if after else ()
            if (
                after
                and after.has(*NOUNS)
                and not any(t in BREAKS or t in JOINTS for t in gap)
                and len(gap) <= 3
            ):
                after.colour, item.taken = item.meanings["colour"], True
        elif item.has("side") and not item.has("frame"):
            nouns = [noun for noun in said[:index] if noun.has("object", "product", "place")]
            nouns = nouns or [noun for noun in said[index:] if noun.has("object", "product")]
            if nouns and nouns[-1 if nouns[0].start < item.start else 0].has("object", "product", "place"):
                target = nouns[-1] if nouns[0].start < item.start else nouns[0]
                if target.has("object", "product") and not target.side:
                    target.side = item.meanings["side"]
    for index, item in enumerate(said):  # "a house in red": the noun before, if nothing else wants it
        before = said[index - 1] if index else None
        if (
            item.has("colour")
            and not item.taken
            and before is not None
            and before.has("object", "product", "shape", "emblem word")
        ):
            gap = tokens[before.end : item.start]
            if "in" in gap and not before.colour and not any(t in BREAKS for t in gap):
                before.colour, item.taken = item.meanings["colour"], True


def _kind(said: list[_Found]) -> Kind:
    def any_has(*attributes: str) -> bool:
        return any(item.has(*attributes) for item in said)

    outdoors = any(
        item.has("place", "weather") and not item.has("pattern", "colour", "season") for item in said
    )
    things = any(item.has("object") and not item.has("shape") for item in said)
    only_products = any(item.has("product") and not item.has("shape", "object") for item in said)
    if any_has("pattern word"):
        return "pattern"
    if any_has("emblem word"):
        return "emblem"
    if any_has("frame") and not outdoors and not things and not only_products:
        return "emblem"
    if (only_products or (any_has("product") and any_has("product word", "surface"))) and not outdoors:
        return "product"
    if outdoors or things or any_has("scene word"):
        return "landscape"
    if any_has("shape") and not any(
        item.has("time", "season") and not item.has("colour", "shape") for item in said
    ):
        return "emblem"
    if any_has("pattern"):
        return "pattern"
    if any_has("time", "season", "object", "shape"):
        only_colours = all(item.has("colour") or item.has("style", "ground") for item in said)
        return "pattern" if only_colours else "landscape"
    if any_has("product word", "surface", "product"):
        return "product"
    if any_has("colour"):
        return "pattern"
    return "landscape"


def _motif(kind: Kind, said: list[_Found], tokens: Sequence[str], avoid: frozenset[str]) -> Motif:
    def first(attribute: str) -> str:
        return next((item.meanings[attribute] for item in said if attribute in item.meanings), "")

    style = first("style")
    if kind == "landscape":
        return _landscape(said, style, first, avoid)
    if kind == "emblem":
        return _emblem(said, style, tokens, avoid, first)
    free = [item.meanings["colour"] for item in said if item.has("colour") and not item.taken]
    ground = next((item.colour for item in said if item.has("ground") and item.colour), "")
    if kind == "product":
        things = [
            Thing(
                item.meanings["product"],
                item.colour,
                item.side,
                item.count if item.count > 1 else 1 + 2 * item.plural,
            )
            for item in said
            if item.has("product") and item.meanings["product"] not in avoid
        ]
        ground = ground or (free.pop() if free else "")
        return Motif(
            kind,
            style,
            things=tuple(things[:MOST_THINGS]),
            background=ground,
            surface=first("surface"),
            avoid=avoid,
        )
    return _pattern(said, style, tokens, avoid, first("pattern"), ground)


def _pattern(
    said: list[_Found], style: str, tokens: Sequence[str], avoid: frozenset[str], pattern: str, ground: str
) -> Motif:
    for item in said:
        if item.has("colour") and not ground and "on" in tokens[max(0, item.start - 2) : item.start]:
            ground = item.meanings["colour"]
    colours = tuple(
        dict.fromkeys(
            item.meanings["colour"]
            for item in said
            if item.has("colour") and item.meanings["colour"] != ground
        )
    )
    shape = next(
        (item.meanings["shape"] for item in said if item.has("shape") and not item.has("pattern")), ""
    )
    things = [
        item.meanings.get("object") or item.meanings["place"]
        for item in said
        if item.has("object", "place") and not item.has("pattern")
    ]
    shape = shape or next(
        (name for thing in things if (name := SHAPE_OF.get(thing, thing)) in words()["shape"]), ""
    )
    if not pattern and shape:
        pattern = f"shape {shape}"
    if not pattern and colours and not _any(said, "pattern word"):
        pattern = "gradient"
    return Motif("pattern", style, background=ground, pattern=pattern, colours=colours, avoid=avoid)


def _any(said: list[_Found], attribute: str) -> bool:
    return any(item.has(attribute) for item in said)


def _landscape(said: list[_Found], style: str, first, avoid: frozenset[str]) -> Motif:  # type: ignore[no-untyped-def]
    things: list[Thing] = []
    season = time = weather = place = ""
    for item in said:
        season = season or ("" if item.taken else item.meanings.get("season", ""))
        time = time or item.meanings.get("time", "")
        weather = weather or item.meanings.get("weather", "")
        place = place or item.meanings.get("place", "")
        name = item.meanings.get("object", "")
        if not name and item.has("shape"):
            shape = item.meanings["shape"]
            name = OBJECT_OF.get(shape, "")
            time = time or ("night" if shape in ("moon", "star") else "day" if shape == "sun" else "")
            weather = weather or ("stormy" if shape == "bolt" else "")
        if name and name not in avoid:
            many = item.plural and name not in ("birds", "flowers")
            things.append(Thing(name, item.colour, item.side, item.count if item.count > 1 else 1 + 2 * many))
    return Motif("landscape", style, place, time, weather, season, tuple(things[:MOST_THINGS]), avoid=avoid)


def _emblem(said: list[_Found], style: str, tokens: Sequence[str], avoid: frozenset[str], first) -> Motif:  # type: ignore[no-untyped-def]
    shape = colour = background = word_colour = ""
    for item in said:
        if item.has("shape") and not shape:
            shape, colour = item.meanings["shape"], item.colour or colour
        elif item.has("emblem word"):
            word_colour = word_colour or item.colour
        elif item.has("ground"):
            background = background or item.colour
        elif not shape and item.has("object", "place", "product"):
            name = item.meanings.get("object") or item.meanings.get("place") or item.meanings["product"]
            candidate = SHAPE_OF.get(name, name)
            if candidate in words()["shape"]:
                shape, colour = candidate, item.colour or colour
    for item in said:  # colours that stand alone: after "on" the ground, else what is still open
        if not item.has("colour") or item.taken:
            continue
        value, before = item.meanings["colour"], tokens[max(0, item.start - 2) : item.start]
        if not background and ("on" in before or colour or word_colour):
            background = value
        elif not colour:
            colour = value
    if word_colour and not colour:
        colour = word_colour
    elif word_colour and not background:
        background = word_colour
    return Motif(
        "emblem", style, shape=shape, colour=colour, background=background, frame=first("frame"), avoid=avoid
    )
