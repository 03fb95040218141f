"""Small pieces of HTML the tabs share: job bar, facts line, buttons, media, as words for `templates/pieces.html` and `jobs.html`.

Buttons carry `data-act` and friends; `assets/theme/atelier.js` hands them to the tab they belong to.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipelines.catalog import ModelSpec
from pipelines.errors import Problem, readable_bytes
from pipelines.words.texts import PROMPT_CHARS, parts
from studio.planning import Forecast
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.queue.jobs import Job
    from studio.queue.updates import Update

PIECES, BARS = Macros("pieces.html"), Macros("jobs.html")
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


def button(label: str, act: str, kind: str = "chip", title: str = "", **data: object) -> Markup:
    """A button for atelier.js; data values that are not text travel as JSON."""
    return PIECES.button(label, act, kind, title, **data)


def line(facts: Sequence[str]) -> Markup:
    """Facts separated by dots; empty ones are left out."""
    return PIECES.line(facts)


def speak(text: str, *, is_whole: bool = True) -> Markup:
    """Buttons that take a text to the Audio tab: all of it, in as many parts as a script needs, numbered when more than one."""
    scripts = parts(text, PROMPT_CHARS)
    many = f"{len(text):,}" if is_whole else f"The first {len(text):,}"
    words = f"{many} characters: a script holds {PROMPT_CHARS:,}, so they are spoken in {len(scripts)} parts."
    return PIECES.speak(scripts, words)


def seconds(value: float | None) -> str:
    """A time as people say it: "0.4 s", "12 s", "3 min 20 s"."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s"
    if value < 90:
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def facts_line(job: Job, title: str, facts: Mapping[str, object]) -> Markup:
    """Seed, size, time and model of what was made."""
    shape = f"{facts['width']} × {facts['height']}" if facts.get("width") else ""
    lasts = facts.get("seconds")
    length = f"{seconds(lasts)} long" if isinstance(lasts, int | float) and lasts else ""
    took = job.finished_at - job.started_at if job.finished_at and job.started_at else None
    made = f"made in {seconds(took)}" if took is not None else ""
    return PIECES.facts([title, shape, length, f"seed {job.request.seed}", made])


def notes(facts: Mapping[str, object]) -> Markup:
    """What could not be done as asked, said below the result."""
    return PIECES.notes(facts.get("notes", ()))


def preview(data: bytes | None) -> Markup:
    """A small picture on its way, inside the page itself."""
    if not data:
        return Markup()
    kind = "png" if data[:4] == b"\x89PNG" else "jpeg"
    # marked as HTML: base64 has nothing to escape, and it is long
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


def empty(title: str, text: str) -> Markup:
    """An empty state that says what will be here and how it comes about."""
    return PIECES.empty(title, text)


def problem(told: Problem, buttons: Markup | None = None) -> Markup:
    """An error in three lines: what happened, the numbers, what to do."""
    return PIECES.problem(told, buttons or "")


def settings_buttons(modality: str, recipe: Mapping[str, object]) -> Markup:
    """What a stored recipe is good for: something like it, or the very same thing."""
    return PIECES.settings_buttons(modality, {**recipe, "seed": -1}, dict(recipe))


def restored(left_out: Sequence[str], has_seed: bool) -> Markup:
    """Below a form that a file's settings were laid out in: the way to something new, and what could not be taken over."""
    return PIECES.restored(left_out, has_seed) if left_out or has_seed else Markup()


def forecast(told: Forecast) -> Markup:
    """What running it would take, as one quiet line; a refusal as the error it would become."""
    planned = told.planned
    if not planned.fits:
        return problem(planned.problem or Problem("out_of_memory", told.text))
    how = "slow" if planned.how != "full" else "later" if told.waits or told.leaves else "fits"
    return PIECES.forecast(how, told.phrases)


def examples(spec: ModelSpec | None) -> Markup:
    """Prompts to click that this model is good at."""
    if spec is None or not spec.examples:
        return Markup()
    task = {"task": "write"} if "code" in spec.modalities else {}  # the others have no place for words
    return PIECES.examples(spec.examples[:3], task)


def understands(spec: ModelSpec | None) -> Markup:
    """The words a small model was made for, folded away; nothing for models that know any."""
    known: Mapping[str, Sequence[str]] = spec.facts.get("understands", {}) if spec else {}
    if not known:
        return Markup()
    rows = [
        (UNDERSTOOD[name], ", ".join(words)) for name, words in known.items() if name in UNDERSTOOD and words
    ]
    first = ", ".join(word for name in ("place", "object", "shape") for word in known.get(name, ())[:3])
    return PIECES.understands(first, rows)


def model_note(spec: ModelSpec | None) -> Markup:
    """One line about the chosen model; what its licence forbids is never left out."""
    if spec is None:
        return PIECES.no_model()
    memory = f"needs about {readable_bytes(spec.memory_bytes)} of memory" if spec.memory_bytes else ""
    return PIECES.model_note([spec.description, memory], spec.restriction)


def job_bar(
    update: Update | None, words: Mapping[str, str] = STAGES, waiting: int = 0, interrupted: bool = False
) -> Markup:
    """Where a job stands: phase, k of n, time left, queue, and the button that stops or repeats it.

    update: None when there is no job. waiting: how many more of this person's jobs are in line.
    interrupted: a crash or a stop ended it, and it can take its place in the line again.
    """
    if update is None:
        return BARS.idle()
    job, more = update.job, f"{waiting} more waiting" if waiting else ""
    match job.status:
        case "failed":
            return BARS.failed(job, job.problem or Problem("internal", "It failed."), interrupted)
        case "cancelled":
            return BARS.cancelled(job)
        case "completed":
            took = seconds((job.finished_at or 0) - (job.started_at or job.created_at))
            return BARS.completed(took, more)
        case "queued":
            ahead = "next in line" if update.position <= 1 else f"{update.position - 1} ahead"
            return BARS.running(job, "Waiting", ahead, more, "", "")
    return _running(update, words, more)


def _running(update: Update, words: Mapping[str, str], more: str) -> Markup:
    progress = update.progress
    stage = words.get(progress.stage, progress.stage.capitalize()) if progress else "Starting"
    left = f"about {seconds(update.eta_seconds)} left" if update.eta_seconds else ""
    if not progress or not progress.total:
        return BARS.running(update.job, stage, line([left]), more, "", "")
    share = progress.step / progress.total
    told = line([f"{progress.step} of {progress.total}", left])
    return BARS.running(update.job, stage, told, more, f"{min(1.0, share):.1%}", f"{share * 100:.0f}")
