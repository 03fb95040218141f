"""Image: a prompt, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from pipelines.messages import ImageRequest, VideoRequest
from studio.page import frame, pieces
from studio.page.desk import Desk
from studio.page.forms import Form
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.library import Asset
    from studio.queue.updates import Update
    from studio.studio import Studio

RESULTS = Macros("results.html")
EMPTY = pieces.empty(
    "Nothing on the easel yet",
    "Write what you would like to see and press Generate. The same seed always gives the same picture.",
)


def build(studio: Studio) -> None:
    with frame.pane("image", "Image"):
        desk = Desk(studio, Form(studio.catalog, "image"))
        with frame.columns():
            with desk.inputs("Generate", placeholder="A harbour at dusk, three sailing boats, flat colours"):
                pass
            with desk.result():
                view = ImageView(studio)
    desk.wire(view)


class ImageView:
    """The pictures of a job, its live preview while it runs."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.outputs = [frame.html(EMPTY, elem_classes=["sheet"])]

    def render(self, update: Update | None) -> list[Markup]:
        if update is None or (not update.job.asset_ids and update.job.is_over):
            return [EMPTY]
        request = frame.asked(update, ImageRequest)
        assets = [frame.asset(self.studio, asset_id) for asset_id in update.assets]
        made = [asset for asset in assets if asset]
        many = request.num_images > 1
        tiles = [
            shot(asset, request.prompt, number) if many else picture(asset, request.prompt)
            for number, asset in enumerate(made, start=1)
        ]
        if not update.job.is_over:
            tiles.append(developing(update, ratio(request)))
        about = frame.about(self.studio, update.job, assets) + actions(update)
        return [RESULTS.pictures(tiles, min(len(tiles), 9), ratio(request), about)]


def ratio(request: ImageRequest | VideoRequest) -> str:
    """Width to height, for the style sheet."""
    return f"{request.width / request.height:.4f}"


def picture(asset: Asset, prompt: str) -> Markup:
    facts = asset.facts
    return RESULTS.picture(asset, prompt, facts.get("width", 1), facts.get("height", 1))


def shot(asset: Asset, prompt: str, number: int) -> Markup:
    """One picture of several, with what can be done with this one: the same as `actions` has for a picture alone, as drawings."""
    seed = asset.recipe.get("seed")
    told = f"Seed {seed}" if seed is not None else ""
    return RESULTS.shot(picture(asset, prompt), asset, prompt, number, told)


def developing(update: Update, ratio: str) -> Markup:
    """The picture being made: its preview, or paper still white."""
    source = pieces.preview(update.progress.preview if update.progress else None)
    return RESULTS.developing(source, ratio)


def actions(update: Update) -> Markup:
    """What can be done with what was made; nothing before."""
    if not update.assets or not update.job.is_over:
        return Markup()
    is_alone = frame.asked(update, ImageRequest).num_images == 1  # each picture of several has its own
    return RESULTS.picture_actions(update.job, update.assets[0], is_alone)
