"""Who runs and who waits, as people see it: worked out once per change, on a thread, and handed to all who look.

The order of a long line takes time to work out, so no watcher does that for itself, and never on an event loop.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from heapq import heapify, heapreplace
from itertools import chain, zip_longest
from math import inf

from sqlalchemy import Row

from studio.queue.affinity import Cost
from studio.queue.jobs import Status
from studio.queue.pace import seconds_for
from studio.queue.store import JobStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """A job that runs or waits. words: the start of its prompt. position: 0 while it runs, 1 for the next of its line.

    eta_seconds: until it ends, None when that cannot be told. A job of someone else has no id, owner, model or words.
    """

    job_id: str
    owner: str
    modality: str
    model: str
    words: str
    status: Status
    position: int
    eta_seconds: float | None
    created_at: float

    @cached_property
    def someone_elses(self) -> Standing:
        """The same without what is theirs to know."""
        return dataclasses.replace(self, job_id="", owner="", model="", words="")


class Standings:
    """The line as it stands. seconds_left: of a running job, None when that cannot be told. tell: wakes who watches a job.

    at_once: so many jobs of one modality run at a time, for the pool has so many workers.
    Between `start` and `close` a thread works it out after every `changed`; before and after, `current` does it each time it is
    asked, since then another process runs the jobs.
    """

    def __init__(
        self,
        store: JobStore,
        cost: Cost,
        seconds_left: Callable[[str], float | None],
        tell: Callable[[str], None],
        at_once: int = 1,
    ) -> None:
        self._store, self._cost, self._seconds_left, self._tell = store, cost, seconds_left, tell
        self._at_once = at_once
        self._working = threading.Lock()
        self._stale = threading.Event()
        self._latest: Mapping[str, Standing] = {}
        self._thread: threading.Thread | None = None
        self._stamp: object = None

    def start(self) -> None:
        self._stale.set()
        self._thread = threading.Thread(target=self._work_until_closed, name="standings", daemon=True)
        self._thread.start()

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stale.set()
            thread.join()

    def changed(self) -> None:
        """Somebody came, left, started or moved; returns at once."""
        self._stale.set()

    def look_around(self) -> None:
        """See whether another process changed the queue."""
        stamp = self._store.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self.changed()

    def latest(self) -> Mapping[str, Standing]:
        """Job id → how it stood when that was last worked out; never waits, so an event loop may ask."""
        return self._latest

    def current(self) -> Mapping[str, Standing]:
        """How things stand now, running jobs first, then as they will run; works it out when something changed."""
        with self._working:
            is_due = self._stale.is_set() or self._thread is None
            changed = self._work_out_anew() if is_due else []
            latest = self._latest
        for job_id in changed:
            self._tell(job_id)
        return latest

    def _work_out_anew(self) -> list[str]:
        """The jobs that stand otherwise now; what stands as it did stays the same object, so what was made of it holds."""
        self._stale.clear()
        try:
            found = self._work_out()
        except Exception:  # a database that cannot be read just now: the next look around tries again
            self._stamp = None
            raise
        before = self._latest
        self._latest = {
            job_id: before[job_id] if before.get(job_id) == standing else standing
            for job_id, standing in found.items()
        }
        return [job_id for job_id in {*before, *found} if before.get(job_id) is not self._latest.get(job_id)]

    def _work_until_closed(self) -> None:
        while self._stale.wait() and self._thread is not None:
            try:
                self.current()
            except Exception:
                log.exception("the line could not be worked out")

    def _work_out(self) -> dict[str, Standing]:
        rows = {row.id: row for row in self._store.active()}
        running = [row for row in rows.values() if row.status == "in_progress"]
        left = {row.id: self._seconds_left(row.id) for row in running}
        stands = {row.id: _standing(row, 0, left[row.id]) for row in running}
        modalities = dict.fromkeys(row.modality for row in rows.values() if row.status == "queued")
        lines = {modality: self._store.line(modality, self._cost) for modality in modalities}
        needs = self._times({(row.model, row.modality) for row in rows.values()})
        waiting = {}
        for modality, line in lines.items():
            places = Places(self._at_once, [left[row.id] for row in running if row.modality == modality])
            # one that came between two looks has no row yet; the next look sees it
            for position, row in ((place, rows[one]) for place, one in enumerate(line, 1) if one in rows):
                waiting[row.id] = _standing(row, position, places.take(needs(row.model, modality, row.work)))
        in_turn = chain.from_iterable(zip_longest(*lines.values()))
        return stands | {job_id: waiting[job_id] for job_id in in_turn if job_id in waiting}

    def _times(self, kinds: Iterable[tuple[str, str]]) -> Callable[[str, str, float | None], float | None]:
        """(model, modality, how much work) → seconds; many wait for the same, so each is told once. kinds: (model, modality)."""
        paces = {kind: self._store.paces(*kind) for kind in kinds}
        return cache(lambda model, modality, work: seconds_for(work, paces[model, modality]))


class Places:
    """When the places where jobs of one modality run become free, as far as that can be told."""

    def __init__(self, at_once: int, left: Sequence[float | None]) -> None:
        self._free = [inf if seconds is None else seconds for seconds in left]
        self._free += [0.0] * (at_once - len(left))
        heapify(self._free)

    def take(self, seconds: float | None) -> float | None:
        """When the next job in line ends, if it takes that long; None when that cannot be told."""
        ends = self._free[0] + (inf if seconds is None else seconds)
        heapreplace(self._free, ends)
        return None if ends == inf else ends


def _standing(row: Row[tuple[object, ...]], position: int, eta_seconds: float | None) -> Standing:
    status: Status = "queued" if position else "in_progress"
    shown = (row.id, row.owner, row.modality, row.model, row.words, status)
    return Standing(*shown, position, eta_seconds, row.created_at)


def as_seen_by(owner: str | None, standings: Sequence[Standing]) -> list[Standing]:
    """The line for that person: of someone else's jobs only where they stand. None sees everything."""
    return [one if owner in (None, one.owner) else one.someone_elses for one in standings]
