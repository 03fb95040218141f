"""Library: everything made here, of every kind; found again, looked at, kept in order, made anew."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

import gradio as gr
from markupsafe import Markup

from pipelines.messages import KINDS, MODALITIES
from studio.library import Asset, LibraryError
from studio.page import frame, pieces
from studio.templates import Macros

if TYPE_CHECKING:
    from studio.library import Library
    from studio.library.search import Filters
    from studio.studio import Studio

SHELF = Macros("library.html")
PAGE = 48
DAY = 86_400.0
SHOWN_TEXT = 40_000  # characters of a text in the page
LONGEST_TEXT = 200_000  # characters that can be spoken from here, in parts
TIMES = {"Any time": None, "Today": DAY, "Last 7 days": 7 * DAY, "Last 30 days": 30 * DAY}
PLACES = ("Everything", "Starred", "Trash")
Family = Sequence[tuple[Asset, str]]
"""Assets, each with the role it has in another's making."""


def build(studio: Studio) -> None:
    with frame.pane("library", "Library"):
        with gr.Row(elem_classes=["filters"]):
            text = gr.Textbox(
                label="Search",
                placeholder="Words of the prompt, a tag, a seed",
                elem_id="library-search",
                min_width=280,
            )
            kind = gr.Dropdown(
                elem_classes=["pick"],
                min_width=140,
                choices=[("All kinds", ""), *[(kind.title, name) for name, kind in KINDS.items()]],
                value="",
                label="Kind",
            )
            model = gr.Dropdown(
                elem_classes=["pick"], min_width=140, choices=[("All models", "")], value="", label="Model"
            )
            when = gr.Dropdown(
                list(TIMES), elem_classes=["pick"], min_width=140, value="Any time", label="Made"
            )
            place = gr.Dropdown(
                list(PLACES),
                elem_classes=["pick"],
                min_width=140,
                value=PLACES[0],
                label="Show",
                elem_id="library-place",
            )
        with gr.Row(elem_classes=["shelf"]):
            grid = frame.html(elem_id="library-grid")
            detail = frame.html(elem_classes=["detail"], elem_id="library-detail")
    opened, shown = gr.State(""), gr.State(PAGE)
    shelf = Shelf(studio)
    bridge = frame.bridge("library")
    filters = [text, kind, model, when, place]
    state, tiles_only = [opened, shown, *filters], [grid, shown, model]
    screen = [*tiles_only, detail, opened]
    for control in filters:
        control.change(shelf.filter, state, tiles_only, trigger_mode="always_last", **frame.DIRECT)
    bridge.refresh(shelf.refresh, state, tiles_only, **frame.DIRECT)
    bridge.more(shelf.more, state, tiles_only, **frame.ASKED)
    bridge.change(shelf.change, state, screen, **frame.ASKED)
    bridge.open(shelf.open, state, screen, **frame.ASKED)


