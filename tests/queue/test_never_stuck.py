"""No job is ever stuck: whatever cannot be written, and whenever a worker ends, every job ends and the next of its line runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from pipelines.messages import Artifact, AudioRequest, Cancel, Finished, Produced, Run, TextRequest
from studio.queue.endings import End, Endings
from studio.queue.jobs import Job
from studio.settings import Settings
from studio.studio import Studio
from studio.workers.station import StartWorker
from tests.links import Made, Obedient, held


class Make(Protocol):
    def __call__(self, start_worker: StartWorker, *, grace: float = 10.0) -> Studio: ...


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Studios with made-up workers."""
    made: list[Studio] = []

    def make_one(start_worker: StartWorker, *, grace: float = 10.0) -> Studio:
        settings = Settings(data_dir=tmp_path / "data", device="cpu")
        made.append(Studio(settings, start_worker=start_worker, cancel_grace_seconds=grace))
        return made[-1]

    yield make_one
    for studio in made:
        studio.close()


def speak() -> AudioRequest:
    return AudioRequest(prompt="Hello.", model="espeak", seed=1)


def over(studio: Studio, job_id: str) -> Job:
    async def look() -> Job:
        async for update in studio.watch(job_id):
            job = update.job
        return job

    return asyncio.run(asyncio.wait_for(look(), 120))


def wait_for(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.01)


def writes(worker: Made, run: Run) -> None:
    """Makes a short text, as far as the studio is concerned."""
    worker.emit(Produced(run.job_id, Artifact("text", "text/plain", "txt", data=b"Hello.")))
    worker.emit(Finished(run.job_id, "completed"))


