"""How jobs end: written at once, or kept and written again until the database takes it, so that no job runs for ever."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import DataError, DBAPIError, ProgrammingError, TimeoutError

from pipelines.errors import Problem, WorkerLost
from studio.queue.checks import problem_of
from studio.queue.jobs import Status
from studio.queue.store import JobStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """What is to be written of a job that is over. assets: all it made; the rest as in `JobStore.finish`."""

    job_id: str
    modality: str
    status: Status
    problem: Problem | None = None
    text: str = ""
    pace: Mapping[str, float] | None = None
    assets: tuple[str, ...] | None = None


class Endings:
    """Writes ends, and remembers those that could not be written. Safe to use from several threads.

    again: queue a job again, once, when its worker or its studio was lost.
    """

    def __init__(self, store: JobStore, *, again: bool) -> None:
        self._store, self._again = store, again
        self._lock = threading.Lock()
        self._unwritten: dict[str, End] = {}

    def write(self, end: End) -> bool:
        """Write it now; False when that cannot be, and `retry` will."""
        try:
            self._put(end)
        except Exception as error:
            if _passes(error):
                log.warning(
                    "could not write that job %s is %s; trying again: %s", end.job_id, end.status, error
                )
                return self._keep(end)
            log.exception("what job %s left cannot be written; without it, then", end.job_id)
            bare = dataclasses.replace(end, status="failed", problem=problem_of(error), text="", pace=None)
            if end == dataclasses.replace(bare, problem=end.problem):
                return self._keep(end)
            return self.write(bare)
        with self._lock:
            self._unwritten.pop(end.job_id, None)
        return True

    def retry(self) -> list[End]:
        """Try those again that could not be written; the ones that now are."""
        return [end for end in self.unwritten().values() if self.write(end)]

    def unwritten(self) -> Mapping[str, End]:
        """Job id → how it ended, of those still to be written."""
        with self._lock:
            return dict(self._unwritten)

    def _put(self, end: End) -> None:
        lost = end.problem is not None and end.problem.kind == WorkerLost.kind
        if lost and self._again and self._store.start_over(end.job_id):
            return
        self._store.finish(
            end.job_id, end.status, problem=end.problem, text=end.text, pace=end.pace, assets=end.assets
        )

    def _keep(self, end: End) -> bool:
        with self._lock:
            self._unwritten[end.job_id] = end
        return False


def _passes(error: Exception) -> bool:
    """Whether it may be written later: a full disk, a database someone holds. Not when what was to be written is at fault."""
    lasts = isinstance(error, DataError | ProgrammingError)
    return isinstance(error, DBAPIError | TimeoutError) and not lasts
