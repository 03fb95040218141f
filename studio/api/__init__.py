"""The HTTP interface: OpenAI's routes under /v1, our own jobs and assets under /api, numbers at /metrics. See docs/api.md.

A route builds a `Request`, submits it and reads `watch`, as a tab does; nothing here knows a model, a file or a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request, Response

if TYPE_CHECKING:
    from studio.studio import Studio

OURS = ("/v1", "/api", "/page")
"""Where no other application answers."""


def router(studio: Studio) -> APIRouter:
    """All routes of the API, answering errors in OpenAI's shape."""
    from studio.api import account, assets, images, jobs, language, metrics, models, queue, speech
    from studio.api.answers import Json

    routes = APIRouter(default_response_class=Json)
    for part in (models, language, images, speech, jobs, queue, assets, account, metrics):
        routes.include_router(part.router(studio))
    return routes


def install(app: FastAPI, studio: Studio) -> None:
    """The API's routes, its description at /openapi.json, and one shape for every error."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    from studio.api import openapi
    from studio.api.errors import error_response, http_error, unforeseen

    app.include_router(router(studio))
    openapi.install(app)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> Response:
        return http_error(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        return error_response(error)

    @app.exception_handler(Exception)
    def failed(_: Request, error: Exception) -> Response:
        return unforeseen(error)


def enclose(app: FastAPI) -> None:
    """After every other route and guard, before another application is mounted: unknown routes, and the door around all."""
    from starlette.routing import Route

    from studio.api.door import Door
    from studio.api.unknown import Unknown

    unknown = Unknown(app)
    for prefix in OURS:
        for path in (prefix, prefix + "/{rest:path}"):
            app.router.routes.append(Route(path, unknown, methods=None, include_in_schema=False))
    app.add_middleware(Door)
