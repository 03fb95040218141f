"""What the device and main memory hold, as the Models tab shows it: bars, models, and why the last decisions were taken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.errors import readable_bytes
from studio.templates import Macros
from studio.workers.residents import ON_DEVICE, Part, by_model, parts

MEMORY = Macros("memory.html")

DECISIONS = {
    "evict": "Made room",
    "load": "Loaded",
    "prefetch": "Fetched early",
    "stream": "Streams",
    "wait": "Waits",
    "refuse": "Refused",
    "unload": "Unloaded",
    "rest": "Let go",
    "oom": "Ran out of memory",
}
SHOWN = 8
"""So many of the last decisions are told."""
WAITING = {"starting": "Starting the engine…", "lost": "The engine was lost and is starting again…"}

Snapshot = Mapping[str, object]
"""What the worker told of its memory, in whichever version."""
Titles = Mapping[str, str]
"""Model id → what people call it."""


@dataclass(frozen=True)
class Segment:
    """What takes a part of a bar. kind: model, work or host. share: "12.50%" of the bar; told: what it is and how much."""

    kind: str
    share: str
    told: str


@dataclass(frozen=True)
class Gauge:
    """One bar. numbers: facts in words, one with the colour it has in the bar. told: the same for who cannot see it."""

    title: str
    numbers: Sequence[str]
    segments: Sequence[Segment]
    told: str


@dataclass(frozen=True)
class Resident:
    """One model in memory. share: "75.0%" of it is on the device. made_of: its components, where there is something to say."""

    model: str
    name: str
    marks: Sequence[str]
    facts: Sequence[str]
    made_of: Sequence[str]
    share: str
    is_lent: bool
    is_pinned: bool


def card(told: Snapshot, titles: Titles, now: float) -> Markup:
    """All of it for a `Studio.telemetry()`. now: seconds since 1970, to say how long ago something was decided."""
    if told.get("worker") != "ready":
        return MEMORY.waiting(WAITING.get(str(told.get("worker")), WAITING["starting"]))
    memory = told.get("memory")
    snapshot: Snapshot = memory if isinstance(memory, Mapping) else {}
    held = parts(snapshot)
    by_size = sorted(by_model(held).items(), key=lambda pair: -_device_bytes(pair[1]))
    return MEMORY.card(
        str(told.get("device") or snapshot.get("device") or "The device"),
        gauges(snapshot, held, titles),
        waits(snapshot),
        [resident(model, its_parts, titles) for model, its_parts in by_size],
        decisions(snapshot, held, titles, now),
    )


# ---- the bars -------------------------------------------------------------------------------------------------------------


def gauges(snapshot: Snapshot, held: Sequence[Part], titles: Titles) -> list[Gauge]:
    """Device memory by what holds it, and main memory where that is another."""
    host, host_budget = _number(snapshot, "host_bytes"), _number(snapshot, "host_budget_bytes")
    if not (host or host_budget):
        return [_device_gauge("Memory", snapshot, held, titles)]
    numbers = [_of(host, host_budget)]
    if pinned := _number(snapshot, "pinned_bytes"):
        numbers.append(f"{readable_bytes(pinned)} page-locked")
    copies = _segments([("copies of models", host, "host")], host_budget or host)
    main = Gauge("Main memory", numbers, copies, f"Main memory: {', '.join(numbers)}")
    return [_device_gauge("Device memory", snapshot, held, titles), main]


def _device_gauge(title: str, snapshot: Snapshot, held: Sequence[Part], titles: Titles) -> Gauge:
    budget, working = _number(snapshot, "budget_bytes"), _number(snapshot, "working_bytes")
    committed = _number(snapshot, "committed_bytes")
    holders = [
        (" and ".join(titles.get(model, model) for model in owners), nbytes, "model")
        for owners, nbytes in _by_owners(held).items()
        if nbytes
    ]
    numbers = [_of(committed, budget)]
    told = f"{title}: {numbers[0]}"
    if working:
        holders.append(("running work", working, "work"))
        models, work = (
            f"{readable_bytes(committed - working)} models",
            f"{readable_bytes(working)} running work",
        )
        numbers += [models, MEMORY.swatch(work)]
        told += f", {models}, {work}"
    return Gauge(title, numbers, _segments(holders, budget or committed), told)


def _of(nbytes: int, whole: int) -> str:
    return f"{readable_bytes(nbytes)} of {readable_bytes(whole)}" if whole else readable_bytes(nbytes)


def _segments(holders: Sequence[tuple[str, int, str]], whole: int) -> list[Segment]:
    """holders: (name, bytes, kind) each. Nothing can be drawn of a whole that is not known."""
    return [
        Segment(kind, f"{min(1.0, nbytes / whole):.2%}", f"{name}: {readable_bytes(nbytes)}")
        for name, nbytes, kind in holders
        if whole
    ]


def waits(snapshot: Snapshot) -> str:
    """Who waits for memory, in words; nothing when nobody does."""
    waiting = _number(snapshot, "waiting")
    jobs = "One job waits" if waiting == 1 else f"{waiting} jobs wait"
    return f"{jobs} for memory." if waiting else ""


def _by_owners(held: Sequence[Part]) -> dict[tuple[str, ...], int]:
    """Device bytes by the models that hold them; what several share is told once, with all their names."""
    owners: dict[tuple[str, ...], int] = {}
    for part in held:
        if part.state in ON_DEVICE:
            owners[part.models] = owners.get(part.models, 0) + part.nbytes
    return dict(sorted(owners.items(), key=lambda pair: -pair[1]))


# ---- the models -----------------------------------------------------------------------------------------------------------


def resident(model: str, its_parts: Sequence[Part], titles: Titles) -> Resident:
    """One model: where it is, what it is made of, and what can be done about it."""
    lent, pinned = any(part.leases for part in its_parts), all(part.pinned for part in its_parts)
    whole = sum(part.whole_bytes for part in its_parts)
    return Resident(
        model,
        titles.get(model, model),
        [word for word, is_so in (("In use", lent), ("Pinned", pinned)) if is_so],
        [standing(its_parts), readable_bytes(whole)],
        made_of(model, its_parts, titles),
        f"{_device_bytes(its_parts) / whole if whole else 1.0:.1%}",
        lent,
        pinned,
    )


def standing(its_parts: Sequence[Part]) -> str:
    """Where a model is, in words."""
    states = {part.state for part in its_parts if part.whole_bytes} or {part.state for part in its_parts}
    whole = sum(part.whole_bytes for part in its_parts)
    share = f"{_device_bytes(its_parts) / whole:.0%}" if whole else "0%"
    if "loading" in states:
        return "Loading…"
    if any(part.streamed for part in its_parts):
        return f"Streamed, {share} on the device"
    if "leaving" in states:
        return "Leaving…"
    if states == {"resident"}:
        return "Resident"
    if states == {"host"}:
        return "In main memory, quick to bring back"
    return f"Partly resident, {share} on the device"


def made_of(model: str, its_parts: Sequence[Part], titles: Titles) -> list[str]:
    """Its components by size, and with whom it shares them; nothing for a single one of its own."""
    told: list[str] = []
    is_shared = False
    for part in sorted(its_parts, key=lambda part: -part.whole_bytes):
        if not part.whole_bytes:
            continue
        others = [titles.get(other, other) for other in part.models if other != model]
        shared = f", shared with {' and '.join(others)}" if others else ""
        told.append(f"{_part_name(part.name)} ({readable_bytes(part.whole_bytes)}{shared})")
        is_shared = is_shared or bool(others)
    return told if len(told) > 1 or is_shared else []


def _device_bytes(its_parts: Sequence[Part]) -> int:
    return sum(part.nbytes for part in its_parts if part.state in ON_DEVICE)


# ---- the decisions ----------------------------------------------------------------------------------------------------------


def decisions(
    snapshot: Snapshot, held: Sequence[Part], titles: Titles, now: float
) -> list[tuple[str, str, str]]:
    """The last decisions, newest first: (kind, why, how long ago) each."""
    events = _last_events(snapshot)
    known = {part.key: part.models for part in held}
    return [
        (
            DECISIONS.get(str(event.get("what")), "Decided"),
            in_words(str(event.get("why", "")), _keys(event), known, titles),
            ago(now - _number(event, "at")) if "at" in event else "",
        )
        for event in events
    ]


def _last_events(snapshot: Snapshot) -> list[Snapshot]:
    """Newest first; an older worker tells its last decision alone."""
    told = snapshot.get("events")
    events: list[Snapshot] = (
        [event for event in told if isinstance(event, Mapping)] if isinstance(told, list | tuple) else []
    )
    last = str(snapshot.get("last_decision") or "")
    return events[-SHOWN:][::-1] or ([{"why": last}] if last else [])


def in_words(why: str, keys: Sequence[str], known: Mapping[str, tuple[str, ...]], titles: Titles) -> str:
    """A reason with the names people know: "SD 1.5 (UNet, VAE)" for `org/sd15 (unet, vae)` or for the keys of these."""
    for key in sorted({*known, *keys}, key=len, reverse=True):
        model, part = known.get(key, (key.split(":")[0],))[0], key.split(":")[1:2]
        why = why.replace(key, f"{model} ({part[0]})" if part else model)
    while (shorter := re.sub(r"(?<![^,. ])([^,() ]+) \(([^()]+)\), \1 \(", r"\1 (\2, ", why)) != why:
        why = shorter
    why = re.sub(r"\(([\w, -]+)\)", lambda parts: f"({_part_name(parts[1])})", why)
    if titles:
        ids = "|".join(re.escape(model) for model in sorted(titles, key=len, reverse=True))
        why = re.sub(rf"(?<![\w/.-])({ids})(?![\w/-])", lambda model: titles[model[1]], why)
    return why[:1].upper() + why[1:]


def ago(seconds: float) -> str:
    """How long ago, so roughly that it changes once a minute."""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    return f"{seconds // 3600:.0f} h ago"


def _keys(event: Snapshot) -> list[str]:
    told = event.get("keys")
    return [str(key) for key in told] if isinstance(told, list | tuple) else []


def _part_name(name: str) -> str:
    """The name of a part, or of several with commas between."""
    return re.sub(
        r"\b(vae|unet)\b", lambda word: {"vae": "VAE", "unet": "UNet"}[word[0]], re.sub("[_-]", " ", name)
    )


def _number(snapshot: Snapshot, key: str) -> int:
    value = snapshot.get(key)
    return int(value) if isinstance(value, int | float) else 0