class FullAt:
    """From now on the write of that number fails, as it does on a full disk. count: the writes so far."""

    def __init__(self, studio: Studio, number: int) -> None:
        self.number, self.count = number, 0
        event.listen(studio.engine, "before_cursor_execute", self._look)

    def _look(self, connection: object, cursor: object, statement: str, *more: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self.count += 1
            if self.count == self.number:
                raise OperationalError(statement, None, Exception("database or disk is full"))


WRITES = 4
"""So many statements write something in the life of a job that makes one thing."""


@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_whichever_write_fails_the_job_ends_and_the_next_one_runs(make: Make, number: int) -> None:
    studio = make(partial(Obedient, writes))
    first, second = (studio.submit(speak(), owner=name).id for name in ("ada", "bob"))
    disk = FullAt(studio, number)
    studio.start()
    ended = over(studio, first)
    assert disk.count >= number
    assert ended.status in ("completed", "failed")
    assert (ended.problem is None) == (ended.status == "completed")
    assert over(studio, second).status == "completed"


def test_a_job_writes_no_more_often_than_the_test_above_believes(make: Make) -> None:
    studio = make(partial(Obedient, writes))
    job = studio.submit(speak())
    disk = FullAt(studio, 0)
    studio.start()
    assert over(studio, job.id).status == "completed"
    studio.close()
    assert disk.count == WRITES


def test_a_job_given_out_while_its_worker_ends_is_not_lost_in_between(make: Make) -> None:
    """The jobs of a worker that ended are being ended when a job of another line is due."""
    studio = make(partial(Made, held))
    audio, text = studio.submit(speak()), None
    finish, is_ending, go_on = studio.store.finish, threading.Event(), threading.Event()

    def slow(*told: object, **more: object) -> bool:
        is_ending.set()
        go_on.wait(60)
        return finish(*told, **more)  # type: ignore[arg-type]

    studio.store.finish = slow  # type: ignore[method-assign]
    studio.start()
    wait_for(lambda: studio.job(audio.id).status == "in_progress")
    (worker,) = studio.pool.links
    assert isinstance(worker, Made)
    wait_for(lambda: any(isinstance(heard, Run) for heard in worker.heard))
    ending = threading.Thread(target=worker.kill)
    ending.start()
    assert is_ending.wait(60)
    text = studio.submit(TextRequest(prompt="Hello.", model="starter/text"))
    assert not studio.pool.has_room("text")
    assert studio.job(text.id).status == "queued"
    go_on.set()
    ending.join()
    assert over(studio, audio.id).status == "failed"
    wait_for(lambda: studio.job(text.id).status == "in_progress")
    (successor,) = studio.pool.links
    assert isinstance(successor, Made)
    wait_for(lambda: [heard.job_id for heard in successor.heard if isinstance(heard, Run)] == [text.id])


def test_a_worker_that_goes_on_with_what_cannot_be_kept_is_ended(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for that job to stop, so nobody would wait for it either; its line would stand still for ever."""

    def never_ends(worker: Made, run: Run) -> None:
        worker.emit(Produced(run.job_id, Artifact("text", "text/plain", "txt", data=b"Hello.")))

    studio = make(partial(Obedient, never_ends), grace=0.2)

    def no_room(*told: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(studio.library, "add", no_room)
    studio.start()
    first = studio.pool.links[0]
    ended = over(studio, studio.submit(speak()).id)
    assert ended.problem is not None
    assert (ended.status, ended.problem.kind) == ("failed", "out_of_disk")
    wait_for(lambda: first not in studio.pool.links)


def test_a_full_disk_keeps_nobody_from_stopping_what_runs(make: Make) -> None:
    def stops(worker: Made, run: Run) -> None:
        wait_for(lambda: Cancel(run.job_id) in worker.heard)
        worker.emit(Finished(run.job_id, "cancelled"))

    studio = make(partial(Obedient, stops))
    studio.start()
    job = studio.submit(speak())
    wait_for(lambda: job.id in studio.feeder.running.ids())
    FullAt(studio, 1)
    studio.cancel(job.id)
    assert over(studio, job.id).status == "cancelled"


def test_an_end_the_database_can_never_take_is_written_without_its_bulk(make: Make) -> None:
    """Waiting for room would be waiting for ever."""
    studio = make(partial(Obedient, held))
    job = studio.submit(speak())
    odd: dict[str, float] = {"denoise": object()}  # type: ignore[dict-item]
    endings = Endings(studio.store, again=False)
    assert endings.write(End(job.id, "audio", "completed", pace=odd, assets=("one",)))
    ended = studio.job(job.id)
    assert (ended.status, ended.asset_ids, ended.problem is None) == ("failed", ("one",), False)
    assert not endings.unwritten()


def test_a_line_that_could_not_be_worked_out_is_worked_out_again(make: Make) -> None:
    """Whoever asked at that moment saw an error; the next one sees the line, though nothing changed meanwhile."""
    studio = make(partial(Obedient, held))
    studio.start()
    running, waiting = studio.submit(speak()), studio.submit(speak())
    wait_for(lambda: studio.position(waiting.id) == 1)
    broken = iter([True])

    def look(connection: object, cursor: object, statement: str, *more: object) -> None:
        if statement.startswith("SELECT") and "words" in statement and next(broken, False):
            raise OperationalError(statement, None, Exception("database is locked"))

    event.listen(studio.engine, "before_cursor_execute", look)
    later = studio.submit(speak())
    wait_for(lambda: later.id in studio.standings.latest())
    assert running.id in studio.standings.latest()


def test_a_job_cancelled_as_its_worker_goes_is_cancelled(make: Make) -> None:
    """It once was put back, and the next worker made what nobody wanted any more."""
    studio = make(partial(Made, writes))
    job, run = studio.submit(speak()), studio.pool.run

    def goes_first(command: Run) -> bool:
        studio.pool.run = run  # type: ignore[method-assign]
        studio.cancel(command.job_id)
        (worker,) = studio.pool.links
        worker.kill()
        return run(command)

    studio.pool.run = goes_first  # type: ignore[method-assign]
    studio.start()
    assert over(studio, job.id).status == "cancelled"
    later = studio.submit(speak())
    assert over(studio, later.id).status == "completed"
