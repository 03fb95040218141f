"""The frame every tab shares: inputs left, result right, job bar below.

A `Desk` joins a form, the Studio and a view. Its handlers only submit and watch: jobs live in the Studio, so a reloaded page
finds them again by the ids the browser remembered, together with what was typed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import gradio as gr
from markupsafe import Markup

from pipelines.errors import StudioError, WorkerLost
from pipelines.messages import BaseRequest, parse_request
from studio.accounts import LOCAL_OWNER
from studio.page import pieces, refusals
from studio.page.faults import FieldErrors
from studio.page.forms import Form, Late

if TYPE_CHECKING:
    from studio.queue.updates import Update

SECRET = "atelier"  # BrowserState scrambles with it; fixed, so that drafts survive a restart of the studio
SETTLE_SECONDS = 0.3  # a knob rests that long before anybody is asked what its value means
PLAN_SECONDS = 5.0  # how long a forecast may take; later nobody wants it
KEPT = 12  # job ids a browser remembers for one tab
T = TypeVar("T")
R = TypeVar("R", bound=BaseRequest)

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": True}
DIRECT: dict[str, Any] = {**QUIET, "concurrency_limit": None}
ASKED: dict[str, Any] = {**DIRECT, "trigger_mode": "multiple"}
"""For what a button asks: by default Gradio drops a click that comes while the one before is still on its way."""
ASKS = (
    "fill", "restore", "again", "retry", "cancel", "clear", "refresh", "look", "plan", "more", "open", "change", "watch",
)  # fmt: skip
"""What the page's buttons may ask of a tab. A gr.HTML has the events whose quoted names stand in its script, and no others."""


class View(Protocol):
    """The right side of a tab: its components, and what they show of a job (None: nothing yet)."""

    outputs: list[Any]

    def render(self, update: Any) -> list[Any]: ...


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


def html(value: str = "", **options: Any) -> Any:
    """A plain gr.HTML: no styles and no script of its own."""
    return gr.HTML(value, **({"apply_default_css": False, "js_on_load": None} | options))


def bridge(name: str) -> Any:
    """How atelier.js reaches the handlers of that tab: `bridge.fill(...)` listens to what buttons with data-act ask."""
    script = f"window.atelier.connect({json.dumps(name)}, trigger, {json.dumps(ASKS)});"
    return html(elem_classes=["bridge"], js_on_load=script)


def answer_line(name: str) -> Any:
    """Where a refusal stays; desk.js hears every answer that is put there."""
    script = f"window.atelier.answers({json.dumps(name)}, element);"
    return html(elem_classes=["answer-line"], js_on_load=script)


def owner_of(request: gr.Request | None) -> str:
    """Whose jobs and files these are: who logged in, or the one owner of a studio without login."""
    return (getattr(request, "username", None) if request else None) or LOCAL_OWNER


def asset(studio: Any, asset_id: str) -> Any:
    """An asset of the library, or None when it is gone."""
    try:
        return studio.library.get(asset_id)
    except LookupError:
        return None


def about(studio: Any, job: Any, assets: Sequence[Any]) -> Markup:
    """The facts line of a job that is over, and what could not be done as asked; nothing before."""
    if not job.is_over:
        return Markup()
    facts = assets[0].facts if assets and assets[0] else {}
    return pieces.facts_line(job, title_of(studio, job.request.model), facts) + pieces.notes(facts)


def prompts(spec: Any) -> Markup:
    """Prompts to click that this model is good at, and the words it understands where they can be listed."""
    return pieces.examples(spec) + pieces.understands(spec)


def asked(update: Update, kind: type[R]) -> R:
    """What a job was sent with, as the class its tab sends."""
    request = update.job.request
    if not isinstance(request, kind):
        raise TypeError(f"{type(request).__name__} is not shown on this tab")
    return request


def title_of(studio: Any, model_id: str) -> str:
    return next((str(spec.title) for spec in studio.catalog.all() if spec.id == model_id), model_id)


