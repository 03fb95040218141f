"""Which models there are, and what the device holds: /v1/models, /api/models, /api/memory, /api/plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from pipelines.catalog import ModelSpec
from pipelines.errors import InvalidRequest
from pipelines.messages import parse_request
from pipelines.messages.spec import cleaned
from studio.accounts import owner_of
from studio.accounts.rights import require
from studio.api.errors import ErrorRoute
from studio.api.openapi import REQUEST_BODY
from studio.api.running import check_model, json_object

if TYPE_CHECKING:
    from studio.studio import Studio

LONGEST_PATH = 4096
ADDING: dict[str, object] = {
    "requestBody": {
        "content": {
            "application/json": {"schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
        }
    }
}


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(route_class=ErrorRoute)

    @routes.get("/v1/models")
    def list_models() -> dict[str, object]:
        """The models that are ready to run."""
        ready = [_entry(spec) for spec in studio.catalog.all() if spec.state == "ready"]
        return {"object": "list", "data": ready}

    @routes.get("/v1/models/{model_id:path}")
    def one_model(model_id: str) -> dict[str, object]:
        check_model(studio, "text", model_id)
        return _entry(studio.catalog.get(model_id))

    @routes.get("/api/models")
    def whole_list() -> dict[str, object]:
        """All models, also those to download and those that cannot be used, with the reason and what to do about it."""
        return _listing(studio)

    @routes.post("/api/models", openapi_extra=ADDING)
    async def add(http: Request) -> dict[str, object]:
        """Use a folder or file of models where it lies, or, without a path, look at all folders again."""
        given = await json_object(http)
        return await run_in_threadpool(_change, studio, owner_of(http), given)

    @routes.delete("/api/models")
    def stop_listing(http: Request, path: str) -> dict[str, object]:
        """Stop listing a folder that was added; its files stay."""
        require(studio.settings, owner_of(http), "change_models")
        if not studio.catalog.forget(_path(path)):
            raise InvalidRequest(
                f"{path[:300]} was not added here.",
                field="path",
                detail=f"Added are {', '.join(map(cleaned, map(str, studio.catalog.added()))) or 'none'}.",
                hint="Give the path as it was added.",
            )
        return _listing(studio)

    @routes.delete("/api/models/{model_id:path}")
    def remove(http: Request, model_id: str) -> dict[str, object]:
        """Delete a downloaded model from the hub's cache."""
        require(studio.settings, owner_of(http), "change_models")
        check_model(studio, "text", model_id)
        return {"id": model_id, "freed_bytes": studio.catalog.remove(model_id)}

    @routes.get("/api/memory")
    def memory() -> dict[str, object]:
        """State of worker and queue, and what the memory manager holds."""
        return {**studio.telemetry()}

    @routes.get("/api/plan")
    @routes.post("/api/plan", openapi_extra=REQUEST_BODY)
    async def plan(http: Request) -> dict[str, object]:
        """Whether a request would fit now, how, what would leave and how long it takes; nothing is queued.

        Fields as a query or a JSON body.
        """
        given = await json_object(http) if http.method == "POST" else dict(http.query_params)
        forecast = await run_in_threadpool(lambda: studio.forecast(parse_request(given)))
        return forecast.as_json()

    return routes


def _change(studio: Studio, owner: str, given: dict[str, object]) -> dict[str, object]:
    require(studio.settings, owner, "change_models")
    if unknown := given.keys() - {"path"}:
        raise InvalidRequest(
            f"There is no field {sorted(unknown)[0][:100]!r} here.", hint="Send a path, or nothing."
        )
    if "path" not in given:
        studio.catalog.refresh()
        return _listing(studio)
    return {"models": [_told(spec) for spec in studio.catalog.add(_path(given["path"]))]}


def _path(text: object) -> Path:
    if not isinstance(text, str) or not text.strip() or "\0" in text or len(text) > LONGEST_PATH:
        raise InvalidRequest(
            "The path is none.", field="path", hint=f"Send a text of 1 to {LONGEST_PATH:,} characters."
        )
    return Path(text)


def _listing(studio: Studio) -> dict[str, object]:
    return {
        "models": [_told(spec) for spec in studio.catalog.all()],
        "notes": list(studio.catalog.notes()),
        "folders": [cleaned(str(path)) for path in studio.catalog.added()],
    }


def _told(spec: ModelSpec) -> dict[str, object]:
    """A model as the Models page tells of it."""
    return {
        "id": spec.id,
        "title": spec.title,
        "modalities": list(spec.modalities),
        "state": spec.state,
        "problem": spec.problem,
        "remedy": spec.remedy,
        "licence": spec.licence,
        "restriction": spec.restriction,
        "weight_bytes": spec.weight_bytes,
        "memory_bytes": spec.memory_bytes,
        "defaults": spec.defaults,
        "limits": spec.limits,
    }


def _entry(spec: ModelSpec) -> dict[str, object]:
    return {
        "id": spec.id,
        "object": "model",
        "created": 0,
        "owned_by": spec.owner,
        "title": spec.title,
        "modalities": list(spec.modalities),
        "licence": spec.licence,
    }
