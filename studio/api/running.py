"""From a request to its result over HTTP: submit, wait or stream, and cancel when the client goes away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from pipelines.errors import InvalidRequest, Problem
from pipelines.messages import REQUESTS, BaseRequest, Modality
from studio.accounts import owner_of
from studio.api.answers import as_json
from studio.api.errors import JobFailed, UnknownModel
from studio.library import Asset
from studio.queue.jobs import Job

if TYPE_CHECKING:
    from studio.queue.updates import Update
    from studio.studio import Studio

CANCELLED = Problem("cancelled", "The job was cancelled.")


def build(studio: Studio, modality: Modality, model: str, values: dict[str, object]) -> BaseRequest:
    """A request of that modality from the values that were given; raises UnknownModel, pydantic.ValidationError."""
    check_model(studio, modality, model)
    given = {name: value for name, value in values.items() if value is not None}
    return REQUESTS[modality].model_validate({**given, "model": model})


def knobs(modality: Modality, extra: dict[str, object] | None) -> dict[str, object]:
    """Those of a client's extra fields that are knobs of ours, by the names we give them."""
    fields = REQUESTS[modality].model_fields
    return {name: value for name, value in (extra or {}).items() if name in fields and name != "modality"}


def check_model(studio: Studio, modality: Modality, model: str) -> None:
    """Raise UnknownModel, naming those there are, for a name the catalogue does not have."""
    if not model or any(spec.id == model for spec in studio.catalog.all()):
        return
    ready = [spec.id for spec in studio.catalog.all(modality) if spec.state == "ready"]
    raise UnknownModel(
        f"There is no model called {model[:100]!r}.",
        detail=f"Ready for {modality}: {', '.join(ready[:12]) or 'none'}.",
        hint="Use one of these, or leave the model empty for the first of them.",
    )


async def json_object(http: Request) -> dict[str, object]:
    """The body as a JSON object; raises InvalidRequest when it is none."""
    try:
        given = await http.json()
    except ValueError as error:
        raise InvalidRequest(
            "The body is not JSON.", detail=str(error)[:200], hint="Send a JSON object."
        ) from None
    if not isinstance(given, dict):
        raise InvalidRequest(
            "The body is not a JSON object.", hint='Send something like {"modality": "image"}.'
        )
    return given


async def submit(studio: Studio, request: BaseRequest, http: Request) -> Job:
    return await run_in_threadpool(studio.submit, request, owner_of(http))


async def submit_built(
    studio: Studio, http: Request, modality: Modality, model: str, values: dict[str, object]
) -> Job:
    """Build the request and submit it; raises what `build` and `Studio.submit` raise."""
    return await submit(studio, await run_in_threadpool(build, studio, modality, model, values), http)


async def finish(studio: Studio, job: Job, http: Request) -> tuple[Job, list[Asset]]:
    """Wait for the job; raises JobFailed unless it completed. A client that hangs up cancels it."""

    async def hung_up() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    async def over() -> Job:
        async for update in studio.watch(job.id):
            job_now = update.job
        return job_now

    waiting, leaving = asyncio.ensure_future(over()), asyncio.ensure_future(hung_up())
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            await run_in_threadpool(studio.cancel, job.id)
            raise JobFailed(CANCELLED)
        done = waiting.result()
    finally:
        for task in (waiting, leaving):
            task.cancel()
    if done.status != "completed":
        raise JobFailed(done.problem or CANCELLED)
    return done, await run_in_threadpool(assets_of, studio, done)


def assets_of(studio: Studio, job: Job) -> list[Asset]:
    """What the job made."""
    return [studio.library.get(asset_id) for asset_id in job.asset_ids]


async def follow(studio: Studio, job: Job) -> AsyncIterator[Update]:
    """The job's updates for a stream that is the only one to want it: when it ends early, the job is cancelled."""
    is_over = False
    updates = studio.watch(job.id)
    try:
        async for update in updates:
            is_over = update.job.is_over
            yield update
    finally:
        if not is_over:  # on a thread that nobody waits for: here the request may be cancelled already
            asyncio.get_running_loop().run_in_executor(None, studio.cancel, job.id)
        with contextlib.suppress(RuntimeError):
            await updates.aclose()


async def text_deltas(studio: Studio, job: Job) -> AsyncIterator[str | Job]:
    """The new pieces of text as they come, then the job as it ended."""
    sent = 0
    async for update in follow(studio, job):
        if len(update.text) > sent:
            yield update.text[sent:]
            sent = len(update.text)
        if update.job.is_over:
            yield update.job


def event_stream(events: AsyncIterator[str]) -> StreamingResponse:
    """Server-sent events that no proxy holds back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def event(data: object, name: str = "") -> str:
    """One server-sent event; JSON never has a line break of its own."""
    text = data if isinstance(data, str) else as_json(data)
    return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
