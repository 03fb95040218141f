"""Takes in what workers say of jobs: progress and words into memory, media into the library, the end into the database.

What is written is written on one thread, so a job's events stay in order. Whatever goes wrong with a write ends that job as
failed; an end that cannot be written is written again until it can (`endings.py`), so no job is ever stuck.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pipelines.errors import Problem, WorkerLost
from pipelines.messages import Finished, Piece, Produced, Progress, TextDelta
from studio.library import Asset, Library
from studio.queue.arrivals import Arrivals
from studio.queue.checks import problem_of
from studio.queue.endings import End, Endings
from studio.queue.jobs import CLOSED, Status
from studio.queue.live import Live, Running
from studio.queue.store import JobStore
from studio.queue.watchers import MODELS
from studio.workers.pool import Pool
from studio.workers.station import JobEvent

log = logging.getLogger(__name__)

DEAF = "The worker was ended because another job did not stop."


class Filing:
    """The receiver of all workers. tell: wakes who watches a job. moved: there may be something to do, or another order.

    again: queue a job again, once, when its worker or its studio was lost.
    """

    def __init__(
        self,
        store: JobStore,
        library: Library,
        running: Running,
        pool: Pool,
        *,
        again: bool,
        timer: Callable[[], float],
        tell: Callable[[str], None],
        moved: Callable[[], None],
    ) -> None:
        self._store, self._library, self._running, self._pool = store, library, running, pool
        self._timer, self._tell, self.moved = timer, tell, moved
        self.endings = Endings(store, again=again)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="filing")
        self._arrivals = Arrivals()

    def held(self) -> None:
        """What memory holds changed."""
        self._tell(MODELS)

    def close(self) -> None:
        """Write what is still to be written."""
        self._thread.shutdown()
        self.endings.retry()

    # ---- the front ----------------------------------------------------------------------------------------------------

    def told(self, event: JobEvent) -> None:
        """A worker's word about a job. Words and progress are heard at once, what has to be written in its turn."""
        match event:
            case Progress():
                self._step(event)
            case TextDelta():
                with self._running.changing(event.job_id) as live:
                    if live is None:
                        return
                    live.text += event.text
                self._tell(event.job_id)
            case Piece():  # here, so that a worker is never faster than the disk
                live = self._running.get(event.job_id)
                if live is not None and live.problem is None:
                    self._arrivals.take(event)
            case Produced() | Finished():
                self._thread.submit(self._take_in, event)

    def lost(self, job_ids: Sequence[str], how: str, *, stopped: bool) -> None:
        """A worker ended; returns when all it made is filed and its jobs are ended."""
        self._thread.submit(self._end_lost, job_ids, how, stopped).result()

    def end(self, end: End) -> None:
        """Write how a job ended, or see to it that it will be; its line stands still until then."""
        if self.endings.write(end):
            self._forget(end.job_id)

    def retry(self) -> None:
        """Try again what could not be written."""
        for end in self.endings.retry():
            self._forget(end.job_id)

    # ---- on the worker's thread ---------------------------------------------------------------------------------------

    def _step(self, event: Progress) -> None:
        with self._running.changing(event.job_id) as live:
            if live is None:
                return
            live.pace.observe(event, self._timer())
            preview = event.preview or (live.progress.preview if live.progress else None)
            live.progress = dataclasses.replace(event, preview=preview)
        self._tell(event.job_id)

    # ---- on the filing thread -----------------------------------------------------------------------------------------

    def _take_in(self, event: Produced | Finished) -> None:
        """What goes wrong on our side ends the job, never leaves it open."""
        if (live := self._running.get(event.job_id)) is not None:
            self._take(live, event)
        if isinstance(event, Finished):
            self._arrivals.drop(event.job_id)

    def _take(self, live: Live, event: Produced | Finished) -> None:
        try:
            if isinstance(event, Finished):
                self._finish(live, event)
            elif live.problem is None:  # else no use in more that cannot be kept
                self._keep(live, event)
        except Exception as error:
            log.exception("could not take in %s of job %s", type(event).__name__, event.job_id)
            self._pool.cancel(event.job_id)
            self._close(live, "failed", problem_of(error))

    def _keep(self, live: Live, produced: Produced) -> None:
        """Media into the library, then its id onto the job. The first that cannot be kept is the job's problem."""
        job_id = live.row.id
        try:
            asset = self._add(live, produced)
            self._store.add_asset(job_id, asset.id)
        except Exception as error:
            log.exception("could not keep what job %s made", job_id)
            with self._running.changing(job_id) as kept:
                if kept is not None:
                    kept.problem = problem_of(error)
            self._pool.cancel(job_id)
            return
        with self._running.changing(job_id) as kept:
            if kept is not None:
                kept.assets = (*kept.assets, asset.id)
        self._tell(job_id)

    def _add(self, live: Live, produced: Produced) -> Asset:
        artifact = produced.artifact
        recipe = artifact.recipe or live.row.request
        source = live.spec.source
        facts = {**artifact.facts, "model_revision": source.revision if source.repo else ""}
        return self._library.add(
            self._arrivals.of(produced),
            kind=artifact.kind,
            media_type=artifact.media_type,
            suffix=artifact.suffix,
            facts={key: value for key, value in facts.items() if value != ""},
            recipe=recipe.model_dump(mode="json"),
            parents=live.parents,
            owner=live.row.owner,
            job_id=live.row.id,
        )

    def _finish(self, live: Live, event: Finished) -> None:
        problem = live.problem or event.problem
        if event.status == "cancelled" and not live.is_cancelled and problem is None:
            problem = CLOSED.problem()  # nobody asked: the worker was told to stop
        self._close(live, "failed" if problem is not None else event.status, problem)

    def _end_lost(self, job_ids: Sequence[str], how: str, stopped: bool) -> None:
        for job_id in job_ids:
            self._arrivals.drop(job_id)
        lost = [live for job_id in job_ids if (live := self._running.get(job_id)) is not None]
        what = DEAF if any(live.is_cancelled for live in lost) else how
        for live in lost:
            if live.is_cancelled:
                self._close(live, "cancelled", None)
            else:
                self._close(live, "failed", CLOSED.problem() if stopped else live.problem or _lost(what))

    def _close(self, live: Live, status: Status, problem: Problem | None) -> None:
        job = live.row
        pace = self._running.took(job.id, self._timer()) if status == "completed" else None
        try:
            self.end(End(job.id, job.request.modality, status, problem, live.text, pace, live.assets))
        except Exception:
            log.exception("job %s could not be ended", job.id)
            self._running.drop(job.id)  # its row says running and it is nowhere: the feeder ends such jobs

    def _forget(self, job_id: str) -> None:
        """After the end of a job was written."""
        self._running.drop(job_id)
        self._pool.filed(job_id)
        self.moved()
        self._tell(job_id)


def _lost(how: str) -> Problem:
    hint = "Try again; a new one is starting."
    return WorkerLost("The worker was lost while it made this.", detail=how, hint=hint).problem()
