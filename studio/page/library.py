"""Library: everything made here, of every kind; found again, looked at, kept in order, made anew."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from html import escape
from typing import IO, Any

import gradio as gr

from pipelines.messages import MODALITIES, REQUESTS
from studio.library import LibraryError
from studio.page import frame, pieces

PAGE = 48
DAY = 86_400.0
SHOWN_TEXT = 40_000  # characters of a text in the page
LONGEST_TEXT = 200_000  # characters that can be spoken from here, in parts
TIMES = {"Any time": None, "Today": DAY, "Last 7 days": 7 * DAY, "Last 30 days": 30 * DAY}
PLACES = ("Everything", "Starred", "Trash")
STAR = '<svg viewBox="0 0 24 24" fill="currentColor"><path d="m12 3 2.700 5.800 6.300.800-4.600 4.400 1.200 6.300L12 17.200l-5.600 3.100 1.200-6.300L3 9.600l6.300-.800z"/></svg>'


def build(studio: Any) -> None:
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
                choices=[("All kinds", ""), *[(name.capitalize(), name) for name in MODALITIES]],
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

    def __init__(self, studio: Any) -> None:
        self.studio, self.library = studio, studio.library

    def refresh(self, request: gr.Request, opened: str, shown: int, *filters: Any) -> list[Any]:
        return self._grid(opened, shown, filters, request)

    def filter(self, request: gr.Request, opened: str, shown: int, *filters: Any) -> list[Any]:
        return self._grid(opened, PAGE, filters, request)

    def more(self, request: gr.Request, opened: str, shown: int, *filters: Any) -> list[Any]:
        return self._grid(opened, shown + PAGE, filters, request)

    def open(
        self, event: gr.EventData, request: gr.Request, opened: str, shown: int, *filters: Any
    ) -> list[Any]:
        return self._screen(str(event._data.get("asset", "")), shown, filters, request)

    def change(
        self, event: gr.EventData, request: gr.Request, opened: str, shown: int, *filters: Any
    ) -> list[Any]:
        """Star, tag, trash, restore or delete one asset, as the button says."""
        asset_id, do = str(event._data.get("asset", "")), event._data.get("do")
        try:
            asset = self._own(asset_id, request)
            if do == "star" and asset:
                self.library.star(asset_id, not asset.starred)
            elif do == "tag" and asset:
                self.library.tag(
                    asset_id, [word.strip() for word in str(event._data.get("value", "")).split(",")]
                )
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

    def _grid(self, opened: str, shown: int, filters: Any, request: gr.Request) -> list[Any]:
        """The tiles that fit the filters. What lies open is left alone: it may change while this is looked up."""
        text, kind, model, when, place = filters
        owner = frame.owner_of(request)
        reach = TIMES.get(when)
        query = {
            "text": text or "",
            "kind": kind or None,
            "model": model or "",
            "since": time.time() - reach if reach else None,
            "starred": True if place == "Starred" else None,
            "trashed": place == "Trash",
            "owner": owner,
        }
        found, total = self.library.browse(**query, limit=shown), self.library.count(**query)
        names = [("All models", ""), *[(name, name) for name in self.library.models(owner)]]
        searching = bool(text or kind or model or reach or place != PLACES[0])
        return [tiles(found, total, opened, searching), shown, gr.update(choices=names)]

    def _screen(self, opened: str, shown: int, filters: Any, request: gr.Request) -> list[Any]:
        """The tiles, and beside them the one asset that is open."""
        asset = self._own(opened, request)
        is_open = asset.id if asset else ""
        return [*self._grid(is_open, shown, filters, request), self._detail(asset) if asset else "", is_open]

    def _own(self, asset_id: str, request: gr.Request) -> Any:
        asset = frame.asset(self.studio, asset_id) if asset_id else None
        return asset if asset and asset.owner == frame.owner_of(request) else None

    def _detail(self, asset: Any) -> str:
        return detail_card(
            asset,
            content(self.library, asset),
            self.library.parents(asset.id),
            self.library.children(asset.id),
        )


def tiles(found: list[Any], total: int, opened: str, searching: bool) -> str:
    """The grid; thumbnails load as they come into view, with the prompt as their words."""
    if not found and searching:
        return pieces.empty("Nothing here", "No file fits. Try fewer words, or another kind, model or time.")
    restore = (
        '<label class="chip drop-note"><input type="file" data-restore>Restore settings from a file…</label>'
    )
    if not found:
        return pieces.empty(
            "Your shelf is empty",
            "Everything made on any tab is kept here with its recipe. Drop a file made elsewhere to get its settings back.",
            restore,
        )
    more = pieces.button("Show more", "more") if total > len(found) else ""
    count = f"{len(found)} of {total}" if more else f"{total} {'file' if total == 1 else 'files'}"
    return (
        f'<div class="grid">{"".join(tile(asset, opened) for asset in found)}</div>'
        f'<div class="shelf-foot"><span>{count}</span>{more}{restore}</div>'
    )


def tile(asset: Any, opened: str) -> str:
    words = escape(asset.prompt or asset.title)
    star = f'<span class="mark" title="Starred">{STAR}</span>' if asset.starred else ""
    return (
        f'<button type="button" class="tile" data-act="open" data-asset="{asset.id}" data-kind="{escape(asset.kind)}"'
        f' aria-pressed="{"true" if asset.id == opened else "false"}"><img class="thumb" loading="lazy" decoding="async"'
        f' src="{pieces.thumbnail_url(asset.id)}" alt="{words}" draggable="true" data-asset="{asset.id}">{star}'
        f'<span class="name">{escape(asset.title)}</span><span class="sub">{escape(asset.kind.capitalize())}, {ago(asset.created_at)}</span></button>'
    )


def detail_card(
    asset: Any, media: str, parents: list[tuple[Any, str]], children: list[tuple[Any, str]]
) -> str:
    """One asset: itself, what can be done with it, its recipe, what it was made from and what was made from it."""
    star = pieces.button("Starred" if asset.starred else "Star", "change", do="star", asset=asset.id)
    close = '<button type="button" class="icon-button" aria-label="Close" data-act="open" data-asset=""><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"><path d="M6 6l12 12M18 6 6 18"/></svg></button>'
    tags = escape(", ".join(asset.tags))
    return (
        f'<aside class="detail-card" aria-label="Details"><div class="row">{star}{close}</div><div class="media">{media}</div>'
        f'<p class="prompt">{escape(asset.prompt or asset.title)}</p><div class="actions">{doings(asset)}</div>'
        f'<input class="tags" data-act="change" data-do="tag" data-asset="{asset.id}" value="{tags}"'
        f' placeholder="Tags, separated by commas" aria-label="Tags">'
        f"{kin('Made from', parents)}{kin('Used in', children)}<h3>Recipe</h3>{recipe_list(asset)}</aside>"
    )


def doings(asset: Any) -> str:
    if asset.trashed_at is not None:
        return pieces.button("Restore", "change", do="restore", asset=asset.id) + pieces.button(
            "Delete for good", "change", "chip danger", do="delete", asset=asset.id
        )
    buttons = []
    modality = asset.recipe.get("modality")
    if modality in REQUESTS:
        buttons.append(pieces.settings_buttons(modality, frame.recipe_fill(asset.recipe)))
    if asset.kind == "image":
        buttons.append(pieces.button("Start image", "send", to="image", fill={"init_image": asset.id}))
        first = {"init_image": asset.id, "prompt": asset.prompt}
        buttons.append(pieces.button("To Video", "send", to="video", fill=first))
    buttons.append(pieces.link("Download", pieces.content_url(asset.id, download=True), download=True))
    buttons.append(pieces.button("Trash", "change", do="trash", asset=asset.id))
    return "".join(buttons)


def content(library: Any, asset: Any) -> str:
    """The asset itself, in the page."""
    url, words = pieces.content_url(asset.id), escape(asset.prompt or asset.title)
    if asset.missing:
        return f'<img src="{pieces.thumbnail_url(asset.id)}" alt="The file is no longer there">'
    match asset.media_type.split("/")[0]:
        case "image":
            return f'<img src="{pieces.view_url(asset.id)}" alt="{words}" data-act="zoom" tabindex="0">'
        case "video":
            return f'<video src="{url}" controls loop playsinline aria-label="{words}"></video>'
        case "audio":
            return f'<audio src="{url}" controls preload="metadata"></audio>'
    written = library.text(asset, LONGEST_TEXT + 1)
    shown = written[:SHOWN_TEXT]
    more = (
        pieces.note(f"These are its first {SHOWN_TEXT:,} characters; Download has all of it.")
        if written != shown
        else ""
    )
    if asset.kind == "text":
        speak = pieces.speak(written[:LONGEST_TEXT], is_whole=len(written) <= LONGEST_TEXT)
        return f'<div class="written">{escape(shown)}</div>{more}<div class="actions">{speak}</div>'
    return f"<pre>{escape(shown)}</pre>{more}"


def recipe_list(asset: Any) -> str:
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
    cells = "".join(
        f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(value)}</dd>"
        for key, value in rows.items()
        if value
    )
    return f'<dl class="recipe">{cells}</dl>'


def plain(value: Any) -> str:
    if value in ("", None, [], {}, ()):
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)[:400] if isinstance(value, list | dict) else str(value)


def kin(title: str, family: list[tuple[Any, str]]) -> str:
    if not family:
        return ""
    shown = "".join(
        f'<button type="button" data-act="open" data-asset="{asset.id}" data-kind="{escape(asset.kind)}" title="{escape(role.replace("_", " "))}">'
        f'<img loading="lazy" src="{pieces.thumbnail_url(asset.id)}" alt="{escape(asset.title)}"></button>'
        for asset, role in family
    )
    return f'<h3>{title}</h3><div class="kin">{shown}</div>'


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


def restored(studio: Any, data: bytes | IO[bytes], filename: str) -> tuple[Mapping[str, Any] | None, str]:
    """({"modality", "recipe"} of a dropped file, ready for that tab's form, or None; why there is none)."""
    found = studio.library.reader.recipe(data, filename)
    if not found.recipe:
        return None, found.reason
    modality = found.recipe.get("modality")
    if modality not in REQUESTS:
        modality = "image"  # other programs' metadata name no modality; all that we read of them is pictures'
    return {"modality": modality, "recipe": frame.recipe_fill(found.recipe)}, ""
