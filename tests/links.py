"""Links to a worker for tests of what stands before it: the queue, the records, the page."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipelines.messages import Command, Event, Finished, Run, WorkerConfig


class Made:
    """A worker link without a process: `on_run` says what happens to a job, on a thread of its own. Closing it does nothing."""

    def __init__(
        self,
        on_run: Callable[[Made, Run], None],
        config: WorkerConfig,
        *,
        on_event: Callable[[Event], None],
        on_exit: Callable[[int], None],
        **more: object,
    ) -> None:
        self.on_run, self.emit, self.exit = on_run, on_event, on_exit
        self.running: set[str] = set()
        self.heard: list[Command] = []

    def send(self, command: Command) -> None:
        self.heard.append(command)
        if isinstance(command, Run):
            threading.Thread(target=self.on_run, args=(self, command)).start()

    def kill(self) -> None:
        self.exit(-9)

    def close(self) -> None: ...


class Obedient(Made):
    """Ends when it is told to."""

    def close(self) -> None:
        self.exit(0)


class Idle:
    """Takes jobs and does nothing with them."""

    def __init__(self, config: WorkerConfig, *, on_exit: Callable[[int], None], **more: object) -> None:
        self.exit = on_exit

    def send(self, command: Command) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None:
        self.exit(0)


def held(worker: Made, run: Run) -> None:
    """Takes a job and does nothing with it."""


def done_at_once(worker: Made, run: Run) -> None:
    worker.emit(Finished(run.job_id, "completed"))
