"""Several workers behind one front: the queue does not see how many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalog import ModelSpec, Source
from pipelines.errors import WorkerLost
from pipelines.messages import (
    AudioRequest,
    BaseRequest,
    Cancel,
    Finished,
    Hint,
    Plan,
    Planned,
    Run,
    Telemetry,
    TextRequest,
    WorkerConfig,
)
from studio.settings import Settings
from studio.workers.pool import Pool
from studio.workers.station import JobEvent, Link, StartWorker, Station
from tests.links import Made, held


class Heard:
    """A receiver that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[JobEvent] = []
        self.ended: list[str] = []

    def told(self, event: JobEvent) -> None:
        self.events.append(event)

    def lost(self, job_ids: Sequence[str], how: str, *, stopped: bool) -> None:
        self.ended += job_ids

    def moved(self) -> None: ...

    def held(self) -> None: ...


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def pool(tmp_path: Path, heard: Heard) -> Pool:
    """Two workers on one data folder."""
    pool = Pool([station(tmp_path, "first"), station(tmp_path, "second")])
    pool.start(heard)
    return pool


class Noted(Made):
    """Remembers how it was started."""

    def __init__(self, config: WorkerConfig, *, log_file: Path, **more: Any) -> None:
        super().__init__(held, config, **more)
        self.config, self.log_file = config, log_file


def station(
    folder: Path, name: str = "", start: StartWorker = Noted, timer: Callable[[], float] = lambda: 0.0
) -> Station:
    settings = Settings(data_dir=folder, device="cpu")
    return Station(
        settings, name=name, timer=timer, warm_up=False, cancel_grace_seconds=10.0, start_worker=start
    )


def workers(pool: Pool) -> list[Made]:
    return [link for link in pool.links if isinstance(link, Made)]


def model(name: str) -> ModelSpec:
    return ModelSpec(name, name, ("text",), "language", Source(path=name), weight_bytes=10**9)


def write(job_id: str, name: str = "writer") -> Run:
    return Run(job_id, TextRequest(prompt="Hello.", model=name), model(name))


def jobs_of(worker: Made) -> list[str]:
    return [command.job_id for command in worker.heard if isinstance(command, Run)]


def holds(name: str) -> Telemetry:
    part = {"key": f"{name}:all", "models": [name], "state": "resident", "nbytes": 10**9}
    return Telemetry({"components": [part]})


def test_each_worker_runs_one_job_of_a_modality_at_a_time(pool: Pool) -> None:
    first, second = workers(pool)
    assert pool.run(write("one"))
    assert pool.has_room("text")
    assert pool.run(write("two"))
    assert not pool.has_room("text")
    assert not pool.run(write("three"))
    assert pool.has_room("audio")
    assert pool.run(Run("four", AudioRequest(prompt="Hello.", model="espeak"), model("espeak")))
    assert sorted(jobs_of(first) + jobs_of(second)) == ["four", "one", "two"]


def test_a_job_goes_where_its_model_is_nearest(pool: Pool) -> None:
    first, second = workers(pool)
    assert pool.seconds(model("writer")) == 2.0
    second.emit(holds("writer"))
    assert pool.seconds(model("writer")) == 0.0
    assert pool.run(write("one"))
    assert (jobs_of(first), jobs_of(second)) == ([], ["one"])


def test_there_is_room_again_when_the_worker_said_so_and_the_end_is_written(pool: Pool, heard: Heard) -> None:
    """In whichever order: a worker may go on for a while with a job that is over for us."""
    first, second = workers(pool)
    assert pool.run(write("one"))
    assert pool.run(write("two"))
    first.emit(Finished("one", "completed"))
    assert heard.events == [Finished("one", "completed")]
    assert not pool.has_room("text")
    pool.filed("one")
    assert pool.has_room("text")
    assert pool.run(write("three"))
    pool.filed("two")
    assert not pool.has_room("text")
    second.emit(Finished("two", "cancelled"))
    assert pool.has_room("text")


