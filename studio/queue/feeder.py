"""Feeds the workers: claims what waits when there is room for it, and tells them what comes next.

Who works is the pool's (`pool.py`), what comes back the filing's (`filing.py`). A thread of its own looks whenever something
changed, and every second for what another process wrote into the queue.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from pipelines.catalog import Catalog, ModelSpec
from pipelines.errors import StudioError, WorkerLost
from pipelines.messages import BaseRequest, Run
from studio.library import Library, LibraryError
from studio.queue.checks import find_inputs, problem_of, read_input
from studio.queue.endings import End
from studio.queue.filing import Filing
from studio.queue.jobs import Job
from studio.queue.live import Live, Running
from studio.queue.pace import Pace
from studio.queue.standing import Standings
from studio.queue.store import JobStore
from studio.queue.watchers import Watchers
from studio.workers.pool import Pool

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""How often to look for what another process wrote into the queue."""
HINTED = 3
"""So many jobs of each line are announced to the workers."""
LOST_SIGHT = WorkerLost(
    "The studio lost sight of this job.",
    detail="It was taken out of the queue, and something went wrong before it was begun.",
    hint="Try again.",
)


class Feeder:
    """Feeds the pool from the queue. own: when not None, the ids of the only jobs to run. timer: seconds that only grow.

    again: queue a job again, once, when its worker or its studio was lost.
    """

    def __init__(
        self,
        store: JobStore,
        catalog: Catalog,
        library: Library,
        watchers: Watchers,
        pool: Pool,
        *,
        own: list[str] | None,
        again: bool,
        timer: Callable[[], float],
    ) -> None:
        self.store, self.catalog, self.library, self.watchers = store, catalog, library, watchers
        self.pool, self.own, self.timer, self._again = pool, own, timer, again
        self.running = Running()
        self.standings = Standings(store, self.cost, self.seconds_left, watchers.tell, pool.at_once)
        self.filing = Filing(
            store,
            library,
            self.running,
            pool,
            again=again,
            timer=timer,
            tell=watchers.tell,
            moved=self.moved,
        )
        self.is_running = False
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._feed_until_closed, name="feeder", daemon=True)

    # ---- the front ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers and feed them; close what a studio that is gone left running. Returns at once."""
        self.is_running = True
        self.pool.start(self.filing)
        try:
            for job_id in self.store.recover(again=self._again):
                self.store.keep_assets(job_id, self.library.made_by(job_id))
                self.watchers.tell(job_id)
        except SQLAlchemyError:
            log.exception("what was left running cannot be closed yet; it will be")  # `_end_orphans` does
        self.standings.start()
        self._thread.start()

    def close(self) -> None:
        """Stop the workers; running jobs end, waiting ones stay in the queue."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self.pool.close()
        self.filing.close()
        self.standings.close()

    def moved(self) -> None:
        """Somebody came, left or moved, or a worker did: there may be something to do. Returns at once."""
        self.standings.changed()
        self._wake.set()

    def cancel(self, job_id: str) -> bool:
        """Have a running job stopped; False when it does not run here."""
        with self.running.changing(job_id) as live:
            if live is None:
                return False
            live.is_cancelled = True
        self.pool.cancel(job_id)
        return True

    def cost(self, model: str) -> float:
        """Seconds until that model could work; nothing for one that is gone, whose jobs say so when their turn comes."""
        try:
            return self.pool.seconds(self.catalog.get(model))
        except (StudioError, OSError):  # a folder of models may not be readable
            return 0.0

    def seconds_left(self, job_id: str) -> float | None:
        """Until a job that runs here ends; None when that cannot be told."""
        return self.running.seconds_left(job_id, self.timer())

    # ---- on its thread ----------------------------------------------------------------------------------------------

    def _feed_until_closed(self) -> None:
        while not self._closing:
            try:
                self._look()
            except Exception:
                log.exception("the queue stumbled and goes on")
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()

    def _look(self) -> None:
        self.pool.look_after()
        self.standings.look_around()
        for job_id in self.store.cancel_asked():
            self.cancel(job_id)
        self.filing.retry()
        self._end_orphans()
        self._feed()
        self._tell_what_comes()

    def _feed(self) -> None:
        for modality in self.store.waiting():
            while self._may_begin(modality):
                job = self.store.claim(modality, self.own, self.cost)
                if job is None:
                    break
                self._begin(job)
                self.standings.changed()

    def _may_begin(self, modality: str) -> bool:
        """Whether a worker has room; while an end of that line cannot be written, it stands still."""
        stands_still = any(end.modality == modality for end in self.filing.endings.unwritten().values())
        return self.pool.has_room(modality) and not stands_still

    def _begin(self, job: Job) -> None:
        """Hand a claimed job to a worker, or close it with the reason why that cannot be."""
        try:
            is_taken = self._hand_over(job)
        except Exception as error:
            if not isinstance(error, StudioError | LibraryError | OSError):
                log.exception("job %s cannot be begun", job.id)
            self.running.drop(job.id)
            self.filing.end(End(job.id, job.request.modality, "failed", problem_of(error)))
            return
        if is_taken:
            self.watchers.tell(job.id)
            return
        live = self.running.drop(job.id)  # the worker went since the job was claimed
        if live is not None and live.is_cancelled:  # `cancel` said yes, and only that live job knew of it
            self.filing.end(End(job.id, job.request.modality, "cancelled"))
        else:
            self.store.unclaim(job.id)

    def _hand_over(self, job: Job) -> bool:
        """Whether a worker took it."""
        spec = self.catalog.spec_for(job.request)
        inputs = find_inputs(self.library, job.request, job.owner)
        media = {asset.id: read_input(self.library, asset) for asset in inputs.values()}
        parents = tuple((asset.id, role) for role, asset in inputs.items())
        pace = Pace(job.request, self.store.paces(job.request.model, job.request.modality))
        self.running.add(Live(job, spec, pace, parents))
        is_taken = self.pool.run(Run(job.id, job.request, spec, media))
        live = self.running.get(job.id)
        if live is not None and live.is_cancelled:  # meanwhile, when no worker had it yet
            self.pool.cancel(job.id)
        return is_taken

    def _tell_what_comes(self) -> None:
        """So that the workers keep what is wanted soon and fetch it early."""
        line = self.standings.current().values()
        soon = tuple(one.job_id for one in line if one.status == "queued" and one.position <= HINTED)
        self.pool.expect(soon, lambda: self._requests(soon))

    def _requests(self, job_ids: Sequence[str]) -> list[tuple[BaseRequest, ModelSpec]]:
        pairs = []
        for job_id in job_ids:
            request = self.store.get(job_id).request
            with contextlib.suppress(StudioError):  # the model went away; its job says so when its turn comes
                pairs.append((request, self.catalog.spec_for(request)))
        return pairs

    def _end_orphans(self) -> None:
        """End jobs that are marked as running and are nowhere: whatever stumbled, nobody waits for ever."""
        # before the rows are read: one that ends in between was here
        here = {*self.running.ids(), *self.filing.endings.unwritten()}
        for job_id, modality in self.store.running().items():
            if job_id not in here:
                log.warning("job %s was lost sight of", job_id)
                self.filing.end(End(job_id, modality, "failed", LOST_SIGHT.problem()))
