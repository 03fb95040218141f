"""The worker process: what it promises to whoever started it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.catalog import ModelSpec, Source
from pipelines.memory import Component, MemoryManager
from pipelines.messages import (
    AudioRequest,
    Finished,
    ImageRequest,
    Plan,
    Planned,
    Ready,
    Run,
    Stop,
    Telemetry,
    WorkerConfig,
    read_message,
    write_message,
)
from pipelines.worker.worker import Worker, steady, without_clocks
from studio.settings import ROOT
from studio.workers.local import LocalWorker, how_it_ended

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="watches a process through a pidfd, which is Linux"
)
VOICE = ModelSpec("espeak", "eSpeak NG", ("audio",), "espeak", Source())
BROKEN = ModelSpec("local/gone", "Gone", ("image",), "diffusers", Source(path="/no/such/folder"))


@dataclass
class Ear:
    """Keeps what a worker says; `wait` for one kind of event."""

    events: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    exits: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)

    def wait(self, kind: type, seconds: float = 120.0) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            event = self.events.get(timeout=deadline - time.monotonic())
            if isinstance(event, kind):
                return event


def start(folder: Path, warm_up: bool = False) -> tuple[LocalWorker, Ear]:
    ear = Ear()
    worker = LocalWorker(
        WorkerConfig(spool=str(folder / "spool"), device="cpu", warm_up=warm_up),
        log_file=folder / "worker.log",
        on_event=ear.events.put,
        on_exit=ear.exits.put,
    )
    return worker, ear


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalWorker, Ear]]:
    """One worker with its libraries loaded, for all tests that do not end it."""
    worker, ear = start(tmp_path_factory.mktemp("warm"), warm_up=True)
    assert ear.wait(Ready).seconds > 0
    yield worker, ear
    worker.close()
    assert ear.exits.get(timeout=60) == 0


def test_a_worker_that_is_told_to_stop_ends_well(tmp_path: Path) -> None:
    worker, ear = start(tmp_path)
    worker.close()
    assert ear.exits.get(timeout=60) == 0


def test_a_killed_worker_is_reported_once_with_its_signal(tmp_path: Path) -> None:
    worker, ear = start(tmp_path)
    os.kill(worker.pid, signal.SIGKILL)
    assert ear.exits.get(timeout=60) == -9
    worker.close()
    assert ear.exits.empty()
    assert "SIGKILL" in how_it_ended(-9)
    assert "exit code 3" in how_it_ended(3)


def test_a_stopped_process_can_be_ended_from_outside(tmp_path: Path) -> None:
    worker, ear = start(tmp_path)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.kill()
    assert ear.exits.get(timeout=60) == -9


def test_a_worker_that_can_be_told_nothing_more_is_ended(tmp_path: Path) -> None:
    """It once went on and heard nothing: no job, no cancel, no word to stop."""
    worker, ear = start(tmp_path)
    worker.send(lambda: None)  # type: ignore[arg-type]  # cannot be sent
    assert ear.exits.get(timeout=60) == -9


def test_a_worker_that_nobody_can_speak_to_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may have no thread to give for that; the process was left alone and its end told while it lived."""
    begin = threading.Thread.start

    def start_thread(thread: threading.Thread) -> None:
        if thread.name == "worker-commands":
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start_thread)
    worker, ear = start(tmp_path)
    assert ear.exits.get(timeout=60) == -9
    assert not psutil.pid_exists(worker.pid)


