"""Audio: a script spoken, or music from a description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from studio.page import frame, pieces
from studio.page.desk import Desk
from studio.page.forms import Form
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.queue.updates import Update
    from studio.studio import Studio

RESULTS = Macros("results.html")
EMPTY = pieces.empty(
    "It is quiet here",
    "Write what should be said. The words light up as they are spoken, and you can click one to jump there.",
)

REACH = 400  # characters that may be left out between two spoken words: a link, a block of code


def build(studio: Studio) -> None:
    with frame.pane("audio", "Audio"):
        form = Form(studio.catalog, "audio")
        desk = Desk(studio, form, words=pieces.SPEAKING)
        with frame.columns():
            with desk.inputs(
                "Speak", lines=5, placeholder="Good morning. Here is what happened while you slept."
            ):
                pass
            with desk.result():
                view = AudioView(studio)
    desk.wire(view)


class AudioView:
    """A player, and the words it speaks."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.outputs = [frame.html(EMPTY, elem_classes=["sheet"])]

    def render(self, update: Update | None) -> list[Markup]:
        if update is None or (update.job.is_over and not update.assets):
            return [EMPTY]
        job = update.job
        if not update.assets:
            return [RESULTS.waiting_player(job.request.prompt)]
        asset = frame.asset(self.studio, update.assets[0])
        words = asset.facts.get("words") if asset else None
        about = frame.about(self.studio, job, [asset])
        if job.is_over:
            about += RESULTS.made_actions(job, update.assets[0])
        return [RESULTS.player(update.assets[0], captions(words, job.request.prompt), about)]


def captions(words: object, prompt: str) -> Markup:
    """The script as it was written, its words with their times where the engine told them. words: text and start of each."""
    if not words or not isinstance(words, list | tuple):
        return RESULTS.script(prompt)
    shown, place = [], 0
    for word in words:
        text, at = str(word["text"]), float(word["start"])
        found = prompt.find(text, place, place + REACH + len(text))
        between = prompt[place:found] if found >= 0 else " "  # paragraphs, and what is not read aloud
        shown.append((between, text, f"{at:.3f}"))
        place = found + len(text) if found >= 0 else place
    return RESULTS.timed_script(shown, prompt[place:])