class Shelf:
    """The handlers of the tab. Each takes (opened id, how many shown, *filters) and returns what the screen shows then."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.library = studio, studio.library

    def refresh(self, request: gr.Request, opened: str, shown: int, *filters: str) -> list[object]:
        return self._grid(opened, shown, filters, request)

    def filter(self, request: gr.Request, opened: str, shown: int, *filters: str) -> list[object]:
        return self._grid(opened, PAGE, filters, request)

    def more(self, request: gr.Request, opened: str, shown: int, *filters: str) -> list[object]:
        return self._grid(opened, shown + PAGE, filters, request)

    def open(
        self, event: gr.EventData, request: gr.Request, opened: str, shown: int, *filters: str
    ) -> list[object]:
        return self._screen(frame.said(event, "asset"), shown, filters, request)

    def change(
        self, event: gr.EventData, request: gr.Request, opened: str, shown: int, *filters: str
    ) -> list[object]:
        """Star, tag, trash, restore or delete one asset, as the button says."""
        asset_id, do = frame.said(event, "asset"), frame.said(event, "do")
        try:
            asset = self._own(asset_id, request)
            if do == "star" and asset:
                self.library.star(asset_id, not asset.starred)
            elif do == "tag" and asset:
                self.library.tag(asset_id, [word.strip() for word in frame.said(event, "value").split(",")])
            elif do == "trash" and asset:
                self.library.trash(asset_id)
                gr.Info("Moved to the trash. Show “Trash” to bring it back.", duration=5)
                opened = ""
            elif do == "restore" and asset:
                self.library.restore(asset_id)
                opened = ""
            elif do == "delete" and asset:
                self.library.delete(asset_id)
                opened = ""
        except LibraryError as error:
            gr.Warning(str(error), duration=8)
        return self._screen(opened, shown, filters, request)

    def _grid(self, opened: str, shown: int, filters: Sequence[str], request: gr.Request) -> list[object]:
        """The tiles that fit the filters. What lies open is left alone: it may change while this is looked up."""
        text, kind, model, when, place = filters
        owner = frame.owner_of(request)
        reach = TIMES.get(when)
        query: Filters = {
            "kind": kind or None,
            "model": model or "",
            "since": time.time() - reach if reach else None,
            "starred": True if place == "Starred" else None,
            "trashed": place == "Trash",
            "owner": owner,
        }
        found, total = (
            self.library.browse(text or "", limit=shown, **query),
            self.library.count(text or "", **query),
        )
        names = [("All models", ""), *[(name, name) for name in self.library.models(owner)]]
        searching = bool(text or kind or model or reach or place != PLACES[0])
        return [tiles(found, total, opened, searching), shown, gr.update(choices=names)]

    def _screen(self, opened: str, shown: int, filters: Sequence[str], request: gr.Request) -> list[object]:
        """The tiles, and beside them the one asset that is open."""
        asset = self._own(opened, request)
        is_open = asset.id if asset else ""
        return [*self._grid(is_open, shown, filters, request), self._detail(asset) if asset else "", is_open]

    def _own(self, asset_id: str, request: gr.Request) -> Asset | None:
        asset = frame.asset(self.studio, asset_id) if asset_id else None
        return asset if asset and asset.owner == frame.owner_of(request) else None

    def _detail(self, asset: Asset) -> Markup:
        return detail_card(
            asset,
            content(self.library, asset),
            self.library.parents(asset.id),
            self.library.children(asset.id),
        )


def tiles(found: Sequence[Asset], total: int, opened: str, searching: bool) -> Markup:
    """The grid; thumbnails load as they come into view, with the prompt as their words."""
    if not found:
        return SHELF.nothing_fits() if searching else SHELF.no_files()
    has_more = total > len(found)
    count = f"{len(found)} of {total}" if has_more else f"{total} {'file' if total == 1 else 'files'}"
    return SHELF.tiles([(asset, ago(asset.created_at)) for asset in found], opened, count, has_more)


def detail_card(asset: Asset, media: Markup, parents: Family, children: Family) -> Markup:
    """One asset: itself, what can be done with it, its recipe, what it was made from and what was made from it."""
    return SHELF.detail(asset, media, doings(asset), parents, children, recipe_rows(asset))


def doings(asset: Asset) -> Markup:
    """Buttons for what can be done with it."""
    if asset.trashed_at is not None:
        return SHELF.doings_in_trash(asset)
    form = frame.form_for(asset.recipe)
    again = pieces.settings_buttons(form, frame.recipe_fill(asset.recipe)) if form else ""
    return SHELF.doings(asset, again)


def content(library: Library, asset: Asset) -> Markup:
    """The asset itself, in the page."""
    if asset.missing:
        return SHELF.gone(asset)
    match asset.media_type.split("/")[0]:
        case "image":
            return SHELF.picture(asset)
        case "video":
            return SHELF.film(asset)
        case "audio":
            return SHELF.sound(asset)
    text = library.text(asset, LONGEST_TEXT + 1)
    shown = text[:SHOWN_TEXT]
    more = f"These are its first {SHOWN_TEXT:,} characters; Download has all of it." if text != shown else ""
    if asset.kind == "text":
        speak = pieces.speak(text[:LONGEST_TEXT], is_whole=len(text) <= LONGEST_TEXT)
        return SHELF.written(shown, more, speak)
    return SHELF.listing(shown, more)


def recipe_rows(asset: Asset) -> list[tuple[str, str]]:
    """What it takes to make it again, the facts of the file after it."""
    shown = {
        key: value
        for key, value in asset.recipe.items()
        if key not in ("prompt", "modality", "history", "code")
    }
    facts = {key: value for key, value in asset.facts.items() if key not in shown and key != "words"}
    rows = {key: plain(value) for key, value in (shown | facts).items()} | {
        "made": day(asset.created_at),
        "file": asset.file,
    }
    return [(key.replace("_", " "), value) for key, value in rows.items() if value]


def plain(value: object) -> str:
    if value in ("", None, [], {}, ()):
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)[:400] if isinstance(value, list | dict) else str(value)


def ago(moment: float) -> str:
    """How long ago, in words."""
    passed = time.time() - moment
    for unit, seconds in (("day", DAY), ("hour", 3600), ("minute", 60)):
        if passed >= seconds:
            count = int(passed // seconds)
            return (
                f"{count} {unit}{'s' if count > 1 else ''} ago"
                if count < 30 or unit != "day"
                else day(moment)
            )
    return "just now"


def day(moment: float) -> str:
    return time.strftime("%d %b %Y, %H:%M", time.localtime(moment))


def restored(
    studio: Studio, data: bytes | IO[bytes], filename: str
) -> tuple[Mapping[str, object] | None, str]:
    """({"modality", "recipe"} of a dropped file, ready for that tab's form, or None; why there is none)."""
    found = studio.library.reader.recipe(data, filename)
    if not found.recipe:
        return None, found.reason
    if found.recipe.get("modality") not in MODALITIES:
        # other programs' metadata name no modality; all that we read of them is pictures'
        return {"modality": "image", "recipe": frame.recipe_fill(found.recipe)}, ""
    form = frame.form_for(found.recipe)
    if not form:
        return (
            None,
            f"Its settings are those of the task {found.recipe['task']!r}, which has no form on this page.",
        )
    return {"modality": form, "recipe": frame.recipe_fill(found.recipe)}, ""
