"""The line as a person may see it: /api/queue. One's own jobs in full, of someone else's only the place they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from studio.accounts import owner_of
from studio.api.errors import ErrorRoute
from studio.queue.jobs import JobSummary
from studio.queue.standing import Standing

if TYPE_CHECKING:
    from studio.studio import Studio


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(prefix="/api/queue", route_class=ErrorRoute)

    @routes.get("")
    def line(http: Request) -> dict[str, object]:
        """Who runs, who waits in the order they will run, and which of one's own jobs were interrupted and can be put back."""
        owner = owner_of(http)
        return {
            "line": [standing_body(standing, owner) for standing in studio.line(owner)],
            "interrupted": [interrupted_body(job) for job in studio.interrupted(owner)],
        }

    return routes


def standing_body(standing: Standing, owner: str) -> dict[str, object]:
    """A place in line as plain JSON; `yours` tells whose it is."""
    return {
        "id": standing.job_id,
        "yours": standing.owner == owner,
        "modality": standing.modality,
        "model": standing.model,
        "words": standing.words,
        "status": standing.status,
        "position": standing.position,
        "eta_seconds": standing.eta_seconds,
        "created_at": standing.created_at,
    }


def interrupted_body(job: JobSummary) -> dict[str, object]:
    """A job that can be put back, without its bulk."""
    return {
        "id": job.id,
        "modality": job.modality,
        "model": job.model,
        "words": job.words,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "assets": list(job.asset_ids),
    }
