"""Watching one job: where it stands now, then again after every change, until it is over.

What an event loop asks is answered from memory; the database is read on a thread, and only when memory cannot tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from pipelines.messages import Progress
from studio.queue.feeder import TICK_SECONDS, Feeder
from studio.queue.jobs import Job
from studio.queue.store import JobStore
from studio.queue.watchers import Watchers


@dataclass(frozen=True)
class Update:
    """Where a job stands. text: all it wrote so far. position: 0 while running or over, 1 for the next in its line.

    progress: the last one, with the last preview. eta_seconds: until it ends, None when that cannot be told.
    """

    job: Job
    progress: Progress | None = None
    text: str = ""
    assets: tuple[str, ...] = ()
    position: int = 0
    eta_seconds: float | None = None


class Updates:
    """Of the jobs of one studio. is_closed: whether the studio was, so that nothing more will come."""

    def __init__(
        self, store: JobStore, feeder: Feeder, watchers: Watchers, is_closed: Callable[[], bool]
    ) -> None:
        self._store, self._feeder, self._watchers, self._is_closed = store, feeder, watchers, is_closed

    async def of(self, job_id: str) -> AsyncGenerator[Update]:
        """Each update tells the whole state, so a late watcher misses nothing and a slow one skips what is outdated.

        Raises UnknownJob.
        """
        with self._watchers.watching(job_id) as changed:
            last: Update | None = None
            while True:
                changed.clear()
                update = self._remembered(job_id, last)
                if update is None:
                    update = await asyncio.to_thread(self._looked_up, job_id)
                if update != last:
                    yield update
                last = update
                if update.job.is_over or self._is_closed():
                    return
                # what another process does is only seen by looking
                seconds = None if self._feeder.is_running else TICK_SECONDS / 4
                try:
                    # not wait_for: before Python 3.12 it forgets a cancel that comes in the same turn as the change
                    async with asyncio.timeout(seconds):
                        await changed.wait()
                except TimeoutError:
                    continue

    def _remembered(self, job_id: str, last: Update | None) -> Update | None:
        """Where the job stands as far as memory can tell: it runs here, or it waits as it did before."""
        live = self._feeder.running.get(job_id)
        if live is not None:
            eta = live.pace.eta_seconds(self._feeder.timer())
            return Update(live.job, live.progress, live.text, live.assets, 0, eta)
        standing = self._feeder.standings.latest().get(job_id) if self._feeder.is_running else None
        if last is None or last.job.status != "queued" or standing is None or standing.status != "queued":
            return None
        return Update(last.job, position=standing.position, eta_seconds=standing.eta_seconds)

    def _looked_up(self, job_id: str) -> Update:
        """The same from the database; takes a moment."""
        standing, job = self._feeder.standings.current().get(job_id), self._store.get(job_id)
        if (update := self._remembered(job_id, None)) is not None:
            return update
        if job.status != "queued" or standing is None:
            return Update(job, None, job.text, job.asset_ids)
        return Update(job, position=standing.position, eta_seconds=standing.eta_seconds)
