"""The frame every tab shares: panes and columns, the bridge to the page's script, whose things these are, what is told of a job.

A tab for making something is a `Desk` (`desk.py`); Library and Models use this alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

import gradio as gr
from markupsafe import Markup

from pipelines.messages import REQUESTS, BaseRequest, parse_request, request_class, words_for
from studio.accounts import LOCAL_OWNER
from studio.page import pieces

if TYPE_CHECKING:
    from gradio.components import Component

    from pipelines.messages.spec import ModelSpec
    from studio.library import Asset
    from studio.queue.jobs import Job
    from studio.queue.updates import Update
    from studio.studio import Studio

R = TypeVar("R", bound=BaseRequest)

Answer = list[object]
"""What a handler answers: a value or an update for each of its outputs."""
Options = Mapping[str, object]
"""What Gradio is told of an event: who handles it and how."""

QUIET: Options = {"api_visibility": "private", "show_progress": "hidden", "queue": True}
DIRECT: Options = {**QUIET, "concurrency_limit": None}
ASKED: Options = {**DIRECT, "trigger_mode": "multiple"}
"""For what a button asks: by default Gradio drops a click that comes while the one before is still on its way."""
ASKS = (
    "fill", "restore", "again", "retry", "cancel", "clear", "refresh", "look", "plan", "more", "open", "change", "watch",
)  # fmt: skip
"""What the page's buttons may ask of a tab. A gr.HTML has the events whose quoted names stand in its script, and no others."""


class View(Protocol):
    """The right side of a tab: its components, and what they show of a job (None: nothing yet)."""

    outputs: list[Component]

    def render(self, update: Update | None) -> Sequence[object]: ...


@contextmanager
def columns() -> Iterator[None]:
    """Inputs left and result right; on a phone the result comes first."""
    with gr.Row(elem_classes=["columns"]):
        yield


@contextmanager
def pane(name: str, title: str) -> Iterator[None]:
    """The whole of one tab; atelier.js shows one at a time."""
    with gr.Column(elem_id=f"pane-{name}", elem_classes=["pane", f"pane-{name}"]):
        gr.HTML(pieces.PIECES.heading(title), apply_default_css=False, js_on_load=None)
        yield


def html(value: str = "", **options: object) -> gr.HTML:
    """A plain gr.HTML: no styles and no script of its own."""
    return gr.HTML(value, **({"apply_default_css": False, "js_on_load": None} | options))


def bridge(name: str) -> gr.HTML:
    """How atelier.js reaches the handlers of that tab: `bridge.fill(...)` listens to what buttons with data-act ask."""
    script = f"window.atelier.connect({json.dumps(name)}, trigger, {json.dumps(ASKS)});"
    return html(elem_classes=["bridge"], js_on_load=script)


def answer_line(name: str) -> gr.HTML:
    """Where a refusal stays; desk.js hears every answer that is put there."""
    script = f"window.atelier.answers({json.dumps(name)}, element);"
    return html(elem_classes=["answer-line"], js_on_load=script)


def owner_of(request: gr.Request | None) -> str:
    """Whose jobs and files these are: who logged in, or the one owner of a studio without login."""
    return (getattr(request, "username", None) if request else None) or LOCAL_OWNER


def said(event: gr.EventData, name: str) -> str:
    """What a button told under that name (data-name); "" when it did not."""
    return str(event._data.get(name, ""))


def asset(studio: Studio, asset_id: str) -> Asset | None:
    """An asset of the library, or None when it is gone."""
    try:
        return studio.library.get(asset_id)
    except LookupError:
        return None


def about(studio: Studio, job: Job, assets: Sequence[Asset | None]) -> Markup:
    """The facts line of a job that is over, and what could not be done as asked; nothing before."""
    if not job.is_over:
        return Markup()
    facts = assets[0].facts if assets and assets[0] else {}
    return pieces.facts_line(job, title_of(studio, job.request.model), facts) + pieces.notes(facts)


def prompts(spec: ModelSpec | None) -> Markup:
    """Prompts to click that this model is good at, and the words it understands where they can be listed."""
    return pieces.examples(spec) + pieces.understands(spec)


def asked(update: Update, kind: type[R]) -> R:
    """What a job was sent with, as the class its tab sends."""
    request = update.job.request
    if not isinstance(request, kind):
        raise TypeError(f"{type(request).__name__} is not shown on this tab")
    return request


def title_of(studio: Studio, model_id: str) -> str:
    return studio.catalog.titles().get(model_id, model_id)


def form_for(recipe: Mapping[str, object]) -> str:
    """The tab whose form is for such a recipe; "" where there is none: each has that of its modality's own task."""
    try:
        kind = request_class(recipe)
    except ValueError:
        return ""
    modality = str(recipe["modality"])
    task = recipe.get("task") or ""
    return modality if kind is REQUESTS[modality] and task in ("", *words_for(kind)) else ""


def recipe_fill(recipe: Mapping[str, object]) -> dict[str, object]:
    """A stored recipe as what a form can take: checked when it still is a request, as it stands otherwise."""
    try:
        return dict(parse_request(dict(recipe)).model_dump(exclude_unset=True))
    except ValueError:
        return dict(recipe)
