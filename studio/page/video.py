"""Video: prompts with times, a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from pipelines.messages import VideoRequest
from studio.page import frame, image, pieces
from studio.page.desk import Desk
from studio.page.forms import Form
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.queue.updates import Update
    from studio.studio import Studio

RESULTS = Macros("results.html")
EMPTY = pieces.empty(
    "The screen is dark",
    "One line is one moment: write a few, and the clip travels from each to the next. Start a line with 0:02 to place it.",
)


def build(studio: Studio) -> None:
    with frame.pane("video", "Video"):
        desk = Desk(studio, Form(studio.catalog, "video"))
        with frame.columns():
            with desk.inputs("Generate", placeholder="A meadow at dawn\n0:02 The same meadow at night"):
                pass
            with desk.result():
                view = VideoView(studio)
    desk.wire(view)


class VideoView:
    """The clip of a job, playing in a loop; keyframes as they come while it runs."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.outputs = [frame.html(EMPTY, elem_classes=["sheet"])]

    def render(self, update: Update | None) -> list[Markup]:
        if update is None or (update.job.is_over and not update.assets):
            return [EMPTY]
        job = update.job
        ratio = image.ratio(frame.asked(update, VideoRequest))
        if not update.assets:
            return [RESULTS.pictures([image.developing(update, ratio)], 1, ratio, "")]
        asset = frame.asset(self.studio, update.assets[0])
        is_film = asset is not None and asset.media_type.startswith("video/")
        about = frame.about(self.studio, job, [asset])
        if job.is_over:
            about += actions(update)
        return [RESULTS.screen(update.assets[0], is_film, job.request.prompt, ratio, about)]


def actions(update: Update) -> Markup:
    return RESULTS.made_actions(update.job, update.assets[0])