async def paced(updates: AsyncIterator[T], seconds: float = 0.1) -> AsyncGenerator[T, None]:
    """The newest of a stream, at most once in that time; the last one always comes through."""
    newest: list[T] = []
    arrived = asyncio.Event()

    async def collect() -> None:
        try:
            async for update in updates:
                newest[:] = [update]
                arrived.set()
        finally:
            arrived.set()

    collector = asyncio.ensure_future(collect())
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            if newest:
                yield newest.pop()
            elif collector.done():
                break
            if collector.done():
                arrived.set()
            else:
                await asyncio.wait({collector}, timeout=seconds)
        await collector
    finally:
        collector.cancel()


class Desk:
    """One modality's tab, once its parts are built. Build in this order: `inputs`, `result`, then `wire`.

    prepare: changes a request just before it is sent, knowing the job shown now (a chat adds its history).
    clears: fields emptied after sending.
    """

    def __init__(
        self,
        studio: Any,
        form: Form,
        prepare: Callable[[Any, Any], Any] | None = None,
        clears: Sequence[str] = (),
        words: Mapping[str, str] = pieces.STAGES,
    ) -> None:
        self.studio, self.form, self.modality = studio, form, form.task
        self.prepare, self.clears, self.words = prepare, tuple(clears), words
        self._watchers: dict[str, object] = {}

    # ---- building -------------------------------------------------------------------------------------------------

    @contextmanager
    def inputs(self, action: str, **prompt: Any) -> Iterator[None]:
        """The left side: prompt and button first, then what the tab builds inside, then the rest of Simple and Advanced.

        action: the words on the button. prompt: options for the prompt box.
        """
        with gr.Column(elem_classes=["inputs"]):
            if prompt.pop("prompt_first", True):
                self.form.build("prompt", **({"lines": 3, "max_lines": 10, "info": None} | prompt))
            yield
            self.generate = gr.Button(
                action,
                variant="primary",
                size="lg",
                elem_id=f"generate-{self.modality}",
                elem_classes=["generate"],
            )
            self.refusal = answer_line(self.modality)
            self.told = html(elem_id=f"restored-{self.modality}", elem_classes=["restored"])
            self.forecast = html(elem_id=f"forecast-{self.modality}", elem_classes=["forecast-line"])
            self.examples = html(prompts(self._spec(self.form.default_model())), elem_classes=["maybe"])
            self.form.build("model", info=None)
            self.note = html(pieces.model_note(self._spec(self.form.default_model())))
            with gr.Row(elem_classes=["knobs"]):
                self.form.build_rest(simple=True)
            with (
                gr.Accordion("Advanced", open=False, elem_classes=["advanced"]),
                gr.Row(elem_classes=["knobs"]),
            ):
                self.form.build_rest(simple=False)

    @contextmanager
    def result(self) -> Iterator[None]:
        """The right side: what the tab builds inside, and the job bar."""
        with gr.Column(elem_classes=["result"]):
            yield
            self.bar = html(
                pieces.job_bar(None),
                elem_id=f"bar-{self.modality}",
                elem_classes=["job-bar"],
                js_on_load="window.atelier.bar(element);",
            )
            self.refused_again = answer_line(self.modality)

    def wire(self, view: View) -> None:
        """Join the parts: sending, watching, remembering, and what the page's buttons ask."""
        self.view = view
        self.bridge = bridge(self.modality)
        self.jobs = gr.BrowserState([], storage_key=f"atelier-jobs-{self.modality}", secret=SECRET)
        self.draft = gr.BrowserState({}, storage_key=f"atelier-draft-{self.modality}", secret=SECRET)
        self.shown_model = gr.State(self.form.default_model())
        form, controls = self.form, self.form.inputs
        watching: dict[str, Any] = {
            "fn": self.follow,
            "inputs": [self.jobs],
            "outputs": [*view.outputs, self.bar],
            **ASKED,  # a second job is followed while the first one still is
        }
        planning: dict[str, Any] = {
            "fn": self.foresee,
            "inputs": controls,
            "outputs": [self.forecast],
            "preprocess": False,
            **DIRECT,
            "trigger_mode": "always_last",
        }
        # only the tab someone looks at asks what its request would take
        settled: dict[str, Any] = {
            "fn": None,
            "js": f"() => window.atelier.settled('{self.modality}')",
            **QUIET,
        }
        cleared = [form.components[name] for name in self.clears]
        sent = [self.jobs, self.refusal, *cleared]

        sending = f"(...values) => window.atelier.sent('{self.modality}', values)"
        self.generate.click(
            self.submit, [self.jobs, *controls], sent, js=sending, preprocess=False, **ASKED
        ).success(None, controls, self.draft, js=self._capture(), **QUIET).success(**watching).then(**settled)
        for event, handler in ((self.bridge.again, self.again), (self.bridge.retry, self.retry)):
            event(handler, [self.jobs], [self.jobs, self.refused_again], **ASKED).success(**watching).then(
                **settled
            )
        self.bridge.cancel(self.cancel, None, None, **ASKED)
        self.bridge.watch(self.adopt, [self.jobs], [self.jobs], **ASKED).success(**watching)
        model = form.components["model"]
        self.bridge.refresh(self.offer_models, [model], [model], preprocess=False, **DIRECT).then(**settled)
        self.bridge.plan(**planning)
        gr.on([component.input for component in form.weighing], **planning)
        self.bridge.clear(list, None, [self.jobs], **ASKED).success(**watching)

        about = [self.shown_model, self.note, self.examples]
        late = gr.JSON(visible=False)
        put: dict[str, Any] = {
            "fn": None,
            "inputs": [late, *controls],
            "outputs": controls,
            "js": f"(late, ...now) => window.atelier.put('{self.modality}', {json.dumps(form.names)}, late, now)",
            **QUIET,
        }
        self.bridge.fill(self.fill, [model], [*controls, *about, self.told], **ASKED).then(
            None, controls, self.draft, js=self._capture(changed=True), **QUIET
        ).then(**settled)
        model.input(
            self.switch_model,
            [self.shown_model, *controls],
            [*controls, *about, late],
            preprocess=False,
            **DIRECT,
            trigger_mode="always_last",  # who picks twice in a row means the second
        ).then(**put).then(None, controls, self.draft, js=self._capture(changed=True), **QUIET).then(
            **settled
        )
        for component in controls:
            component.input(None, controls, self.draft, js=self._capture(changed=True), **QUIET)
        on_load = gr.context.Context.root_block.load
        on_load(
            None,
            [self.draft],
            None,
            js=f"(draft) => window.atelier.recall('{self.modality}', draft)",
            **QUIET,
        ).then(**settled)
        self.bridge.restore(self.restore, None, [*controls, *about, late], **DIRECT).then(**put).then(
            **settled
        )
        on_load(**watching)

    # ---- sending --------------------------------------------------------------------------------------------------

    def submit(self, request: gr.Request, jobs: list[str], *values: Any) -> list[Any]:
        """Send what the form asks for: [job ids, answer, *cleared fields]."""
        try:
            asked = self.form.request(values)
            if self.prepare:
                asked = self.prepare(asked, self.last(jobs, request))
            sent = self._send(jobs, asked, request)
        except (FieldErrors, StudioError) as error:
            return [gr.skip(), refusals.refused(self.form, error), *[gr.skip()] * len(self.clears)]
        return [sent, refusals.accepted(), *[""] * len(self.clears)]

    def again(self, jobs: list[str], event: gr.EventData, request: gr.Request) -> list[Any]:
        """The same recipe with a new seed."""
        return self._repeat(jobs, event, request, {"seed": -1})

    def retry(self, jobs: list[str], event: gr.EventData, request: gr.Request) -> list[Any]:
        """The same recipe, seed and all."""
        return self._repeat(jobs, event, request, {})

    def adopt(self, jobs: list[str] | None, event: gr.EventData, request: gr.Request) -> Any:
        """Show a job here that may have been sent from another device."""
        job = self._own(str(event._data.get("job", "")), request)
        if job is None:
            return gr.skip()
        return [*(one for one in jobs or [] if one != job.id), job.id][-KEPT:]

    def cancel(self, event: gr.EventData, request: gr.Request) -> None:
        job = self._own(str(event._data.get("job", "")), request)
        if job:
            self.studio.cancel(job.id)

    def _repeat(
        self, jobs: list[str], event: gr.EventData, request: gr.Request, change: dict[str, Any]
    ) -> list[Any]:
        job = self._own(str(event._data.get("job", "")), request)
        if job is None:
            return [gr.skip(), gr.skip()]
        try:
            sent = self._send(jobs, job.request.model_copy(update=change), request)
        except StudioError as error:
            return [gr.skip(), refusals.refused(self.form, error)]
        return [sent, refusals.accepted()]

    def _send(self, jobs: list[str] | None, asked: Any, request: gr.Request) -> list[str]:
        """The job ids of this browser after submitting; raises StudioError."""
        job = self.studio.submit(asked, owner=owner_of(request))
        # a browser's own list comes with its first answer: someone quick sends before it is there
        return [*(jobs or []), job.id][-KEPT:]

    # ---- watching -------------------------------------------------------------------------------------------------

    async def follow(self, jobs: list[str], request: gr.Request) -> AsyncIterator[list[Any]]:
        """Show this browser's jobs as they run, in the order of the line, then the newest result.

        A later call for the same page takes over, so that two never draw into one place.
        """
        ticket = self._watchers[str(request.session_hash)] = object()
        try:
            known = await asyncio.to_thread(self._known, jobs or [], request)
            line = [job.id for job in known if job.status in ("queued", "in_progress")]
            if not known:
                yield [*self.view.render(None), pieces.job_bar(None)]
            rest = line or [job.id for job in known[-1:]]
            while rest:
                first = await asyncio.to_thread(self._first, rest)
                async with aclosing(paced(self.studio.watch(first))) as updates:
                    async for update in updates:
                        if self._watchers.get(str(request.session_hash)) is not ticket:
                            return
                        waits = update.job.status == "queued"
                        if waits and await asyncio.to_thread(self._first, rest) != first:
                            break  # another was moved up before it
                        # it looks into the library
                        yield await asyncio.to_thread(self._shown, update, len(rest) - 1)
                    else:
                        rest.remove(first)
        finally:
            if self._watchers.get(str(request.session_hash)) is ticket:
                del self._watchers[str(request.session_hash)]

    def _first(self, jobs: Sequence[str]) -> str:
        """The one that runs, or will before the others; one that is over comes at once."""
        places = {standing.job_id: standing.position for standing in self.studio.line()}
        return min(jobs, key=lambda job_id: places.get(job_id, 0))

    def _shown(self, update: Any, waiting: int) -> list[Any]:
        """What the right side shows of a job."""
        lost = update.job.problem is not None and update.job.problem.kind == WorkerLost.kind
        offered = lost and any(one.id == update.job.id for one in self.studio.interrupted(update.job.owner))
        return [*self.view.render(update), pieces.job_bar(update, self.words, waiting, offered)]

    @staticmethod
    def forget() -> list[Any]:
        """[no jobs, nothing below the result]: the next one starts afresh. The library keeps what was made."""
        return [[], ""]

    def last(self, jobs: list[str], request: gr.Request) -> Any:
        """The newest job of this browser on this tab, or None."""
        return self._own(jobs[-1], request) if jobs else None

    def _known(self, jobs: Sequence[str], request: gr.Request) -> list[Any]:
        """Those of the jobs that are there and this person's."""
        return [job for job_id in jobs if (job := self._own(job_id, request))]

    def _own(self, job_id: str, request: gr.Request) -> Any:
        try:
            job = self.studio.job(job_id)
        except StudioError:
            return None
        return job if job.owner == owner_of(request) else None

    # ---- the form -------------------------------------------------------------------------------------------------

    def fill(self, chosen: str | None, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Put a recipe, or a part of one, into the form. chosen: the model that is there now."""
        recipe = dict(event._data.get("fill") or {})
        if event._data.get("whole"):
            return self._lay_out(recipe, chosen or "", request)
        wanted = recipe.get("model")
        if wanted and wanted not in {model for _, model in self.form.models()}:
            gr.Warning(f"{wanted} is not on this machine; the model chosen here stays.", duration=6)
            wanted = None
        suited = self.form.suited(recipe, chosen or "")
        if suited.get("model") != recipe.get("model"):
            wanted = str(suited["model"])
            told = f"{title_of(self.studio, chosen or '')} cannot start from a picture; {title_of(self.studio, wanted)} can."
            gr.Info(told, duration=6)
        # the seed alone is what the line about a laid out recipe offers: it stays
        return [*self.form.fill(suited), *self._about(wanted), gr.skip() if recipe.keys() == {"seed"} else ""]

    def _lay_out(self, recipe: dict[str, Any], chosen: str, request: gr.Request) -> list[Any]:
        """A whole recipe in the place of what the form held; what was not taken over is told below the button."""
        gone = [
            name for name in self.form.media if recipe.get(name) and not self._is_own(recipe[name], request)
        ]
        kept = {name: value for name, value in recipe.items() if name not in gone}
        updates, model, left_out = self.form.lay_out(kept, chosen)
        left_out += tuple(f"{name.replace('_', ' ')}: that file is not in your library" for name in gone)
        return [*updates, *self._about(model), pieces.restored(left_out, recipe.get("seed", -1) != -1)]

    def _is_own(self, asset_id: Any, request: gr.Request) -> bool:
        found = asset(self.studio, str(asset_id))
        return found is not None and found.owner == owner_of(request)

    def restore(self, event: gr.EventData) -> list[Any]:
        """What was typed before the page was closed: [*controls, *about, late]."""
        late = self.form.restore(event._data.get("draft"))
        return self._answer_late(late, str(late.values.get("model") or "") or None)

    def _answer_late(self, late: Late, model: str | None) -> list[Any]:
        """What the controls offer at once, their values by way of the page: it knows what was touched in the meantime."""
        return [*late.offers, *self._about(model), {"values": late.values, "held": late.held}]

    async def foresee(self, *values: Any) -> str:
        """What the form's request would take, as a line below the button; nothing while that cannot be told."""
        await asyncio.sleep(SETTLE_SECONDS)
        request = self.form.sketch(values)
        if request is None or self.studio.worker_state() != "ready":
            return ""
        try:
            return pieces.forecast(await asyncio.to_thread(self.studio.forecast, request, PLAN_SECONDS))
        except StudioError:
            return ""

    def offer_models(self, chosen: str | None) -> Any:
        """The models that can run by now: one may have been downloaded since the page was drawn."""
        return gr.update(choices=self.form.models(), value=chosen or self.form.default_model() or None)

    def switch_model(self, previous: str, *values: Any) -> list[Any]:
        chosen = values[self.form.names.index("model")]
        if chosen == previous:  # told twice of one choice, with the values of before
            return [*[gr.skip()] * len(values), *self._about(None), {}]
        return self._answer_late(self.form.switch_model(previous, chosen, values), chosen)

    def _about(self, model_id: str | None) -> list[Any]:
        spec = self._spec(model_id) if model_id else None
        if spec is None:
            return [gr.skip()] * 3
        return [spec.id, pieces.model_note(spec), prompts(spec)]

    def _spec(self, model_id: str) -> Any:
        return next(
            (spec for spec in self.studio.catalog.able(self.form.request_type) if spec.id == model_id), None
        )

    def _capture(self, changed: bool = False) -> str:
        """Script that gathers the controls' values as the draft. changed: a person did it, so a refusal has had its time."""
        names, told = json.dumps(self.form.names), json.dumps(changed)
        return f"(...values) => window.atelier.captured('{self.modality}', {names}, values, {told})"


def recipe_fill(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A stored recipe as what a form can take: checked when it still is a request, as it stands otherwise."""
    try:
        return dict(parse_request(dict(recipe)).model_dump(exclude_unset=True))
    except ValueError:
        return dict(recipe)
