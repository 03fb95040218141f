"""Our own job routes: submit any request, look, watch as server-sent events, cancel. A job belongs to who submitted it."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from pipelines.errors import InvalidRequest
from pipelines.messages import MODALITIES, Progress, parse_request
from studio.accounts import owner_of
from studio.api.errors import ErrorRoute
from studio.api.openapi import REQUEST_BODY
from studio.api.running import check_model, event, event_stream, json_object, submit
from studio.queue.jobs import Job, JobSummary, UnknownJob

if TYPE_CHECKING:
    from studio.studio import Studio


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(prefix="/api/jobs", route_class=ErrorRoute)

    def own(job_id: str, http: Request) -> Job:
        job = studio.job(job_id)
        if job.owner != owner_of(http):
            raise UnknownJob(job_id)
        return job

    @routes.post("", status_code=202, openapi_extra=REQUEST_BODY)
    async def create(http: Request) -> dict[str, object]:
        """Queue a request: its fields as JSON, with `modality` to tell which kind it is."""
        given = await json_object(http)
        if given.get("modality") not in MODALITIES:
            raise InvalidRequest(
                "The request does not say what to make.",
                field="modality",
                hint=f"Send a JSON object with a modality: {', '.join(MODALITIES)}.",
            )
        request = await run_in_threadpool(parse_request, given)
        await run_in_threadpool(check_model, studio, request.modality, request.model)
        job = await submit(studio, request, http)
        return await run_in_threadpool(job_body, studio, job)

    @routes.get("")
    def listed(
        http: Request, active: bool = False, limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> dict[str, object]:
        """Newest first, each in short; `/api/jobs/{job_id}` has the whole."""
        found = studio.summaries(owner_of(http), active_only=active, limit=limit)
        places = {standing.job_id: standing.position for standing in studio.line(owner_of(http))}
        return {"jobs": [summary_body(job, places.get(job.id, 0)) for job in found]}

    @routes.get("/{job_id}")
    def look(job_id: str, http: Request) -> dict[str, object]:
        return job_body(studio, own(job_id, http))

    @routes.get("/{job_id}/request")
    def request(job_id: str, http: Request) -> dict[str, object]:
        """The request alone, ready to be sent to `/api/jobs` again."""
        return request_body(own(job_id, http))

    @routes.delete("/{job_id}")
    @routes.post("/{job_id}/cancel")
    def cancel(job_id: str, http: Request) -> dict[str, object]:
        """Ask it to stop; does nothing when it is over."""
        own(job_id, http)
        studio.cancel(job_id)
        return job_body(studio, studio.job(job_id))

    @routes.post("/{job_id}/move-up")
    def move_up(job_id: str, http: Request) -> dict[str, object]:
        """Before one's own other waiting jobs; does nothing when it waits no more."""
        studio.move_up(job_id, owner_of(http))
        return job_body(studio, own(job_id, http))

    @routes.post("/{job_id}/put-back")
    def put_back(job_id: str, http: Request) -> dict[str, object]:
        """Queue again a job that a crash or a stop ended."""
        own(job_id, http)
        return job_body(studio, studio.put_back(job_id))

    @routes.post("/{job_id}/let-be")
    def let_be(job_id: str, http: Request) -> dict[str, object]:
        """Leave an interrupted job as it ended, so that it is offered no more."""
        own(job_id, http)
        studio.let_be(job_id)
        return job_body(studio, own(job_id, http))

    @routes.get("/{job_id}/events")
    async def events(job_id: str, http: Request) -> Response:
        """Server-sent events: first where the job stands, then every change, `done` last. Leaving does not cancel it."""
        await run_in_threadpool(own, job_id, http)
        return event_stream(job_events(studio, job_id))

    return routes


async def job_events(studio: Studio, job_id: str) -> AsyncIterator[str]:
    """`status`, `progress`, `text`, `asset` as they change, then `done` with the whole job."""
    status: dict[str, object] = {}
    progress: Progress | None = None
    sent, assets = 0, 0
    async for update in studio.watch(job_id):
        now: dict[str, object] = {
            "status": update.job.status,
            "position": update.position,
            "eta_seconds": update.eta_seconds,
        }
        if now != status:
            status = now
            yield event(status, "status")
        if update.progress is not None and update.progress != progress:
            progress = update.progress
            told = {"stage": progress.stage, "step": progress.step, "total": progress.total}
            if progress.preview:
                told["preview"] = _data_url(progress.preview)
            yield event(told, "progress")
        if len(update.text) > sent:
            yield event({"delta": update.text[sent:]}, "text")
            sent = len(update.text)
        for asset_id in update.assets[assets:]:
            yield event({"id": asset_id, "url": f"/api/assets/{asset_id}/file"}, "asset")
        assets = len(update.assets)
        if update.job.is_over:
            yield event(job_body(studio, update.job), "done")


def summary_body(job: JobSummary, position: int) -> dict[str, object]:
    """A job in a list; `words` and `text` are beginnings."""
    return {
        "id": job.id,
        "status": job.status,
        "position": position,
        "modality": job.modality,
        "model": job.model,
        "words": job.words,
        "text": job.text,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "assets": list(job.asset_ids),
        "problem": dataclasses.asdict(job.problem) if job.problem else None,
        "url": f"/api/jobs/{job.id}",
    }


def request_body(job: Job) -> dict[str, object]:
    # an old row may hold what today's types do not expect; it is shown as it is
    found: dict[str, object] = job.request.model_dump(mode="json", warnings=False)
    return found


def job_body(studio: Studio, job: Job) -> dict[str, object]:
    """A job as plain JSON."""
    return {
        "id": job.id,
        "status": job.status,
        "position": studio.position(job.id) if job.status == "queued" else 0,
        "request": request_body(job),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "text": job.text,
        "assets": list(job.asset_ids),
        "problem": dataclasses.asdict(job.problem) if job.problem else None,
    }


def _data_url(picture: bytes) -> str:
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
