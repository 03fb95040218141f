"""Video: prompts with times, a clip."""

from __future__ import annotations

from html import escape
from typing import Any

from studio.page import frame, image, pieces
from studio.page.forms import Form

EMPTY = pieces.empty(
    "The screen is dark",
    "One line is one moment: write a few, and the clip travels from each to the next. Start a line with 0:02 to place it.",
)


def build(studio: Any) -> None:
    with frame.pane("video", "Video"):
        desk = frame.Desk(studio, Form(studio.catalog, "video"))
        with frame.columns():
            with desk.inputs("Generate", placeholder="A meadow at dawn\n0:02 The same meadow at night"):
                pass
            with desk.result():
                view = VideoView(studio)
    desk.wire(view)


class VideoView:
    """The clip of a job, playing in a loop; keyframes as they come while it runs."""

    def __init__(self, studio: Any) -> None:
        self.studio = studio
        self.outputs = [frame.html(EMPTY, elem_classes=["sheet"])]

    def render(self, update: Any) -> list[Any]:
        job = update.job if update else None
        if job is None or (job.is_over and not update.assets):
            return [EMPTY]
        if not update.assets:
            return [
                f'<div class="pictures n1" style="--ratio:{job.request.width / job.request.height:.4f}">{image.developing(update, job.request)}</div>'
            ]
        asset = frame.asset(self.studio, update.assets[0])
        url, kind = pieces.content_url(update.assets[0]), asset.media_type if asset else ""
        alt = escape(job.request.prompt)
        if kind.startswith("video/"):
            shown = f'<video src="{url}" controls loop autoplay muted playsinline aria-label="{alt}"></video>'
        else:
            shown = f'<img src="{url}" alt="{alt}">'
        told = frame.about(self.studio, job, [asset])
        return [
            f'<div class="screen" style="--ratio:{job.request.width / job.request.height:.4f}">{shown}</div>{told}{actions(update) if job.is_over else ""}'
        ]


def actions(update: Any) -> str:
    first = update.assets[0]
    return (
        '<div class="actions">'
        + pieces.button("Again with a new seed", "again", job=update.job.id)
        + pieces.link("Download", pieces.content_url(first, download=True), download=True)
        + pieces.button("Open in Library", "open", asset=first)
        + "</div>"
    )
