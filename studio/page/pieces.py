"""Small pieces of HTML the tabs share: job bar, facts line, buttons, media. Every word of a person is escaped here.

Buttons carry `data-act` and friends; `assets/theme/atelier.js` hands them to the tab they belong to.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pipelines.catalog import ModelSpec
from pipelines.errors import Problem, readable_bytes
from pipelines.words.texts import PROMPT_CHARS, parts
from studio.planning import Forecast

STAGES = {
    "queued": "Waiting",
    "load": "Loading the model",
    "encode": "Reading the prompt",
    "denoise": "Drawing",
    "generate": "Writing",
    "interpolate": "Drawing the frames between",
    "decode": "Developing",
    "save": "Saving",
}
SPEAKING = STAGES | {"generate": "Speaking"}


UNDERSTOOD = {
    "place": "Places",
    "time": "Times",
    "weather": "Weather",
    "season": "Seasons",
    "object": "Things",
    "shape": "Logos of",
    "product": "Products",
    "surface": "Standing on",
    "pattern": "Patterns",
    "frame": "Frames",
    "colour": "Colours",
    "style": "Styles",
}
"""Attribute of a vocabulary → what it is called on the page."""


def content_url(asset_id: str, *, download: bool = False) -> str:
    return f"api/assets/{asset_id}/content" + ("?download=1" if download else "")


def view_url(asset_id: str) -> str:
    """A picture as every browser shows it, whatever its file is."""
    return f"api/assets/{asset_id}/view"


def thumbnail_url(asset_id: str) -> str:
    return f"api/assets/{asset_id}/thumbnail"


def button(label: str, act: str, kind: str = "chip", title: str = "", **data: Any) -> str:
    """A button for atelier.js; data values that are not text travel as JSON."""
    hint = f' title="{escape(title)}"' if title else ""
    return f'<button type="button" class="{kind}"{hint}{_attributes(act, data)}>{escape(label)}</button>'


def _attributes(act: str, data: Mapping[str, Any]) -> str:
    return "".join(
        f' data-{key.replace("_", "-")}="{escape(value if isinstance(value, str) else json.dumps(value))}"'
        for key, value in ({"act": act} | dict(data)).items()
    )


def note(words: str) -> str:
    return f'<p class="note told">{escape(words)}</p>'


def speak(text: str, *, is_whole: bool = True) -> str:
    """Buttons that take a text to the Audio tab: all of it, in as many parts as a script needs, and the numbers when it is more than one."""
    scripts = parts(text, PROMPT_CHARS)
    if len(scripts) == 1:
        return button("Speak it", "send", to="audio", fill={"prompt": text})
    labels = [f"Speak part {number} of {len(scripts)}" for number in range(1, len(scripts) + 1)]
    buttons = [
        button(label, "send", to="audio", fill={"prompt": script})
        for label, script in zip(labels, scripts, strict=True)
    ]
    many = f"{len(text):,}" if is_whole else f"The first {len(text):,}"
    words = f"{many} characters: a script holds {PROMPT_CHARS:,}, so they are spoken in {len(scripts)} parts."
    return "".join(buttons) + (note(words) if scripts else "")


def link(label: str, href: str, *, download: bool = False) -> str:
    return f'<a class="chip" href="{escape(href)}"{" download" if download else ""}>{escape(label)}</a>'


ICONS = {
    "download": '<path d="M12 4v11M7.500 11l4.500 4.500L16.500 11M5 19.500h14"/>',
    "start": '<rect x="3.500" y="5" width="13" height="13" rx="2.500"/><path d="M13 11.500h8M18 8.500l3 3-3 3"/>',
    "video": '<rect x="3.500" y="5" width="17" height="14" rx="2.500"/><path d="m10.500 9 4.500 3-4.500 3z"/>',
    "library": '<rect x="4" y="4" width="6.500" height="6.500" rx="1.500"/><rect x="13.500" y="4" width="6.500" height="6.500" rx="1.500"/><rect x="4" y="13.500" width="6.500" height="6.500" rx="1.500"/><rect x="13.500" y="13.500" width="6.500" height="6.500" rx="1.500"/>',
    "up": '<path d="M12 19.500v-14M6.500 11 12 5.500l5.500 5.500"/>',
    "stop": '<path d="M6 6l12 12M18 6 6 18"/>',
}  # fmt: skip
"""Drawings of buttons that are too many for words: paths of a 24 × 24 line drawing."""


def icon(name: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.700" stroke-linecap="round"'
        f' stroke-linejoin="round" aria-hidden="true">{ICONS[name]}</svg>'
    )


def icon_button(drawing: str, label: str, act: str, **data: Any) -> str:
    """Like `button`, drawn; the label is read aloud and shown when one rests on it."""
    return (
        f'<button type="button" class="icon-button" aria-label="{escape(label)}" title="{escape(label)}"'
        f"{_attributes(act, data)}>{icon(drawing)}</button>"
    )


def icon_link(drawing: str, label: str, href: str) -> str:
    """A drawn link that downloads."""
    return (
        f'<a class="icon-button" aria-label="{escape(label)}" title="{escape(label)}" href="{escape(href)}"'
        f" download>{icon(drawing)}</a>"
    )


def line(parts: Sequence[str]) -> str:
    """Facts separated by dots; empty ones are left out."""
    return '<span class="dot">·</span>'.join(f"<span>{part}</span>" for part in parts if part)


def seconds(value: float | None) -> str:
    """A time as people say it: "0.4 s", "12 s", "3 min 20 s"."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s"
    if value < 90:
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def facts_line(job: Any, title: str, facts: Mapping[str, Any]) -> str:
    """Seed, size, time and model of what was made."""
    shape = escape(f"{facts['width']} × {facts['height']}") if facts.get("width") else ""
    length = f"{seconds(facts['seconds'])} long" if facts.get("seconds") else ""
    took = job.finished_at - job.started_at if job.finished_at and job.started_at else None
    made = f"made in {seconds(took)}" if took is not None else ""
    return f'<p class="facts">{line([escape(title), shape, length, f"seed {job.request.seed}", made])}</p>'


