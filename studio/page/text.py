"""Text: a chat. The conversation is the newest job's own request, its history and its answer; nothing else is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr
from markupsafe import Markup

from pipelines.messages import ChatMessage, TextRequest
from pipelines.words.texts import PROMPT_CHARS, parts
from studio.page import frame, pieces
from studio.page.desk import Desk
from studio.page.forms import Form
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.queue.jobs import Job
    from studio.queue.updates import Update
    from studio.studio import Studio

RESULTS = Macros("results.html")
EMPTY = pieces.empty(
    "A blank page",
    "Ask for an e-mail, an outline, a slogan, the opening of a story. Each answer remembers what was said before it.",
)


def build(studio: Studio) -> None:
    with frame.pane("text", "Text"):
        desk = Desk(
            studio,
            Form(studio.catalog, "text"),
            prepare=with_history,
            clears=["prompt"],
        )
        with frame.columns():
            with desk.inputs(
                "Send", label="Message", placeholder="Write a short e-mail that moves Friday's meeting"
            ):
                pass
            with desk.result():
                view = TextView(studio)
    desk.wire(view, clearing=[view.chat.clear])


def with_history(request: TextRequest, last: Job | None) -> TextRequest:
    """The request with the conversation so far: what the last job was told, and what it answered."""
    if last is None or not last.text or not isinstance(last.request, TextRequest):
        return request
    turns = (
        *last.request.history,
        # not checked here: a conversation that has grown too long is told of when it is submitted
        ChatMessage.model_construct(role="user", content=last.request.prompt),
        ChatMessage.model_construct(role="assistant", content=last.text),
    )
    return request.model_copy(update={"history": turns})


class TextView:
    """The conversation, and what can be done with its last answer."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.chat = gr.Chatbot(
            elem_id="chat",
            elem_classes=["chat"],
            show_label=False,
            container=False,
            layout="bubble",
            autoscroll=False,  # desk.js follows the newest words, and lets go when someone scrolls up
            buttons=["copy"],
            placeholder=EMPTY,
            feedback_options=None,
        )
        frame.html(RESULTS.jump(), elem_classes=["chat-jump"])
        self.facts = frame.html(elem_classes=["under"])
        self.outputs = [self.chat, self.facts]

    def render(self, update: Update | None) -> list[object]:
        if update is None:
            return [[], ""]
        job = update.job
        turns = [
            {"role": turn.role, "content": turn.content} for turn in frame.asked(update, TextRequest).history
        ]
        turns.append({"role": "user", "content": job.request.prompt})
        text = update.text or job.text
        if text:
            turns.append({"role": "assistant", "content": text})
        return [turns, actions(self.studio, update, text) if job.is_over else ""]


def actions(studio: Studio, update: Update, text: str) -> Markup:
    return RESULTS.chat_actions(
        update.job,
        frame.about(studio, update.job, []),
        text,
        pieces.speak(text),
        parts(text, PROMPT_CHARS)[0] if text else "",
        update.assets[0] if update.assets else "",
    )
