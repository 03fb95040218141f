"""Which models there are, and what the device holds: /v1/models, /api/memory, /api/plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from pipelines.catalog import ModelSpec
from pipelines.messages import parse_request
from studio.api.errors import ErrorRoute
from studio.api.openapi import REQUEST_BODY
from studio.api.running import check_model, json_object

if TYPE_CHECKING:
    from studio.studio import Studio


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(route_class=ErrorRoute)

    @routes.get("/v1/models")
    def list_models() -> dict[str, Any]:
        """The models that are ready to run."""
        ready = [_entry(spec) for spec in studio.catalog.all() if spec.state == "ready"]
        return {"object": "list", "data": ready}

    @routes.get("/v1/models/{model_id:path}")
    def one_model(model_id: str) -> dict[str, Any]:
        check_model(studio, "text", model_id)
        return _entry(studio.catalog.get(model_id))

    @routes.get("/api/memory")
    def memory() -> dict[str, Any]:
        """State of worker and queue, and what the memory manager holds."""
        return studio.telemetry()

    @routes.get("/api/plan")
    @routes.post("/api/plan", openapi_extra=REQUEST_BODY)
    async def plan(http: Request) -> dict[str, Any]:
        """Whether a request would fit now, how, what would leave and how long it takes; nothing is queued.

        Fields as a query or a JSON body.
        """
        given = await json_object(http) if http.method == "POST" else dict(http.query_params)
        forecast = await run_in_threadpool(studio.forecast, parse_request(given))
        return forecast.as_json()

    return routes


def _entry(spec: ModelSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "object": "model",
        "created": 0,
        "owned_by": spec.owner,
        "title": spec.title,
        "modalities": list(spec.modalities),
        "licence": spec.licence,
    }
