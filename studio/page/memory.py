"""What the device and main memory hold, as the Models tab shows it: bars, models, and why the last decisions were taken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pipelines.errors import readable_bytes
from studio.page import pieces
from studio.workers.residents import ON_DEVICE, Part, by_model, parts

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

Titles = Mapping[str, str]
"""Model id → what people call it."""


def card(told: Mapping[str, Any], titles: Titles, now: float) -> str:
    """All of it for a `Studio.telemetry()`. now: seconds since 1970, to say how long ago something was decided."""
    if told.get("worker") != "ready":
        words = WAITING.get(str(told.get("worker")), WAITING["starting"])
        return f'<div class="device"><div class="row"><strong>{words}</strong></div></div>'
    snapshot: Mapping[str, Any] = told.get("memory") or {}
    held = parts(snapshot)
    models = by_model(held)
    by_size = sorted(models.items(), key=lambda pair: -_device_bytes(pair[1]))
    name = escape(str(told.get("device") or snapshot.get("device") or "The device"))
    free = pieces.button(
        "Free all", "change", title="Unload every idle model that is not pinned", do="unload", model=""
    )
    rows = "".join(resident(model, its_parts, titles) for model, its_parts in by_size)
    nothing = '<p class="facts">No model is in memory. The first job that needs one brings it.</p>'
    return (
        f'<div class="device"><div class="row"><strong>{name}</strong>{free if models else ""}</div>'
        f"{gauges(snapshot, held, titles)}"
        f'<div class="residents">{rows or nothing}</div>{history(snapshot, held, titles, now)}</div>'
    )


# ---- the bars -------------------------------------------------------------------------------------------------------------


def gauges(snapshot: Mapping[str, Any], held: Sequence[Part], titles: Titles) -> str:
    """Device memory by what holds it, and main memory where that is another."""
    budget, working = _number(snapshot, "budget_bytes"), _number(snapshot, "working_bytes")
    committed = _number(snapshot, "committed_bytes")
    segments = [
        (" and ".join(titles.get(model, model) for model in owners), nbytes, "model")
        for owners, nbytes in _by_owners(held).items()
        if nbytes
    ]
    if working:
        segments.append(("running work", working, "work"))
    numbers = [
        f"{readable_bytes(committed)} of {readable_bytes(budget)}" if budget else readable_bytes(committed)
    ]
    if working:
        numbers += [
            f"{readable_bytes(committed - working)} models",
            f'<i class="swatch"></i>{readable_bytes(working)} running work',
        ]
    host, host_budget = _number(snapshot, "host_bytes"), _number(snapshot, "host_budget_bytes")
    has_host = bool(host or host_budget)
    bars = _gauge("Device memory" if has_host else "Memory", numbers, segments, budget or committed)
    if has_host:
        numbers = [
            f"{readable_bytes(host)} of {readable_bytes(host_budget)}"
            if host_budget
            else readable_bytes(host)
        ]
        if pinned := _number(snapshot, "pinned_bytes"):
            numbers.append(f"{readable_bytes(pinned)} page-locked")
        bars += _gauge("Main memory", numbers, [("copies of models", host, "host")], host_budget or host)
    waiting = _number(snapshot, "waiting")
    jobs = "One job waits" if waiting == 1 else f"{waiting} jobs wait"
    return bars + (f'<p class="facts">{jobs} for memory.</p>' if waiting else "")


def _gauge(title: str, numbers: Sequence[str], segments: Sequence[tuple[str, int, str]], whole: int) -> str:
    drawn = "".join(
        f'<i class="{kind}" style="width:{min(1.0, nbytes / whole):.2%}" title="{escape(name)}: {readable_bytes(nbytes)}"></i>'
        for name, nbytes, kind in segments
        if whole
    )
    told = f"{title}: {', '.join(re.sub('<.*?>', '', number) for number in numbers)}"
    return (
        f'<div class="meter-row"><div class="row"><span>{title}</span><span class="facts">{pieces.line(numbers)}</span></div>'
        f'<div class="gauge" role="img" aria-label="{escape(told)}">{drawn}</div></div>'
    )


def _by_owners(held: Sequence[Part]) -> dict[tuple[str, ...], int]:
    """Device bytes by the models that hold them; what several share is told once, with all their names."""
    owners: dict[tuple[str, ...], int] = {}
    for part in held:
        if part.state in ON_DEVICE:
            owners[part.models] = owners.get(part.models, 0) + part.nbytes
    return dict(sorted(owners.items(), key=lambda pair: -pair[1]))


# ---- the models -----------------------------------------------------------------------------------------------------------


def resident(model: str, its_parts: Sequence[Part], titles: Titles) -> str:
    """One model: where it is, what it is made of, and what can be done about it."""
    lent, pinned = any(part.leases for part in its_parts), all(part.pinned for part in its_parts)
    whole = sum(part.whole_bytes for part in its_parts)
    share = _device_bytes(its_parts) / whole if whole else 1.0
    marks = "".join(
        f'<span class="mark">{word}</span>' for word, is_so in (("In use", lent), ("Pinned", pinned)) if is_so
    )
    name = escape(titles.get(model, model))
    title = f'<span class="title" title="{name}">{name}</span>'
    keep = pieces.button(
        "Unpin" if pinned else "Pin",
        "change",
        title="Let it leave when room is needed" if pinned else "Keep it in memory whatever comes",
        do="unpin" if pinned else "pin",
        model=model,
    )
    unload = (
        ""
        if lent
        else pieces.button("Unload", "change", title=f"Take {model} out of memory", do="unload", model=model)
    )
    return (
        f'<div class="resident"><div class="what"><span class="name">{title}{marks}</span>'
        f'<span class="facts">{pieces.line([standing(its_parts), readable_bytes(whole)])}</span>'
        f'<span class="made">{made_of(model, its_parts, titles)}</span></div>'
        f'<span class="share" aria-hidden="true"><i style="width:{share:.1%}"></i></span>'
        f'<span class="actions">{keep}{unload}</span></div>'
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


def made_of(model: str, its_parts: Sequence[Part], titles: Titles) -> str:
    """Its components by size, and with whom it shares them; nothing for a single one of its own."""
    told: list[str] = []
    is_shared = False
    for part in sorted(its_parts, key=lambda part: -part.whole_bytes):
        if not part.whole_bytes:
            continue
        others = [titles.get(other, other) for other in part.models if other != model]
        shared = f", shared with {' and '.join(others)}" if others else ""
        told.append(escape(f"{_part_name(part.name)} ({readable_bytes(part.whole_bytes)}{shared})"))
        is_shared = is_shared or bool(others)
    return pieces.line(told) if len(told) > 1 or is_shared else ""


def _device_bytes(its_parts: Sequence[Part]) -> int:
    return sum(part.nbytes for part in its_parts if part.state in ON_DEVICE)


# ---- the decisions ----------------------------------------------------------------------------------------------------------


def history(snapshot: Mapping[str, Any], held: Sequence[Part], titles: Titles, now: float) -> str:
    """The last decisions, newest first, each with its reason."""
    events = list(snapshot.get("events") or ())[-SHOWN:][::-1]
    if not events:
        last = str(snapshot.get("last_decision") or "")
        events = [{"why": last}] if last else []
    if not events:
        return ""
    known = {part.key: part.models for part in held}
    items = "".join(
        f'<li><span class="kind">{escape(DECISIONS.get(str(event.get("what")), "Decided"))}</span>'
        f"<span>{escape(in_words(str(event.get('why', '')), event.get('keys') or (), known, titles))}</span>"
        f'<span class="when">{ago(now - event["at"]) if "at" in event else ""}</span></li>'
        for event in events
    )
    return f'<div class="decisions"><h3>Why things are where they are</h3><ol>{items}</ol></div>'


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


def _part_name(name: str) -> str:
    """The name of a part, or of several with commas between."""
    return re.sub(
        r"\b(vae|unet)\b", lambda word: {"vae": "VAE", "unet": "UNet"}[word[0]], re.sub("[_-]", " ", name)
    )


def _number(snapshot: Mapping[str, Any], key: str) -> int:
    return int(snapshot.get(key) or 0)
