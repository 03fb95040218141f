"""Models: what is here, what can be fetched, what it may be used for, and what the device holds now."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from pipelines.catalog import ModelSpec
from pipelines.errors import StudioError
from pipelines.messages import MODALITIES
from studio.forms import size
from studio.tabs import frame, pieces

TITLES = {"text": "Text", "code": "Code", "image": "Image", "audio": "Audio", "video": "Video"}
STATES = {"ready": "Ready", "remote": "Can be downloaded", "broken": "Cannot be used"}
SECONDS = 2.0  # between looks at the device and at downloads, while this tab is open and something moves


def build(studio: Any) -> None:
    with frame.pane("models", "Models"):
        device = frame.html(elem_id="models-device")
        cards = frame.html(elem_id="models-list")
    bridge = frame.bridge("models")
    timer = gr.Timer(SECONDS, active=False)
    screen = [device, cards, timer]

    def show() -> list[Any]:
        moving = any(one.state == "running" for one in studio.downloads.all().values())
        return [device_card(studio.telemetry()), model_list(studio), gr.Timer(active=moving)]

    def change(event: gr.EventData) -> list[Any]:
        model_id = str(event._data.get("model", ""))
        try:
            match event._data.get("do"):
                case "download":
                    studio.downloads.start(model_id)
                case "stop":
                    studio.downloads.cancel(model_id)
                case "unload":
                    studio.unload(model_id)
                case "rescan":
                    studio.catalog.refresh()
        except StudioError as error:
            gr.Warning(str(error.problem()), duration=8)
        return show()

    bridge.refresh(show, None, screen, **frame.DIRECT)
    bridge.change(change, None, screen, **frame.ASKED)
    timer.tick(show, None, screen, **frame.DIRECT)


def device_card(told: dict[str, Any]) -> str:
    """The device, how full it is, and which models it holds."""
    memory = told.get("memory") or {}
    if told.get("worker") != "ready":
        return '<div class="device"><div class="row"><strong>Starting the engine…</strong></div></div>'
    held, budget = memory.get("committed_bytes") or 0, memory.get("budget_bytes") or 0
    share = f"{min(1.0, held / budget):.1%}" if budget else "0"
    numbers = (
        f"{size(held) or '0 MB'} of {size(budget)} held by models"
        if budget
        else f"{size(held) or 'Nothing'} held"
    )
    models: dict[str, dict[str, Any]] = {}
    for component in memory.get("components", ()):
        name = str(component.get("key", "")).split(":")[0]
        seen = models.setdefault(name, {"nbytes": 0, "lent": False})
        seen["nbytes"] += int(component.get("nbytes") or 0)
        seen["lent"] = seen["lent"] or bool(component.get("leases"))
    rows = "".join(
        f'<div class="resident"><span>{escape(name)}</span><span class="facts">{size(seen["nbytes"])}'
        f"{', in use' if seen['lent'] else ''}</span>"
        + (pieces.button("Unload", "change", do="unload", model=name) if not seen["lent"] else "")
        + "</div>"
        for name, seen in sorted(models.items())
    )
    free = pieces.button("Free all", "change", do="unload", model="") if models else ""
    return (
        f'<div class="device"><div class="row"><span><strong>{escape(str(told.get("device") or memory.get("device", "")))}</strong>'
        f'<span class="dot">·</span><span class="facts">{numbers}</span></span>{free}</div>'
        f'<div class="gauge"><i style="width:{share}"></i></div>{rows}</div>'
    )


def model_list(studio: Any) -> str:
    """Every model of the catalogue under the first kind it makes."""
    going = studio.downloads.all()
    sections = []
    for modality in MODALITIES:
        specs = [spec for spec in studio.catalog.all() if spec.modalities[0] == modality]
        if specs:
            cards = "".join(card(spec, going.get(spec.id)) for spec in specs)
            sections.append(f'<section><h2>{TITLES[modality]}</h2><div class="cards">{cards}</div></section>')
    rescan = pieces.button("Look at my folders again", "change", do="rescan")
    foot = f'<p class="facts">{rescan} Add a folder of your own with <code>python3 launch.py models add FOLDER</code>.</p>'
    return f'<div class="models">{"".join(sections)}{foot}</div>'


def card(spec: ModelSpec, download: Any) -> str:
    """One model: what it is, what it weighs, what its licence asks, and the one thing to do with it."""
    makes = ", ".join(TITLES[modality].lower() for modality in spec.modalities)
    memory = f"{size(spec.memory_bytes)} of memory" if spec.memory_bytes else ""
    disk = f"{size(spec.weight_bytes)} on disk" if spec.weight_bytes else ""
    figures = pieces.line([makes, disk, memory])
    restriction = f'<p class="restriction">{escape(spec.restriction)}</p>' if spec.restriction else ""
    trouble = f"<p>{escape(spec.problem)}</p>" if spec.problem else ""
    return (
        f'<article class="card"><div class="head"><span class="title">{escape(spec.title)}</span>'
        f'<span class="badge {spec.state}">{STATES[spec.state]}</span></div><span class="id">{escape(spec.id)}</span>'
        f'<p>{escape(spec.description)}</p><span class="figures">{figures}</span>'
        f'<span class="figures">Licence: {escape(spec.licence)}</span>{restriction}{trouble}{foot(spec, download)}</article>'
    )


def foot(spec: ModelSpec, download: Any) -> str:
    if download is not None and download.state == "running":
        share = download.done_bytes / download.total_bytes if download.total_bytes else 0.0
        left = f", {pieces.seconds(download.eta_seconds)} left" if download.eta_seconds else ""
        told = f"{size(download.done_bytes) or '0 MB'} of {size(download.total_bytes) or '…'}{left}"
        stop = pieces.button("Stop", "change", do="stop", model=spec.id)
        return (
            f'<div class="foot"><span class="meter"><i style="width:{share:.1%}"></i></span>'
            f'<span class="figures">{told}</span>{stop}</div>'
        )
    if spec.state == "remote":
        problem = pieces.problem(download.problem) if download is not None and download.problem else ""
        resume = "Go on" if download is not None else f"Download {size(spec.weight_bytes)}".strip()
        return f'{problem}<div class="foot">{pieces.button(resume, "change", do="download", model=spec.id)}</div>'
    return ""
