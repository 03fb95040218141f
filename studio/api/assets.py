"""Our own library routes: search, fetch, star, tag, trash, upload. An asset belongs to who made or brought it."""

from __future__ import annotations

import dataclasses
import math
import re
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from pipelines.errors import InvalidRequest
from studio.accounts import owner_of
from studio.api.errors import ErrorRoute, respond
from studio.api.limits import BROUGHT_AT_ONCE, SHOWN_AT_ONCE
from studio.library import Asset, AssetNotFound
from studio.library.search import Filters

if TYPE_CHECKING:
    from studio.studio import Studio

# a stranger's HTML or SVG opened from here must not act in our name, nor ask anything of anybody
POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
AS_DATA = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": POLICY}
KEPT_SHORT = {**AS_DATA, "Cache-Control": "private, max-age=60"}
INERT = re.compile(r"(image/(?!svg)|audio/|video/|text/(?!html|xml))")
"""Kinds that a browser shows without running anything; the others are only saved."""
BLOCK = 1 << 20
MAX_OFFSET = 10**9


class Tags(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tags: list[Annotated[str, Field(max_length=60)]] = Field(max_length=100)


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(prefix="/api", route_class=ErrorRoute)
    library = studio.library
    brought, shown = CapacityLimiter(BROUGHT_AT_ONCE), CapacityLimiter(SHOWN_AT_ONCE)

    def own(asset_id: str, http: Request) -> Asset:
        asset = library.get(asset_id)
        if asset.owner != owner_of(http):
            raise AssetNotFound(asset_id)
        return asset

    @routes.get("/assets")
    def search(
        http: Request,
        text: str = "",
        kind: str | None = None,
        model: str = "",
        since: str | None = None,
        until: str | None = None,
        starred: bool | None = None,
        tag: str = "",
        trashed: bool = False,
        job_id: str = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 60,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    ) -> dict[str, object]:
        """Newest first, with how many there are in all; each in short, `/api/assets/{asset_id}` has the whole."""
        filters: Filters = {
            "kind": kind,
            "model": model,
            "since": _moment(since, "since"),
            "until": _moment(until, "until", its_end=True),
            "starred": starred,
            "tag": tag,
            "trashed": trashed,
            "owner": owner_of(http),
            "job_id": job_id,
        }
        found = library.browse(text, limit=limit, offset=offset, **filters)
        return {"assets": [summary_body(asset) for asset in found], "total": library.count(text, **filters)}

    @routes.get("/assets/{asset_id}")
    def look(asset_id: str, http: Request) -> dict[str, object]:
        """The asset, with what it was made from and what was made from it."""
        asset = own(asset_id, http)
        return {
            **asset_body(asset),
            "parents": [{"id": parent.id, "role": role} for parent, role in library.parents(asset_id)],
            "children": [{"id": child.id, "role": role} for child, role in library.children(asset_id)],
        }

    @routes.get("/assets/{asset_id}/file")
    @routes.get("/assets/{asset_id}/content")
    def file(asset_id: str, http: Request, download: bool = False) -> Response:
        """The file itself, with byte ranges; `download=1` to save it under its own name."""
        asset = own(asset_id, http)
        if asset.missing:
            message = (
                f"The file of this asset is missing.\nIt was {asset.file}.\nPut it back, or delete the asset."
            )
            return respond(404, message, code="file_missing")
        headers = dict(AS_DATA)
        if download or not INERT.match(asset.media_type):
            name = Path(asset.file).name
            headers["Content-Disposition"] = f"attachment; filename*=utf-8''{quote(name)}"
        kind = asset.media_type + ("; charset=utf-8" if asset.media_type.startswith("text/") else "")
        return library.serve(asset, headers, media_type=kind)

    @routes.get("/assets/{asset_id}/view")
    async def view(asset_id: str, http: Request) -> Response:
        """The file as every browser shows it: itself, or a WebP of at most 2,048 pixels a side
        where it is a TIFF or HEIC picture."""

        def look() -> Response:
            asset = own(asset_id, http)
            if asset.missing:
                raise AssetNotFound(asset_id)
            return library.serve(library.shown(asset), KEPT_SHORT)

        return await run_sync(look, limiter=shown)

    @routes.get("/assets/{asset_id}/thumbnail")
    async def thumbnail(asset_id: str, http: Request) -> Response:
        """A small WebP; a placeholder when the file is missing."""

        def look() -> Response:
            return library.serve(library.thumbnail(own(asset_id, http)), KEPT_SHORT)

        return await run_sync(look, limiter=shown)

    @routes.put("/assets/{asset_id}/star")
    def star(asset_id: str, http: Request) -> dict[str, object]:
        return asset_body(library.star(own(asset_id, http).id, True))

    @routes.delete("/assets/{asset_id}/star")
    def unstar(asset_id: str, http: Request) -> dict[str, object]:
        return asset_body(library.star(own(asset_id, http).id, False))

    @routes.put("/assets/{asset_id}/tags")
    def tag(asset_id: str, body: Tags, http: Request) -> dict[str, object]:
        """Give it exactly these tags."""
        return asset_body(library.tag(own(asset_id, http).id, body.tags))

    @routes.post("/assets/{asset_id}/trash")
    def trash(asset_id: str, http: Request) -> dict[str, object]:
        return asset_body(library.trash(own(asset_id, http).id))

    @routes.post("/assets/{asset_id}/restore")
    def restore(asset_id: str, http: Request) -> dict[str, object]:
        return asset_body(library.restore(own(asset_id, http).id))

    @routes.delete("/assets/{asset_id}", status_code=204)
    def delete(asset_id: str, http: Request) -> None:
        """For good, and only from the trash."""
        library.delete(own(asset_id, http).id)

    @routes.post("/uploads", status_code=201)
    async def upload(file: UploadFile, http: Request) -> dict[str, object]:
        """Bring a picture, sound, video or text (multipart, field `file`); its id can be used in requests."""

        def keep() -> dict[str, object]:
            with tempfile.TemporaryDirectory(prefix="atelier-upload-") as folder:
                target = Path(folder) / "upload"
                with target.open("wb") as spool:
                    while block := file.file.read(BLOCK):
                        spool.write(block)
                return asset_body(library.add_upload(target, file.filename or "upload", owner_of(http)))

        return await run_sync(keep, limiter=brought)

    return routes


def asset_body(asset: Asset) -> dict[str, object]:
    """An asset as plain JSON, with where its file and thumbnail are."""
    body = dataclasses.asdict(asset)
    del body["file"], body["owner"]
    return {
        **body,
        "tags": list(asset.tags),
        "url": f"/api/assets/{asset.id}/file",
        "thumbnail_url": f"/api/assets/{asset.id}/thumbnail",
    }


def summary_body(asset: Asset) -> dict[str, object]:
    """An asset in a list: `prompt` is how it begins, facts are the short ones, and there is no recipe."""
    body = asset_body(asset)
    del body["recipe"]
    return {**body, "prompt": asset.prompt, "seed": asset.seed}


def _moment(text: str | None, field: str, *, its_end: bool = False) -> float | None:
    """Seconds since 1970 from those, or from an ISO date or time (local when it names no zone).

    its_end: a day without a time means the end of that day, for a search that goes up to and over it.
    """
    if not text:
        return None

    def of_date(written: str) -> float:
        is_day = re.fullmatch(r"\d{4}-\d\d-\d\d|\d{4}-W\d\d-\d", written) is not None
        return (datetime.fromisoformat(written) + timedelta(days=int(its_end and is_day))).timestamp()

    for read in (float, of_date):
        try:
            moment = read(text)
        except (ValueError, OverflowError, OSError):
            continue
        if math.isfinite(moment):
            return moment
    raise InvalidRequest(
        f"{text[:100]!r} is not a date.", field=field, hint="Write 2026-03-01, or seconds since 1970."
    )
