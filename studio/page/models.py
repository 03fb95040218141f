"""Models: what is here, what can be fetched, what it may be used for, and what the device holds now."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from pipelines.catalog import ModelSpec
from pipelines.errors import StudioError, readable_bytes
from pipelines.messages import MODALITIES
from studio.accounts import require
from studio.page import frame, memory, pieces

TITLES = {"text": "Text", "code": "Code", "image": "Image", "audio": "Audio", "video": "Video"}
MEMORY = ("unload", "pin", "unpin")
STATES = {"ready": "Ready", "remote": "Can be downloaded", "broken": "Cannot be used"}


def build(studio: Any) -> None:
    with frame.pane("models", "Models"):
        device = frame.html(elem_id="models-device")
        cards = frame.html(elem_id="models-list")
    bridge = frame.bridge("models")
    screen = [device, cards]

    def show() -> list[Any]:
        return [memory_now(), model_list(studio)]

    def look() -> list[Any]:
        """What moves by itself: memory, and downloads once there are any."""
        return [memory_now(), model_list(studio) if studio.downloads.all() else gr.skip()]

    def memory_now() -> str:
        titles = {spec.id: spec.title for spec in studio.catalog.all()}
        return memory.card(studio.telemetry(), titles, time.time())

    def heard(before: Any) -> None:
        """Wait a moment for the worker's answer to what was just asked of it."""
        for _ in range(10):
            time.sleep(0.05)
            if studio.telemetry()["memory"] is not before:
                return

    def change(event: gr.EventData, request: gr.Request) -> list[Any]:
        model_id, before = str(event._data.get("model", "")), studio.telemetry()["memory"]
        asked = event._data.get("do")
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


def model_list(studio: Any) -> str:
    """Every model of the catalogue under the first kind it makes; those that cannot be used after all others."""
    going = studio.downloads.all()
    specs = studio.catalog.all()
    sections = [
        section(TITLES[kind], [s for s in specs if s.modalities[:1] == (kind,)], going) for kind in MODALITIES
    ]
    sections.append(section("Cannot be used", [s for s in specs if not s.modalities], going))
    notes = "".join(f'<p class="restriction">{escape(note)}</p>' for note in studio.catalog.notes())
    rescan = pieces.button("Look at my folders again", "change", do="rescan")
    foot = f'<p class="facts">{rescan} Add a folder of your own with <code>python3 launch.py models add FOLDER</code>.</p>'
    return f'<div class="models">{notes}{"".join(sections)}{foot}</div>'


def section(title: str, specs: Sequence[ModelSpec], going: Mapping[str, Any]) -> str:
    if not specs:
        return ""
    cards = "".join(card(spec, going.get(spec.id)) for spec in specs)
    return f'<section><h2>{title}</h2><div class="cards">{cards}</div></section>'


def card(spec: ModelSpec, download: Any) -> str:
    """One model: what it is, what it weighs, what its licence asks, and the one thing to do with it."""
    lines = [f'<span class="id" title="{escape(spec.id)}">{escape(spec.id)}</span>']
    if spec.state == "broken":
        lines += [paragraph(spec.problem, "restriction"), paragraph(spec.remedy)]
        lines += [f'<span class="place">{escape(spec.place)}</span>']
    else:
        makes = ", ".join(TITLES[modality].lower() for modality in spec.modalities)
        memory = f"{readable_bytes(spec.memory_bytes)} of memory" if spec.memory_bytes else ""
        disk = f"{readable_bytes(spec.weight_bytes)} on disk" if spec.weight_bytes else ""
        figures = pieces.line([makes, disk, memory])
        lines += [paragraph(spec.description), f'<span class="figures">{figures}</span>']
        lines += [f'<span class="figures">Licence: {escape(spec.licence)}</span>']
        lines += [paragraph(spec.restriction, "restriction"), paragraph(spec.problem)]
    return (
        f'<article class="card"><div class="head"><span class="title" title="{escape(spec.title)}">{escape(spec.title)}</span>'
        f'<span class="badge {spec.state}">{STATES[spec.state]}</span></div>{"".join(lines)}{foot(spec, download)}</article>'
    )


def paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(text)}</p>" if text else ""


def foot(spec: ModelSpec, download: Any) -> str:
    if download is not None and download.state == "running":
        share = download.done_bytes / download.total_bytes if download.total_bytes else 0.0
        left = f", {pieces.seconds(download.eta_seconds)} left" if download.eta_seconds else ""
        told = f"{readable_bytes(download.done_bytes)} of {readable_bytes(download.total_bytes) if download.total_bytes else '…'}{left}"
        stop = pieces.button("Stop", "change", do="stop", model=spec.id)
        return (
            f'<div class="foot"><span class="meter"><i style="width:{share:.1%}"></i></span>'
            f'<span class="figures">{told}</span>{stop}</div>'
        )
    if spec.state == "remote":
        problem = pieces.problem(download.problem) if download is not None and download.problem else ""
        whole = f"Download {readable_bytes(spec.weight_bytes)}" if spec.weight_bytes else "Download"
        # a single file is here already: what is fetched is what it lacks
        label = "Download what it needs" if spec.loader == "diffusers-single-file" else whole
        resume = "Go on" if download is not None else label
        return f'{problem}<div class="foot">{pieces.button(resume, "change", do="download", model=spec.id)}</div>'
    return ""
