"""What only the page's own script asks: the engine's state, and the settings inside a dropped file."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, UploadFile

from studio.api.answers import Json
from studio.api.errors import ErrorRoute
from studio.tabs.library import restored

STATES = {"starting": "Starting engine…", "ready": "Ready", "lost": "Engine lost, restarting…"}


def router(studio: Any) -> APIRouter:
    """Routes under /page; who may call them is decided for the whole application, not here."""
    routes = APIRouter(
        prefix="/page", route_class=ErrorRoute, default_response_class=Json, include_in_schema=False
    )

    @routes.get("/status")
    def status() -> dict[str, str]:
        told, state = studio.telemetry(), studio.worker_state()
        counts = told.get("queue") or {}
        running, waiting = counts.get("running", 0), counts.get("queued", 0)
        text = STATES[state]
        if state == "ready" and running + waiting:
            text = f"{running} running" + (f", {waiting} waiting" if waiting else "")
        return {"state": state, "text": text, "detail": str(told.get("device") or "")}

    @routes.post("/recipe")
    def recipe(file: UploadFile) -> Any:
        found = restored(studio, file.file, file.filename or "")
        if found is None:
            told = {
                "message": f"No settings were found in {file.filename}.",
                "hint": "Drop a file a studio has made.",
            }
            return Json({"error": told}, status_code=404)
        return found

    return routes
