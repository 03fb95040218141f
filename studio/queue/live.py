"""The jobs that run here, from the moment they are given to a worker until their end is written; a restart may forget them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.catalog import ModelSpec
from pipelines.errors import Problem
from pipelines.messages import Progress
from studio.queue.jobs import Job
from studio.queue.pace import Pace


@dataclass
class Live:
    """A running job: what is known beyond its row. problem: found on our side while the worker went on."""

    row: Job
    spec: ModelSpec
    pace: Pace
    parents: tuple[tuple[str, str], ...] = ()
    progress: Progress | None = None
    text: str = ""
    assets: tuple[str, ...] = ()
    is_cancelled: bool = False
    problem: Problem | None = None

    @property
    def job(self) -> Job:
        """The job as it is now."""
        return dataclasses.replace(self.row, text=self.text, asset_ids=self.assets)


class Running:
    """The live jobs by id; any thread may ask and change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Live] = {}

    def add(self, live: Live) -> None:
        with self._lock:
            self._jobs[live.row.id] = live

    def drop(self, job_id: str) -> Live | None:
        """Forget it; how it was, now nobody else's, None when it did not run here."""
        with self._lock:
            return self._jobs.pop(job_id, None)

    def get(self, job_id: str) -> Live | None:
        """As it is now: a copy whose fields stay as they are. Its `pace` goes on; `seconds_left` and `took` ask that."""
        with self._lock:
            live = self._jobs.get(job_id)
            return dataclasses.replace(live) if live is not None else None

    @contextmanager
    def changing(self, job_id: str) -> Iterator[Live | None]:
        """The job itself, nobody else's meanwhile; None when it does not run here."""
        with self._lock:
            yield self._jobs.get(job_id)

    def ids(self) -> set[str]:
        with self._lock:
            return set(self._jobs)

    def seconds_left(self, job_id: str, now: float) -> float | None:
        """Until it ends; None when that cannot be told."""
        with self._lock:
            live = self._jobs.get(job_id)
            return live.pace.eta_seconds(now) if live is not None else None

    def took(self, job_id: str, now: float) -> dict[str, float] | None:
        """Seconds by stage, when it ends now; None when it does not run here."""
        with self._lock:
            live = self._jobs.get(job_id)
            return live.pace.seconds_by_stage(now) if live is not None else None