def preview(data: bytes | None) -> str:
    """A small picture on its way, inside the page itself."""
    if not data:
        return ""
    kind = "png" if data[:4] == b"\x89PNG" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def empty(title: str, text: str, extra: str = "") -> str:
    """An empty state that says what will be here and how it comes about."""
    return f'<div class="empty"><h2>{escape(title)}</h2><p>{escape(text)}</p>{extra}</div>'


def problem(told: Problem, buttons: str = "") -> str:
    """An error in three lines: what happened, the numbers, what to do."""
    rest = "".join(
        f'<p class="{kind}">{escape(text)}</p>'
        for kind, text in (("detail", told.detail), ("hint", told.hint))
        if text
    )
    tail = f'<div class="actions">{buttons}</div>' if buttons else ""
    return f'<div class="problem" role="alert"><p class="what">{escape(told.message)}</p>{rest}{tail}</div>'


def settings_buttons(modality: str, recipe: Mapping[str, Any]) -> str:
    """What a stored recipe is good for: something like it, or the very same thing."""
    new = {**recipe, "seed": -1}
    remix, exact = "These settings with a new seed", "These settings, seed and all: the same thing once more"
    return button("Remix", "send", "chip primary", remix, to=modality, fill=new, whole=True) + button(
        "Exactly again", "send", "chip", exact, to=modality, fill=dict(recipe), whole=True
    )


def restored(left_out: Sequence[str], has_seed: bool) -> str:
    """Below a form that a file's settings were laid out in: the way to something new, and what could not be taken over."""
    remix = (
        button("Remix", "fill", "chip", "Keep everything but the seed", fill={"seed": -1}) if has_seed else ""
    )
    words = "The seed is the file's too." if left_out else "Seed and all: this makes the same thing again."
    same = f"<p><span>{words}</span>{remix}</p>" if has_seed else ""
    lost = "".join(f"<li>{escape(phrase)}</li>" for phrase in left_out)
    listed = f'<p class="lead">Not taken over:</p><ul>{lost}</ul>' if lost else ""
    return f'<div class="restored-note" role="status">{same}{listed}</div>' if same or listed else ""


def forecast(told: Forecast) -> str:
    """What running it would take, as one quiet line; a refusal as the error it would become."""
    planned = told.planned
    if not planned.fits:
        return problem(planned.problem or Problem("out_of_memory", told.text))
    how = "slow" if planned.how != "full" else "later" if told.waits or told.leaves else "fits"
    return f'<p class="forecast" data-how="{how}"><i></i><span>{line([escape(fact) for fact in told.phrases])}</span></p>'


