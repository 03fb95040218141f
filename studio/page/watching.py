"""A tab follows this browser's jobs: the one that runs or comes next, then the newest result, at a pace a page can draw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

import gradio as gr

from pipelines.errors import WorkerLost
from studio.page import pieces
from studio.page.frame import Answer, View
from studio.page.sending import Sending

if TYPE_CHECKING:
    from studio.queue.jobs import Job
    from studio.queue.updates import Update
    from studio.studio import Studio

T = TypeVar("T")


class Watching:
    """What one tab shows, of the jobs it sent. words: stage → what it is called on this tab."""

    def __init__(self, studio: Studio, view: View, sending: Sending, words: Mapping[str, str]) -> None:
        self.studio, self.view, self.sending, self.words = studio, view, sending, words
        self._watchers: dict[str, object] = {}

    async def follow(self, jobs: list[str], request: gr.Request) -> AsyncIterator[list[object]]:
        """Show this browser's jobs as they run, in the order of the line, then the newest result.

        A later call for the same page takes over, so that two never draw into one place.
        """
        ticket = self._watchers[str(request.session_hash)] = object()
        try:
            known = await asyncio.to_thread(self._known, jobs or [], request)
            line = [job.id for job in known if job.status in ("queued", "in_progress")]
            if not known:
                yield [*self.view.render(None), pieces.job_bar(None)]
            rest = line or [job.id for job in known[-1:]]
            while rest:
                first = await asyncio.to_thread(self._first, rest)
                async with aclosing(paced(self.studio.watch(first))) as updates:
                    async for update in updates:
                        if self._watchers.get(str(request.session_hash)) is not ticket:
                            return
                        waits = update.job.status == "queued"
                        if waits and await asyncio.to_thread(self._first, rest) != first:
                            break  # another was moved up before it
                        # it looks into the library
                        yield await asyncio.to_thread(self._shown, update, len(rest) - 1)
                    else:
                        rest.remove(first)
        finally:
            if self._watchers.get(str(request.session_hash)) is ticket:
                del self._watchers[str(request.session_hash)]

    def _first(self, jobs: Sequence[str]) -> str:
        """The one that runs, or will before the others; one that is over comes at once."""
        places = {standing.job_id: standing.position for standing in self.studio.line()}
        return min(jobs, key=lambda job_id: places.get(job_id, 0))

    def _shown(self, update: Update, waiting: int) -> Answer:
        """What the right side shows of a job."""
        lost = update.job.problem is not None and update.job.problem.kind == WorkerLost.kind
        offered = lost and any(one.id == update.job.id for one in self.studio.interrupted(update.job.owner))
        return [*self.view.render(update), pieces.job_bar(update, self.words, waiting, offered)]

    def _known(self, jobs: Sequence[str], request: gr.Request) -> list[Job]:
        """Those of the jobs that are there, this person's and of this tab."""
        return [job for job_id in jobs if (job := self.sending.shown(job_id, request))]


async def paced(updates: AsyncIterator[T], seconds: float = 0.1) -> AsyncGenerator[T, None]:
    """The newest of a stream, at most once in that time; the last one always comes through."""
    newest: list[T] = []
    arrived = asyncio.Event()

    async def collect() -> None:
        try:
            async for update in updates:
                newest[:] = [update]
                arrived.set()
        finally:
            arrived.set()

    collector = asyncio.ensure_future(collect())
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            if newest:
                yield newest.pop()
            elif collector.done():
                break
            if collector.done():
                arrived.set()
            else:
                await asyncio.wait({collector}, timeout=seconds)
        await collector
    finally:
        collector.cancel()
