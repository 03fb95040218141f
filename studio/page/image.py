"""Image: a prompt, pictures."""

from __future__ import annotations

from html import escape
from typing import Any

from studio.page import frame, pieces
from studio.page.forms import Form

EMPTY = pieces.empty(
    "Nothing on the easel yet",
    "Write what you would like to see and press Generate. The same seed always gives the same picture.",
)


def build(studio: Any) -> None:
    with frame.pane("image", "Image"):
        desk = frame.Desk(studio, Form(studio.catalog, "image"))
        with frame.columns():
            with desk.inputs("Generate", placeholder="A harbour at dusk, three sailing boats, flat colours"):
                pass
            with desk.result():
                view = ImageView(studio)
    desk.wire(view)


class ImageView:
    """The pictures of a job, its live preview while it runs."""

    def __init__(self, studio: Any) -> None:
        self.studio = studio
        self.outputs = [frame.html(EMPTY, elem_classes=["sheet"])]

    def render(self, update: Any) -> list[Any]:
        if update is None or (not update.job.asset_ids and update.job.is_over):
            return [EMPTY]
        request = update.job.request
        assets = [frame.asset(self.studio, asset_id) for asset_id in update.assets]
        made = [asset for asset in assets if asset]
        many = getattr(request, "num_images", 1) > 1
        tiles = [
            shot(asset, request.prompt, number) if many else picture(asset, request.prompt)
            for number, asset in enumerate(made, start=1)
        ]
        if not update.job.is_over:
            tiles.append(developing(update, request))
        told = frame.about(self.studio, update.job, assets)
        return [
            f'<div class="pictures n{min(len(tiles), 9)}" style="--ratio:{request.width / request.height:.4f}">{"".join(tiles)}</div>{told}{actions(update)}'
        ]


def picture(asset: Any, prompt: str) -> str:
    facts = asset.facts
    width, height = facts.get("width", 1), facts.get("height", 1)
    url = pieces.content_url(asset.id)
    return (
        f'<figure class="picture"><img src="{url}" alt="{escape(prompt)}" width="{width}" height="{height}"'
        f' data-act="zoom" data-asset="{asset.id}" draggable="true" tabindex="0" role="button"></figure>'
    )


def shot(asset: Any, prompt: str, number: int) -> str:
    """One picture of several, with what can be done with this one."""
    seed = asset.recipe.get("seed")
    told = f"Seed {seed}" if seed is not None else ""
    return (
        f'<div class="shot" role="group" aria-label="Picture {number}">{picture(asset, prompt)}'
        f'<div class="tools"><span class="number" title="{escape(told)}">{number}</span>{tools(asset.id, prompt, number)}</div></div>'
    )


def tools(asset_id: str, prompt: str, number: int) -> str:
    """The same doings as `actions` has for a picture alone, as drawings."""
    which = f"picture {number}"
    film = {"init_image": asset_id, "prompt": prompt}
    return (
        pieces.icon_link("download", f"Download {which}", pieces.content_url(asset_id, download=True))
        + pieces.icon_button(
            "start",
            f"Use {which} as start image",
            "send",
            to="image",
            fill={"init_image": asset_id},
        )
        + pieces.icon_button("video", f"Send {which} to Video", "send", to="video", fill=film)
        + pieces.icon_button("library", f"Open {which} in Library", "open", asset=asset_id)
    )


def developing(update: Any, request: Any) -> str:
    """The picture being made: its preview, or paper still white."""
    source = pieces.preview(update.progress.preview if update.progress else None)
    ratio = request.width / request.height
    shape = f'style="aspect-ratio:{ratio:.4f}"'
    if not source:
        return f'<figure class="picture blank" {shape}></figure>'
    return f'<figure class="picture live" {shape}><img src="{source}" alt="Preview"></figure>'


def actions(update: Any) -> str:
    if not update.assets or not update.job.is_over:
        return ""
    again = pieces.button("Again with a new seed", "again", job=update.job.id)
    if getattr(update.job.request, "num_images", 1) > 1:
        return f'<div class="actions">{again}</div>'  # each picture has its own
    first = update.assets[0]
    return (
        '<div class="actions">'
        + again
        + pieces.button("Use as start image", "send", to="image", fill={"init_image": first})
        + pieces.button(
            "Send to Video",
            "send",
            to="video",
            fill={"init_image": first, "prompt": update.job.request.prompt},
        )
        + pieces.link("Download", pieces.content_url(first, download=True), download=True)
        + pieces.button("Open in Library", "open", asset=first)
        + "</div>"
    )