def test_a_lost_worker_takes_only_its_own_jobs_with_it(pool: Pool, heard: Heard) -> None:
    first, second = workers(pool)
    assert pool.run(write("one"))
    assert pool.run(write("two"))
    first.kill()
    assert heard.ended == jobs_of(first)
    assert not pool.has_room("text")
    pool.look_after()
    assert len(pool.links) == 2
    assert second in pool.links
    assert pool.has_room("text")


def test_a_cancel_reaches_the_worker_that_has_the_job_once(pool: Pool) -> None:
    first, second = workers(pool)
    first.emit(holds("writer"))
    assert pool.run(write("one"))
    pool.cancel("one")
    pool.cancel("one")
    assert [command for command in first.heard if isinstance(command, Cancel)] == [Cancel("one")]
    assert second.heard == []


def test_what_comes_next_is_told_once_and_again_to_a_worker_that_is_new(pool: Pool) -> None:
    pairs: list[tuple[BaseRequest, ModelSpec]] = [
        (TextRequest(prompt="Hello.", model="writer"), model("writer"))
    ]
    for _ in range(2):
        pool.expect(("one",), lambda: pairs)
    assert [worker.heard for worker in workers(pool)] == [[Hint(tuple(pairs))]] * 2
    workers(pool)[0].kill()
    pool.look_after()
    pool.expect(("one",), lambda: pairs)
    assert [worker.heard for worker in workers(pool)] == [[Hint(tuple(pairs))]] * 2


def test_a_question_is_answered_by_the_worker_that_would_take_the_job(pool: Pool) -> None:
    _, second = workers(pool)
    second.emit(holds("writer"))
    plan = Plan("query", TextRequest(prompt="Hello.", model="writer"), model("writer"))
    answer = pool.ask(plan)
    assert second.heard == [plan]
    told = Planned("query", fits=True, need_bytes=1, free_bytes=2)
    second.emit(told)
    assert answer.result(0) == told


def test_a_command_a_link_cannot_take_leaves_no_job_behind(pool: Pool) -> None:
    def broken(command: object) -> None:
        raise ConnectionError("gone")

    for worker in workers(pool):
        worker.send = broken  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        pool.run(write("one"))
    assert pool.has_room("text")


def test_a_worker_that_could_not_be_started_is_tried_again(tmp_path: Path, heard: Heard) -> None:
    """One that failed to start once was the last: the studio ran on without a worker."""
    now, tries = [0.0], [0]

    def start(config: WorkerConfig, **more: Any) -> Link:
        tries[0] += 1
        if tries[0] < 3:
            raise RuntimeError("can't start new thread")
        return Noted(config, **more)

    pool = Pool([station(tmp_path, start=start, timer=lambda: now[0])])
    pool.start(heard)
    assert (pool.state, pool.links) == ("lost", [])
    plan = Plan("query", TextRequest(prompt="Hello.", model="writer"), model("writer"))
    with pytest.raises(WorkerLost):
        pool.ask(plan).result(0)
    pool.look_after()  # at once, and then after 4 s
    assert (tries, pool.links) == ([2], [])
    pool.look_after()
    assert tries == [2]
    now[0] = 4.0
    pool.look_after()
    assert (pool.state, pool.has_room("text")) == ("starting", True)


def noted(pool: Pool) -> list[Noted]:
    return [link for link in pool.links if isinstance(link, Noted)]


def test_a_worker_that_starts_leaves_alone_what_the_other_makes(pool: Pool, tmp_path: Path) -> None:
    """They once shared a folder, and the one that started removed a film the other was making."""
    first, second = noted(pool)
    film = Path(first.config.spool) / "film.mp4"
    film.write_bytes(b"half")
    second.kill()
    pool.look_after()
    assert film.read_bytes() == b"half"
    assert [Path(worker.config.spool) for worker in noted(pool)] == [
        tmp_path / "spool" / "first",
        tmp_path / "spool" / "second",
    ]
    assert first.log_file == tmp_path / "logs" / "worker-first.log"


def test_the_only_worker_has_the_folder_and_the_log_to_itself(tmp_path: Path, heard: Heard) -> None:
    pool = Pool([station(tmp_path)])
    pool.start(heard)
    (worker,) = noted(pool)
    assert Path(worker.config.spool) == tmp_path / "spool"
    assert worker.log_file == tmp_path / "logs" / "worker.log"
