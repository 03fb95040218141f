"""The HTTP interface: OpenAI's routes under /v1, our own jobs and assets under /api, numbers at /metrics. See docs/api.md.

A route builds a `Request`, submits it and reads `watch`, as a tab does; nothing here knows a model, a file or a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

if TYPE_CHECKING:
    from studio.studio import Studio


def router(studio: Studio) -> APIRouter:
    """All routes of the API, answering errors in OpenAI's shape."""
    from studio.api import assets, images, jobs, language, metrics, models, queue, speech

    routes = APIRouter()
    for part in (models, language, images, speech, jobs, queue, assets, metrics):
        routes.include_router(part.router(studio))
    return routes
