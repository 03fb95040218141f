"""A tab for making something: inputs left, result right, job bar below.

A `Desk` joins a form, the Studio and a view. Its handlers only submit and watch (`sending.py`, `watching.py`, `filling.py`): jobs
live in the Studio, so a reloaded page finds them again by the ids the browser remembered, together with what was typed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr

from pipelines.messages import BaseRequest
from studio.page import pieces
from studio.page.filling import Filling
from studio.page.forms import Form
from studio.page.frame import ASKED, DIRECT, QUIET, Options, View, answer_line, bridge, html, prompts
from studio.page.sending import Sending
from studio.page.watching import Watching

if TYPE_CHECKING:
    from studio.studio import Studio

SECRET = "atelier"  # BrowserState scrambles with it; fixed, so that drafts survive a restart of the studio


class Desk:
    """One modality's tab, once its parts are built. Build in this order: `inputs`, `result`, then `wire`.

    prepare: takes a request just before it is sent and the job shown now, and returns what is sent (a chat adds its history).
    clears: fields emptied after sending. words: stage → what it is called on this tab.
    """

    def __init__(
        self,
        studio: Studio,
        form: Form,
        prepare: Callable[..., BaseRequest] | None = None,
        clears: Sequence[str] = (),
        words: Mapping[str, str] = pieces.STAGES,
    ) -> None:
        self.studio, self.form, self.modality = studio, form, form.task
        self.words = words
        self.sending, self.filling = Sending(studio, form, prepare, clears), Filling(studio, form)

    @contextmanager
    def inputs(self, action: str, **prompt: object) -> Iterator[None]:
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
            self.examples = html(prompts(self.form.spec(self.form.default_model())), elem_classes=["maybe"])
            self.form.build("model", info=None)
            self.note = html(pieces.model_note(self.form.spec(self.form.default_model())))
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

    def wire(self, view: View, clearing: Sequence[Callable[..., Any]] = ()) -> None:
        """Join the parts: sending, watching, remembering, and what the page's buttons ask.

        clearing: events of the view by which someone begins afresh.
        """
        following = Watching(self.studio, view, self.sending, self.words)
        self.bridge = bridge(self.modality)
        self.jobs = gr.BrowserState([], storage_key=f"atelier-jobs-{self.modality}", secret=SECRET)
        self.draft = gr.BrowserState({}, storage_key=f"atelier-draft-{self.modality}", secret=SECRET)
        self.shown_model = gr.State(self.form.default_model())
        form, controls = self.form, self.form.inputs
        watching: Options = {
            "fn": following.follow,
            "inputs": [self.jobs],
            "outputs": [*view.outputs, self.bar],
            **ASKED,  # a second job is followed while the first one still is
        }
        planning: Options = {
            "fn": self.filling.foresee,
            "inputs": controls,
            "outputs": [self.forecast],
            "preprocess": False,
            **DIRECT,
            "trigger_mode": "always_last",
        }
        # only the tab someone looks at asks what its request would take
        settled: Options = {
            "fn": None,
            "js": f"() => window.atelier.settled('{self.modality}')",
            **QUIET,
        }
        cleared = [form.components[name] for name in self.sending.clears]
        sent = [self.jobs, self.refusal, *cleared]

        sending = f"(...values) => window.atelier.sent('{self.modality}', values)"
        self.generate.click(
            self.sending.submit, [self.jobs, *controls], sent, js=sending, preprocess=False, **ASKED
        ).success(None, controls, self.draft, js=self._capture(), **QUIET).success(**watching).then(**settled)
        for event, handler in (
            (self.bridge.again, self.sending.again),
            (self.bridge.retry, self.sending.retry),
        ):
            event(handler, [self.jobs], [self.jobs, self.refused_again], **ASKED).success(**watching).then(
                **settled
            )
        self.bridge.cancel(self.sending.cancel, None, None, **ASKED)
        self.bridge.watch(self.sending.adopt, [self.jobs], [self.jobs], **ASKED).success(**watching)
        model = form.components["model"]
        self.bridge.refresh(self.filling.offer_models, [model], [model], preprocess=False, **DIRECT).then(
            **settled
        )
        self.bridge.plan(**planning)
        gr.on([component.input for component in form.weighing], **planning)
        for event in (self.bridge.clear, *clearing):
            event(self.sending.forget, None, [self.jobs], **ASKED).success(**watching)

        about = [self.shown_model, self.note, self.examples]
        late = gr.JSON(visible=False)
        put: Options = {
            "fn": None,
            "inputs": [late, *controls],
            "outputs": controls,
            "js": f"(late, ...now) => window.atelier.put('{self.modality}', {json.dumps(form.names)}, late, now)",
            **QUIET,
        }
        self.bridge.fill(self.filling.fill, [model], [*controls, *about, self.told], **ASKED).then(
            None, controls, self.draft, js=self._capture(changed=True), **QUIET
        ).then(**settled)
        model.input(
            self.filling.switch_model,
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
        self.bridge.restore(self.filling.restore, None, [*controls, *about, late], **DIRECT).then(**put).then(
            **settled
        )
        on_load(**watching)

    def _capture(self, changed: bool = False) -> str:
        """Script that gathers the controls' values as the draft. changed: a person did it, so a refusal has had its time."""
        names, told = json.dumps(self.form.names), json.dumps(changed)
        return f"(...values) => window.atelier.captured('{self.modality}', {names}, values, {told})"
