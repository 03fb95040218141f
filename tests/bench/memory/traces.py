"""What people do with one device, as traces: jobs, each with its phases, each phase with what it borrows at once.

Sizes are those of real models in half precision (the language models in four bits), rounded. Sessions are drawn from a seed:
four are written after how people work (a writer, an artist, a film maker, a family of three), one is without habits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True)
class Part:
    """A component. build_seconds: what loading it costs beside reading its bytes. in_pieces: it may stay in part."""

    nbytes: int
    build_seconds: float
    in_pieces: bool = True


def _part(gib: float, build_seconds: float, in_pieces: bool = True) -> Part:
    return Part(int(gib * GIB), build_seconds, in_pieces)


PARTS = {
    "chat": _part(5.6, 0.9),
    "coder": _part(4.9, 0.9),
    "xl.text": _part(1.5, 0.5),
    "xl.unet": _part(4.8, 0.7),
    "xl.vae": _part(0.16, 0.1, in_pieces=False),
    "sd.text": _part(0.23, 0.3),
    "sd.unet": _part(1.6, 0.5),
    "sd.vae": _part(0.16, 0.1, in_pieces=False),
    "motion": _part(0.85, 0.4),
    "rife": _part(0.03, 0.1, in_pieces=False),
    "bark.words": _part(0.8, 0.4),
    "bark.sound": _part(1.2, 0.5),
    "upscaler": _part(0.07, 0.1, in_pieces=False),
}


@dataclass(frozen=True)
class Phase:
    """Components lent together, the bytes the work takes beside them, and how long it computes."""

    parts: tuple[str, ...]
    working_bytes: int
    seconds: float


Job = tuple[Phase, ...]


@dataclass(frozen=True)
class Trace:
    """Jobs in the order they came. owners: who asked for each. pauses: seconds before each."""

    name: str
    jobs: tuple[Job, ...]
    owners: tuple[str, ...]
    pauses: tuple[float, ...]

    def steps(self) -> Iterator[tuple[int, int, Phase]]:
        """(number of the job, number of the phase, phase), in order."""
        for number, job in enumerate(self.jobs):
            for place, phase in enumerate(job):
                yield number, place, phase


def _phase(parts: str, working_gib: float, seconds: float) -> Phase:
    return Phase(tuple(parts.split()), int(working_gib * GIB), seconds)


KINDS: dict[str, Job] = {
    "chat": (_phase("chat", 0.6, 8),),
    "code": (_phase("coder", 0.6, 10),),
    "picture": (_phase("xl.text", 0.2, 0.3), _phase("xl.unet", 1.4, 12), _phase("xl.vae", 2.0, 1)),
    "sketch": (_phase("sd.text", 0.1, 0.1), _phase("sd.unet", 0.6, 4), _phase("sd.vae", 1.2, 0.5)),
    "large picture": (
        _phase("xl.text", 0.2, 0.3),
        _phase("xl.unet", 1.4, 12),
        _phase("xl.vae", 2.0, 1),
        _phase("upscaler", 1.5, 3),
    ),
    "speech": (_phase("bark.words", 0.3, 5), _phase("bark.sound", 0.3, 4)),
    "film": (
        _phase("sd.text", 0.1, 0.1),
        _phase("sd.unet motion", 2.2, 40),
        _phase("sd.vae", 1.6, 4),
        _phase("rife", 0.6, 6),
    ),
}


def _writer(draw: random.Random) -> Iterator[str]:
    """Talks most of the time, illustrates now and then, has chapters read aloud."""
    while True:
        yield from ["chat"] * draw.randint(2, 7)
        match draw.choices(("illustrate", "read", "both", "on"), (4, 3, 2, 2))[0]:
            case "illustrate":
                yield from [draw.choice(("picture", "picture", "sketch"))] * draw.randint(1, 4)
            case "read":
                yield from ["speech"] * draw.randint(1, 3)
            case "both":
                yield from ("picture", "speech")


def _artist(draw: random.Random) -> Iterator[str]:
    """Sketches in the small model, paints in the large one, asks the language model for prompts."""
    while True:
        yield from ["sketch"] * draw.randint(2, 8)
        if draw.random() < 0.4:
            yield "chat"
        yield from ["picture"] * draw.randint(1, 5)
        if draw.random() < 0.5:
            yield "large picture"
        if draw.random() < 0.2:
            yield "film"


def _film_maker(draw: random.Random) -> Iterator[str]:
    """Scene by scene: a few lines of script, a storyboard, the clip, its voice; a script of code in between."""
    while True:
        yield from ["chat"] * draw.randint(1, 3)
        yield from [draw.choice(("sketch", "picture"))] * draw.randint(1, 3)
        yield from ["film"] * draw.randint(1, 2)
        if draw.random() < 0.7:
            yield "speech"
        if draw.random() < 0.15:
            yield from ["code"] * draw.randint(2, 4)


def _no_habits(draw: random.Random) -> Iterator[str]:
    while True:
        yield draw.choices(list(KINDS), (8, 3, 5, 5, 1, 4, 2))[0]


SESSIONS: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "writer": _writer,
    "artist": _artist,
    "film maker": _film_maker,
    "no habits": _no_habits,
}


def session(name: str, seed: int, length: int) -> Trace:
    """One person's `length` jobs."""
    draw = random.Random(f"{name} {seed}")
    habits = SESSIONS[name](draw)
    kinds = [next(habits) for _ in range(length)]
    return _trace(name, kinds, ["one"] * length, draw)


def family(seed: int, length: int) -> Trace:
    """A writer, an artist and a film maker at the same device, each going on for a few jobs at a time."""
    draw = random.Random(f"family {seed}")
    people = {name: SESSIONS[name](draw) for name in ("writer", "artist", "film maker")}
    kinds: list[str] = []
    owners: list[str] = []
    while len(kinds) < length:
        who = draw.choice(list(people))
        for _ in range(draw.randint(1, 3)):
            kinds.append(next(people[who]))
            owners.append(who)
    return _trace("family", kinds[:length], owners[:length], draw)


def _trace(name: str, kinds: Sequence[str], owners: Sequence[str], draw: random.Random) -> Trace:
    pauses = tuple(draw.expovariate(1 / 20) for _ in kinds)
    return Trace(name, tuple(KINDS[kind] for kind in kinds), tuple(owners), pauses)


def all_traces(seed: int, length: int = 120) -> list[Trace]:
    return [*(session(name, seed, length) for name in SESSIONS), family(seed, length)]
