"""Audio: a script spoken, or music from a description."""

from __future__ import annotations

from html import escape
from typing import Any

from studio.page import frame, pieces
from studio.page.forms import Form

EMPTY = pieces.empty(
    "It is quiet here",
    "Write what should be said. The words light up as they are spoken, and you can click one to jump there.",
)

REACH = 400  # characters that may be left out between two spoken words: a link, a block of code


def build(studio: Any) -> None:
    with frame.pane("audio", "Audio"):
        form = Form(studio.catalog, "audio")
        desk = frame.Desk(studio, form, words=pieces.SPEAKING)
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

    def __init__(self, studio: Any) -> None:
        self.studio = studio
        self.outputs = [frame.html(EMPTY, elem_classes=["sheet"])]

    def render(self, update: Any) -> list[Any]:
        job = update.job if update else None
        if job is None or (job.is_over and not update.assets):
            return [EMPTY]
        if not update.assets:
            return [f'<div class="player waiting"><p class="script">{escape(job.request.prompt)}</p></div>']
        asset = frame.asset(self.studio, update.assets[0])
        url = pieces.content_url(update.assets[0])
        words = asset.facts.get("words") if asset else None
        told = frame.about(self.studio, job, [asset])
        return [
            f'<div class="player"><audio src="{url}" controls preload="metadata"></audio>'
            f"{captions(words, job.request.prompt)}</div>{told}{actions(update) if job.is_over else ''}"
        ]


def captions(words: Any, prompt: str) -> str:
    """The script as it was written, its words with their times where the engine told them."""
    timed = [word for word in map(_timed, words or []) if word]
    if not timed:
        return f'<p class="script">{escape(prompt)}</p>'
    shown, place = "", 0
    for text, at in timed:
        found = prompt.find(text, place, place + REACH + len(text))
        between = prompt[place:found] if found >= 0 else " "  # paragraphs, and what is not read aloud
        shown += f'{escape(between)}<span class="word" data-at="{at:.3f}">{escape(text)}</span>'
        place = found + len(text) if found >= 0 else place
    return f'<p class="script timed" tabindex="0">{shown}{escape(prompt[place:])}</p>'


def _timed(word: Any) -> tuple[str, float] | None:
    """(text, start in seconds) of one entry of the facts' `words`."""
    if isinstance(word, dict):
        text = word.get("word") or word.get("text")
        return (str(text), float(word.get("start", 0.0))) if text else None
    return (str(word[0]), float(word[1]))


def actions(update: Any) -> str:
    first = update.assets[0]
    return (
        '<div class="actions">'
        + pieces.button("Again with a new seed", "again", job=update.job.id)
        + pieces.link("Download", pieces.content_url(first, download=True), download=True)
        + pieces.button("Open in Library", "open", asset=first)
        + "</div>"
    )