def examples(spec: ModelSpec | None) -> str:
    """Prompts to click that this model is good at."""
    if spec is None or not spec.examples:
        return ""
    task = {"task": "write"} if "code" in spec.modalities else {}  # the others have no place for words
    chips = "".join(
        button(text, "fill", "chip example", text, fill={"prompt": text, **task})
        for text in spec.examples[:3]
    )
    return f'<div class="examples"><span class="lead">Try</span>{chips}</div>'


def understands(spec: ModelSpec | None) -> str:
    """The words a small model was made for, folded away; nothing for models that know any."""
    known: Mapping[str, Sequence[str]] = spec.facts.get("understands", {}) if spec else {}
    if not known:
        return ""
    rows = "".join(
        f"<dt>{escape(UNDERSTOOD[name])}</dt><dd>{escape(', '.join(words))}</dd>"
        for name, words in known.items()
        if name in UNDERSTOOD and words
    )
    first = ", ".join(word for name in ("place", "object", "shape") for word in known.get(name, ())[:3])
    return f'<details class="understands"><summary>It understands: {escape(first)} …</summary><dl>{rows}</dl></details>'


def notes(facts: Mapping[str, Any]) -> str:
    """What could not be done as asked, said below the result."""
    return "".join(f'<p class="note told">{escape(str(note))}</p>' for note in facts.get("notes", ()))


def model_note(spec: ModelSpec | None) -> str:
    """One line about the chosen model; what its licence forbids is never left out."""
    if spec is None:
        return (
            '<p class="note">No model for this is on this machine yet. '
            f"{button('Open Models', 'go', 'textlink', tab='models')} to get one.</p>"
        )
    memory = f"needs about {readable_bytes(spec.memory_bytes)} of memory" if spec.memory_bytes else ""
    told = line([escape(spec.description), memory])
    limit = f'<span class="restriction">{escape(spec.restriction)}</span>' if spec.restriction else ""
    return f'<p class="note">{told}{limit}</p>'


def job_bar(
    update: Any, words: Mapping[str, str] = STAGES, waiting: int = 0, interrupted: bool = False
) -> str:
    """Where a job stands: phase, k of n, time left, queue, and the button that stops or repeats it.

    update: a Studio `Update`, or None when there is no job. waiting: how many more of this person's jobs are in line.
    interrupted: a crash or a stop ended it, and it can take its place in the line again.
    """
    if update is None:
        return '<div class="bar idle"><span><kbd>Ctrl</kbd> <kbd>Enter</kbd> to generate</span></div>'
    job, more = update.job, f"{waiting} more waiting" if waiting else ""
    if job.status == "failed":
        told = job.problem or Problem("internal", "It failed.")
        again = button("Try again", "retry", job=job.id)
        if interrupted:
            again = button("Put back", "job", do="put-back", job=job.id, to=job.request.modality)
        return f'<div class="bar">{problem(told, again)}</div>'
    if job.status == "cancelled":
        again = button("Try again", "retry", job=job.id)
        return f'<div class="bar over" role="status"><span>Cancelled.</span><span class="actions">{again}</span></div>'
    if job.status == "completed":
        took = seconds((job.finished_at or 0) - (job.started_at or job.created_at))
        return f'<div class="bar over" role="status"><span>Done in {took}</span><span>{more}</span></div>'
    stop = button("Cancel", "cancel", title="Esc", job=job.id)
    if job.status == "queued":
        ahead = "next in line" if update.position <= 1 else f"{update.position - 1} ahead"
        return _running("Waiting", ahead, more, stop, None)
    progress = update.progress
    stage = words.get(progress.stage, progress.stage.capitalize()) if progress else "Starting"
    known = bool(progress and progress.total)
    count = f"{progress.step} of {progress.total}" if known else ""
    left = f"about {seconds(update.eta_seconds)} left" if update.eta_seconds else ""
    share = progress.step / progress.total if known else None
    return _running(stage, line([count, left]), more, stop, share)


def _running(phase: str, told: str, more: str, stop: str, share: float | None) -> str:
    width = f' style="width:{min(1.0, share):.1%}"' if share is not None else ""
    now = f' aria-valuenow="{share * 100:.0f}"' if share is not None else ""
    return (
        f'<div class="bar running"><div class="track{"" if share is not None else " unknown"}" role="progressbar"'
        f' aria-label="{escape(phase)}" aria-valuemin="0" aria-valuemax="100"{now}><i{width}></i></div>'
        f'<span class="phase">{escape(phase)}</span><span class="told">{told}</span><span class="more">{more}</span>{stop}</div>'
    )
