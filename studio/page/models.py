"""Models: what is here, what can be fetched, what it may be used for, and what the device holds now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import gradio as gr
from markupsafe import Markup

from pipelines.catalog import ModelSpec
from pipelines.errors import Problem, StudioError, readable_bytes
from pipelines.messages import KINDS
from studio.accounts import require
from studio.page import frame, memory, pieces
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.downloads import Download
    from studio.studio import Studio

MODELS = Macros("models.html")
MEMORY = ("unload", "pin", "unpin")
STATES = {"ready": "Ready", "remote": "Can be downloaded", "broken": "Cannot be used"}


def build(studio: Studio) -> None:
    with frame.pane("models", "Models"):
        device = frame.html(elem_id="models-device")
        cards = frame.html(elem_id="models-list")
    bridge = frame.bridge("models")
    screen = [device, cards]

    def show() -> list[object]:
        return [memory_now(), model_list(studio)]

    def look() -> list[object]:
        """What moves by itself: memory, and downloads once there are any."""
        return [memory_now(), model_list(studio) if studio.downloads.all() else gr.skip()]

    def memory_now() -> str:
        return memory.card(studio.telemetry(), studio.catalog.titles(), time.time())

    def heard(before: object) -> None:
        """Wait a moment for the worker's answer to what was just asked of it."""
        for _ in range(10):
            time.sleep(0.05)
            if studio.telemetry()["memory"] is not before:
                return

    def change(event: gr.EventData, request: gr.Request) -> list[object]:
        model_id, before = frame.said(event, "model"), studio.telemetry()["memory"]
        asked = frame.said(event, "do")
        try:
            require(
                studio.settings,
                frame.owner_of(request),
                "change_memory" if asked in MEMORY else "change_models",
            )
            match asked:
                case "download":
                    studio.downloads.start(model_id)
                case "stop":
                    studio.downloads.cancel(model_id)
                case "unload":
                    studio.unload(model_id)
                    heard(before)
                case "pin" | "unpin" as kept:
                    studio.pin(model_id, kept == "pin")
                    heard(before)
                case "rescan":
                    studio.catalog.refresh()
        except StudioError as error:
            gr.Warning(str(error.problem()), duration=8)
        return show()

    bridge.refresh(show, None, screen, **frame.DIRECT)
    bridge.change(change, None, screen, **frame.ASKED)
    bridge.look(look, None, screen, **frame.DIRECT)


def model_list(studio: Studio) -> Markup:
    """Every model of the catalogue under the first kind it makes; those that cannot be used after all others."""
    going = studio.downloads.all()
    specs = studio.catalog.all()
    groups = [
        (kind.title, [spec for spec in specs if spec.modalities[:1] == (name,)])
        for name, kind in KINDS.items()
    ]
    groups.append(("Cannot be used", [spec for spec in specs if not spec.modalities]))
    sections = [
        (title, [as_card(spec, going.get(spec.id)) for spec in found]) for title, found in groups if found
    ]
    return MODELS.model_list(studio.catalog.notes(), sections)


@dataclass(frozen=True)
class Card:
    """One model as its card shows it. fetch: what the button that downloads it says.

    fetched: how far a download is, in words, "" when none is on its way; share: the same as "12.5%". failed: how one ended.
    """

    spec: ModelSpec
    state: str
    figures: Sequence[str]
    fetch: str = ""
    fetched: str = ""
    share: str = ""
    failed: Problem | None = None


def card(spec: ModelSpec, download: Download | None) -> Markup:
    """One model: what it is, what it weighs, what its licence asks, and the one thing to do with it."""
    return MODELS.card(as_card(spec, download))


def as_card(spec: ModelSpec, download: Download | None) -> Card:
    """The words of a card."""
    makes = ", ".join(KINDS[modality].title.lower() for modality in spec.modalities)
    memory = f"{readable_bytes(spec.memory_bytes)} of memory" if spec.memory_bytes else ""
    disk = f"{readable_bytes(spec.weight_bytes)} on disk" if spec.weight_bytes else ""
    plain = Card(spec, STATES[spec.state], [makes, disk, memory])
    if download is None:
        return replace(plain, fetch=_fetch(spec))
    if download.state != "running":
        return replace(plain, fetch="Go on", failed=download.problem)
    share = download.done_bytes / download.total_bytes if download.total_bytes else 0.0
    left = f", {pieces.seconds(download.eta_seconds)} left" if download.eta_seconds else ""
    whole = readable_bytes(download.total_bytes) if download.total_bytes else "…"
    told = f"{readable_bytes(download.done_bytes)} of {whole}{left}"
    return replace(plain, fetched=told, share=f"{share:.1%}")


def _fetch(spec: ModelSpec) -> str:
    """What fetching a model is called."""
    if spec.loader == "diffusers-single-file":  # the file is here already: what is fetched is what it lacks
        return "Download what it needs"
    return f"Download {readable_bytes(spec.weight_bytes)}" if spec.weight_bytes else "Download"
