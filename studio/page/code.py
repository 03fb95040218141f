"""Code: write, complete, explain, find bugs, fix, translate, test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import gradio as gr
from markupsafe import Markup

from pipelines.messages import CodeRequest, knobs_of
from pipelines.words.languages import language_of
from studio.page import frame, pieces
from studio.page.desk import Desk
from studio.page.forms import Form
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.queue.jobs import Job
    from studio.queue.updates import Update
    from studio.studio import Studio

RESULTS = Macros("results.html")
KNOBS = knobs_of(CodeRequest)
VERBS = {
    "write": "Write",
    "complete": "Complete",
    "explain": "Explain",
    "find_bugs": "Find bugs",
    "fix": "Fix",
    "translate": "Translate",
    "tests": "Write tests",
}
"""Task → what the button does then."""
WISHES = {
    "write": "What to do",
    "explain": "Your question (optional)",
    "fix": "What goes wrong (optional)",
    "tests": "What to test (optional)",
}
"""Task → what words are for then; the other tasks look at the code alone, and no words are sent with them."""
PROSE = ("explain", "find_bugs")
EMPTY = pieces.empty(
    "An empty file",
    "Say what to write, or paste code and choose a task: complete it, explain it, find its bugs, fix, translate or test it.",
)


def build(studio: Studio) -> None:
    form = Form(studio.catalog, "code", choices={"task": [(verb, task) for task, verb in VERBS.items()]})
    with frame.pane("code", "Code"):
        desk = Desk(studio, form, prepare=only_what_is_used)
        with frame.columns():
            with desk.inputs(VERBS["write"], prompt_first=False):
                task = form.build("task", info=None)
                form.build("language", info=None)
                form.build(
                    "prompt",
                    label=WISHES["write"],
                    info=None,
                    lines=2,
                    max_lines=8,
                    placeholder="A function that counts the vowels in a string",
                )
                form.build(
                    "code", language="python", lines=6, max_lines=14, label="Code", show_line_numbers=True
                )
                form.build("suffix", language="python", lines=3, max_lines=8, visible=False)
                form.build("target_language", label="Into", visible=False)
            with desk.result():
                view = CodeView(studio)
    desk.wire(view)
    depends = [form.components[name] for name in ("prompt", "code", "suffix", "target_language")]
    task.change(arrange, [task], [desk.generate, *depends], **frame.DIRECT)
    form.components["language"].change(highlight, [form.components["language"]], depends[1:3], **frame.DIRECT)


def only_what_is_used(request: CodeRequest, last: Job | None) -> CodeRequest:
    """The request without what its task does not look at: it may still stand in a field that is hidden now."""
    unused: dict[str, str] = {}
    if request.task not in WISHES:
        unused["prompt"] = ""
    if not KNOBS["suffix"].is_for(request.task):
        unused["suffix"] = ""
    return request.model_copy(update=unused)


def arrange(task: str) -> list[object]:
    """The button as what it does, and only the fields that task uses."""
    label = {"complete": "Code before the cursor", "write": "Code to build on (optional)"}.get(task, "Code")
    return [
        gr.update(value=VERBS.get(task, VERBS["write"])),
        gr.update(visible=task in WISHES, label=WISHES.get(task, WISHES["write"])),
        gr.update(label=label),
        gr.update(visible=KNOBS["suffix"].is_for(task)),
        gr.update(visible=KNOBS["target_language"].is_for(task)),
    ]


def colours(language: str) -> str | None:
    """What gr.Code highlights that language as; None for plain."""
    return language_of(language).editor or None


def highlight(language: str) -> list[object]:
    look = gr.update(language=colours(language))
    return [look, look]


class CodeView:
    """Code in an editor's colours, prose as prose."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.blank = frame.html(EMPTY, elem_classes=["sheet"])
        self.code = gr.Code(
            elem_id="code-result",
            elem_classes=["code-field", "code-result"],
            show_label=False,
            interactive=False,
            visible=False,
            max_lines=24,
            buttons=["copy"],
        )
        self.prose = gr.Markdown(
            elem_id="code-prose",
            elem_classes=["prose-result"],
            visible=False,
            buttons=["copy"],
            show_label=False,
        )
        self.facts = frame.html(elem_classes=["under"])
        self.outputs = [self.blank, self.code, self.prose, self.facts]

    def render(self, update: Update | None) -> list[object]:
        hidden = gr.update(visible=False)
        text = update.text or update.job.text if update else ""
        if update is None or (update.job.is_over and not text):
            return [gr.update(value=EMPTY, visible=True), hidden, hidden, ""]
        job, request, under = update.job, frame.asked(update, CodeRequest), Markup()
        if request.task in PROSE:
            if job.is_over:
                under = frame.about(self.studio, job, []) + actions(update, text, "")
            return [hidden, hidden, gr.update(value=text, visible=True), under]
        language = request.target_language if request.task == "translate" else request.language
        code = whole(request, text)
        if job.is_over:
            under = frame.about(self.studio, job, []) + actions(update, code, language)
        return [hidden, gr.update(value=code, language=colours(language), visible=True), hidden, under]


def whole(request: CodeRequest, text: str) -> str:
    """The code an answer stands for: out of its Markdown fence; for *complete*, between what was before and after."""
    if request.task == "complete":
        return request.code + text + request.suffix
    fenced = re.search(r"```[\w+#-]*\n(.*?)(?:\n```|$)", text, re.DOTALL)
    return fenced.group(1) if fenced else text


def actions(update: Update, code: str, language: str) -> Markup:
    """language: of the code; "" for prose."""
    ending = language_of(language).suffix if language else "md"
    first = update.assets[0] if update.assets else ""
    file = f"{frame.asked(update, CodeRequest).task}.{ending}"
    return RESULTS.code_actions(update.job, code, language, file, first)
