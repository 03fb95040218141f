"""Two workers behind one queue: the same feeder, the same filing, the same line; only the pool holds one more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pipelines.messages import AudioRequest, Finished, Run
from studio.database import open_database
from studio.library import Library
from studio.library.folder import FolderStore
from studio.queue.feeder import Feeder
from studio.queue.standing import Places
from studio.queue.store import JobStore
from studio.queue.watchers import Watchers
from studio.settings import Settings
from studio.workers.pool import Pool
from studio.workers.station import Station
from tests.links import Made, Obedient, held


class Two:
    """A queue with two workers."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(data_dir=folder, device="cpu")
        self.engine = open_database(folder / "studio.db")
        self.store = JobStore(self.engine)
        library = Library(FolderStore(folder / "library"), self.engine, sidecars=False)
        self.pool = Pool([station(folder, name) for name in ("first", "second")])
        self.feeder = Feeder(
            self.store,
            settings.catalog(),
            library,
            Watchers(),
            self.pool,
            own=None,
            again=False,
            timer=time.monotonic,
        )

    def speak(self) -> str:
        job = self.store.add(AudioRequest(prompt="Hello.", model="espeak", seed=1), "ada")
        self.feeder.moved()
        return job.id

    def statuses(self, *jobs: str) -> list[str]:
        return [self.store.get(job).status for job in jobs]

    def worker_of(self, job_id: str) -> Made:
        return next(link for link in self.pool.links if isinstance(link, Made) and has(link, job_id))

    def close(self) -> None:
        self.feeder.close()
        self.engine.dispose()


def station(folder: Path, name: str) -> Station:
    settings = Settings(data_dir=folder, device="cpu")
    start = partial(Obedient, held)
    return Station(
        settings,
        name=name,
        timer=time.monotonic,
        warm_up=False,
        cancel_grace_seconds=10.0,
        start_worker=start,
    )


def has(worker: Made, job_id: str) -> bool:
    return any(isinstance(heard, Run) and heard.job_id == job_id for heard in worker.heard)


def wait_for(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    (tmp_path / "data").mkdir()
    two = Two(tmp_path / "data")
    two.feeder.start()
    yield two
    two.close()


def test_two_workers_run_two_jobs_of_a_modality_and_take_the_next_as_they_are_done(two: Two) -> None:
    jobs = [two.speak() for _ in range(4)]
    wait_for(lambda: two.statuses(*jobs) == ["in_progress", "in_progress", "queued", "queued"])
    assert two.worker_of(jobs[0]) is not two.worker_of(jobs[1])
    two.worker_of(jobs[1]).emit(Finished(jobs[1], "completed"))
    wait_for(lambda: two.statuses(*jobs) == ["in_progress", "completed", "in_progress", "queued"])


def test_what_a_lost_worker_had_fails_and_the_other_goes_on(two: Two) -> None:
    jobs = [two.speak() for _ in range(2)]
    wait_for(lambda: two.statuses(*jobs) == ["in_progress", "in_progress"])
    lost, kept = jobs
    two.worker_of(lost).kill()
    assert two.statuses(lost, kept) == ["failed", "in_progress"]
    two.worker_of(kept).emit(Finished(kept, "completed"))
    wait_for(lambda: two.statuses(kept) == ["completed"])
    later = two.speak()
    wait_for(lambda: two.statuses(later) == ["in_progress"])


def test_whoever_waits_begins_where_a_worker_is_free_first() -> None:
    """Two run and end in 5 and in 30 s; those that wait take 10 s each."""
    places = Places(2, [30.0, 5.0])
    assert [places.take(10.0) for _ in range(4)] == [15.0, 25.0, 35.0, 40.0]
    unknown = Places(2, [None, 5.0])
    assert [unknown.take(10.0), unknown.take(None), unknown.take(10.0)] == [15.0, None, None]
    assert Places(1, []).take(10.0) == 10.0
