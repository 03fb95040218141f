"""What only the page's own script asks: the engine's state, and the settings inside a dropped file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response, UploadFile
from fastapi.encoders import jsonable_encoder

from studio.accounts import owner_of
from studio.api.answers import Json
from studio.api.errors import ErrorRoute
from studio.api.limits import BROUGHT_AT_ONCE
from studio.api.running import event_stream
from studio.page import queue
from studio.page.library import restored

if TYPE_CHECKING:
    from studio.studio import Studio


def router(studio: Studio) -> APIRouter:
    """Routes under /page; who may call them is decided for the whole application, not here."""
    routes = APIRouter(
        prefix="/page", route_class=ErrorRoute, default_response_class=Json, include_in_schema=False
    )
    dropped = CapacityLimiter(BROUGHT_AT_ONCE)

    @routes.get("/status")
    def status(http: Request) -> dict[str, str]:
        told = queue.state(studio, owner_of(http))
        return {name: told[name] for name in ("state", "text", "detail")}

    @routes.get("/events")
    async def events(http: Request) -> Response:
        """How engine and queue stand, now and whenever that changes."""
        return event_stream(queue.events(studio, owner_of(http)))

    @routes.post("/recipe")
    async def recipe(file: UploadFile) -> Response:
        found, why = await run_sync(restored, studio, file.file, file.filename or "", limiter=dropped)
        if found is None:
            told = {
                "message": f"No settings were found in {file.filename}.",
                "detail": why,
                "hint": "Drop a picture, clip or sound as a studio made it; what messengers send on has lost its settings.",
            }
            return Json({"error": told}, status_code=404)
        return Json(jsonable_encoder(found))

    return routes