def test_a_device_whose_driver_does_not_answer_in_time_fails_the_job_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its TimeoutError was taken for that of the waiting, which went on for ever."""

    def fail(worker: Worker, promise: Future[MemoryManager]) -> None:
        promise.set_exception(TimeoutError("no answer from the driver"))

    monkeypatch.setattr(Worker, "_make_memory", fail)
    worker = Worker(WorkerConfig(spool=str(tmp_path), device="cpu", warm_up=False), lambda event: None)
    asked = iter([False, False, True])  # so that the wait ends either way
    with pytest.raises(TimeoutError, match="no answer from the driver"):
        worker.memory(lambda: next(asked))
    worker.stop()


def test_a_broken_model_fails_its_job_and_nothing_else(warm: tuple[LocalWorker, Ear]) -> None:
    worker, ear = warm
    for number in range(2):
        worker.send(Run(f"job-{number}", ImageRequest(prompt="x", model="local/gone", seed=1), BROKEN))
    over = [ear.wait(Finished), ear.wait(Finished)]
    assert [event.job_id for event in over] == ["job-0", "job-1"]
    assert [event.status for event in over] == ["failed", "failed"]
    assert all(event.problem and event.problem.message and event.problem.hint for event in over)


def test_a_plan_for_a_broken_model_answers_with_the_reason(warm: tuple[LocalWorker, Ear]) -> None:
    worker, ear = warm
    worker.send(Plan("question", ImageRequest(prompt="x", model="local/gone", seed=1), BROKEN))
    answer = ear.wait(Planned)
    assert (answer.query_id, answer.fits) == ("question", False)
    assert answer.problem is not None
    assert answer.problem.message


def test_free_memory_that_wanders_is_no_news() -> None:
    """It moves every second on a computer in use, and each word about it reaches every open page."""
    told = {"budget_bytes": 1000, "host_budget_bytes": 0, "waiting": 0}
    assert steady({**told, "budget_bytes": 1049}, told) == told
    assert steady({**told, "budget_bytes": 955}, told) == told
    assert steady({**told, "budget_bytes": 1060}, told) == {**told, "budget_bytes": 1060}
    assert steady({**told, "budget_bytes": 1001, "waiting": 1}, told) == {**told, "waiting": 1}
    assert steady(told, {}) == told


def test_telemetry_is_told_when_something_changed_and_not_otherwise(tmp_path: Path) -> None:
    """The worker tells by itself too, at moments of its own: what counts is that no two tellings in a row are alike."""
    said: list[Any] = []
    worker = Worker(WorkerConfig(spool=str(tmp_path), device="cpu", warm_up=False), said.append)
    memory = worker.memory()
    thing = Component("local/thing:part:float32", lambda: object(), 1000)

    def told() -> list[dict[str, Any]]:
        worker.tell()
        worker.tell()
        return [event.snapshot for event in said if isinstance(event, Telemetry)]

    with memory.lease([thing]):
        assert [part["leases"] for part in told()[-1]["components"]] == [1]
    assert [part["leases"] for part in told()[-1]["components"]] == [0]
    worker.stop()
    assert all(without_clocks(a) != without_clocks(b) for a, b in pairwise(told()))


def test_many_who_look_at_once_tell_a_change_once(tmp_path: Path) -> None:
    said: list[Any] = []
    worker = Worker(WorkerConfig(spool=str(tmp_path), device="cpu", warm_up=False), said.append)
    worker.memory()
    start = threading.Barrier(8)

    def look() -> None:
        start.wait()
        worker.tell()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker.stop()
    told = [without_clocks(event.snapshot) for event in said if isinstance(event, Telemetry)]
    assert all(a != b for a, b in pairwise(told))


def test_a_worker_whose_input_ends_goes_at_once(tmp_path: Path) -> None:
    """The server's death closes the pipe; this is the way that works on every system."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pipelines", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    write_message(process.stdin, WorkerConfig(spool=str(tmp_path), device="cpu", warm_up=False))
    write_message(process.stdin, Run("job", AudioRequest(prompt="?", model="espeak", seed=1), VOICE))
    assert process.stdout is not None
    assert read_message(process.stdout).status == "failed"  # it is up: there is nothing to say
    assert work_after(process.stdin.close, process.pid) < AT_ONCE
    assert process.wait(60) == 1
    process.stdout.close()


AT_ONCE = 0.5
"""Seconds of a processor: what a busy machine makes longer on the clock stays the same here; importing torch takes two."""


def work_after(cause: Callable[[], object], pid: int) -> float:
    """Seconds of a processor this process still used after that, until it was gone."""
    process = psutil.Process(pid)
    before = used = sum(process.cpu_times()[:2])
    cause()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return used - before
            used = sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            return used - before
        threading.Event().wait(0.005)
    raise AssertionError("it lives on")


SERVER = """
import sys, threading
from pathlib import Path
from pipelines.messages import Ready, WorkerConfig
from studio.workers.local import LocalWorker
folder, warm = Path(sys.argv[1]), sys.argv[2] == "warm"
ready = threading.Event()
worker = LocalWorker(WorkerConfig(spool=str(folder), device="cpu", warm_up=True), log_file=folder / "worker.log",
                     on_event=lambda event: ready.set() if isinstance(event, Ready) else None, on_exit=print)
pid = worker.pid
if warm:
    ready.wait()
print(pid, flush=True)
threading.Event().wait()
"""


@linux_only
@pytest.mark.parametrize("state", ["starting", "warm"])
def test_no_worker_outlives_its_server(tmp_path: Path, state: str) -> None:
    """An orphan would keep the device; also while it is importing and cannot read its input."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path), state], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    assert work_after(server.kill, pid) < AT_ONCE
    server.wait(60)
    server.stdout.close()


def test_the_worker_loads_no_torch_until_a_job_needs_it() -> None:
    code = "import sys, pipelines.worker.process; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_bytes(b"x" * (6 << 20))
    worker, _ = start(tmp_path)
    worker.send(Stop())
    worker.close()
    assert (tmp_path / "worker.old.log").stat().st_size == 6 << 20
    assert (tmp_path / "worker.log").stat().st_size < 1 << 20
