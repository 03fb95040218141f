"""How long the event loop is held while many wait and many watch.

`python3 launch.py bench service [--waiting N] [--watchers N] [--changes N]`

A studio whose worker takes jobs and finishes one when told. Half of the watchers follow a waiting job as the API does, half look
at the whole line as the page does, all on one event loop, while jobs come, go, end and are moved up. Counted is what the loop's
own thread computes in one turn, which is what makes everybody else wait, whatever else the machine does; and every file and row
it touches, since a disk may take its time. A heartbeat beside it tells how late the loop came, first with nothing going on
(baseline). Fails when a bar is missed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import event

from pipelines.messages import AudioRequest, Command, Event, Finished, Run, WorkerConfig
from studio.api.jobs import job_events
from studio.page.queue import events as page_events
from studio.queue.standing import Standing
from studio.settings import Settings
from studio.studio import Studio
from tests.bench.report import Report, parser

MOST_HELD_MS = 20.0
OWNERS = 20
QUIET_SECONDS = 2.0
BEAT_SECONDS = 0.002
PAGE_PACE_SECONDS = 0.05
"""Ten times as often as the page hears of changes."""


class OnDemand:
    """A worker link that takes jobs and ends them when told."""

    def __init__(
        self,
        config: WorkerConfig,
        *,
        on_event: Callable[[Event], None],
        on_exit: Callable[[int], None],
        **more: object,
    ) -> None:
        self.emit, self.exit = on_event, on_exit
        self.running: list[str] = []

    def send(self, command: Command) -> None:
        if isinstance(command, Run):
            self.running.append(command.job_id)

    def finish(self) -> None:
        for job_id in self.running[:]:
            self.running.remove(job_id)
            self.emit(Finished(job_id, "completed"))

    def kill(self) -> None: ...

    def close(self) -> None:
        self.exit(0)


@dataclass
class Beats:
    """Milliseconds: how late each beat of the loop came, and what the loop's thread computed in one turn."""

    late: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)

    async def count(self) -> None:
        while True:
            due, computed = time.perf_counter() + BEAT_SECONDS, time.thread_time()
            await asyncio.sleep(BEAT_SECONDS)
            self.late.append((time.perf_counter() - due) * 1000)
            self.held.append((time.thread_time() - computed) * 1000)


@dataclass
class Counted:
    """What a run told. touched: files and rows of the loop's thread; computed: milliseconds of the line, each time."""

    quiet: Beats = field(default_factory=Beats)
    busy: Beats = field(default_factory=Beats)
    updates: int = 0
    touched: list[str] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)


def main(argv: list[str]) -> int:
    arguments = parser(__doc__ or "", runs=1)
    arguments.add_argument("--waiting", type=int, default=1000, help="jobs in line")
    arguments.add_argument("--watchers", type=int, default=50)
    arguments.add_argument("--changes", type=int, default=100, help="jobs that come, go, end or are moved up")
    told = arguments.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="service-") as folder:
        found = run(Path(folder), told.waiting, told.watchers, told.changes)
    report = Report(f"{told.waiting} waiting, {told.watchers} watch, {told.changes} changes")
    quiet, busy = found.quiet, found.busy
    report.figure("the loop comes late, nothing going on (baseline)", quiet.late, unit="ms")
    report.figure("the loop comes late, while the line changes", busy.late, quiet.late, unit="ms")
    report.figure("computed on the loop in one turn", busy.held, unit="ms")
    report.figure("the line worked out once, on its thread", found.computed, unit="ms")
    held, touched = max(busy.held), len(found.touched)
    report.bar("longest turn of the loop", f"{MOST_HELD_MS:.0f} ms", f"{held:.1f} ms", held <= MOST_HELD_MS)
    report.bar("files and rows touched on the loop", "0", str(touched), touched == 0)
    report.say(f"{found.updates} updates were told.")
    for what in sorted(set(found.touched))[:10]:
        report.say(f"touched: {what}")
    return report.end()


def run(folder: Path, waiting: int, watchers: int, changes: int) -> Counted:
    """A day at the studio in a few seconds."""
    links: list[OnDemand] = []

    def link(config: WorkerConfig, **more: Callable[[Event | int], None]) -> OnDemand:
        links.append(OnDemand(config, **more))  # type: ignore[arg-type]
        return links[-1]

    studio = Studio(Settings(data_dir=folder, device="cpu"), start_worker=link)  # type: ignore[arg-type]
    jobs = [studio.submit(speak(number), owner=owner(number)).id for number in range(waiting)]
    found = Counted(computed=timed(studio))
    studio.start()

    async def watch(told: AsyncIterator[object]) -> None:
        async for _ in told:
            found.updates += 1

    def change() -> None:
        for number in range(changes):
            match number % 4:
                case 0:
                    studio.submit(speak(number), owner=owner(number))
                case 1:
                    studio.cancel(jobs[-number])
                case 2:
                    studio.move_up(jobs[-number], owner(waiting - number))
                case 3:
                    links[0].finish()
            time.sleep(0.02)

    async def work() -> None:
        watching = [asyncio.ensure_future(watch(job_events(studio, job))) for job in jobs[-(watchers // 2) :]]
        pages = [page_events(studio, owner(page), PAGE_PACE_SECONDS) for page in range((watchers + 1) // 2)]
        watching += [asyncio.ensure_future(watch(page)) for page in pages]
        await asyncio.sleep(QUIET_SECONDS)  # everybody has come
        found.quiet = await beats(asyncio.sleep(QUIET_SECONDS))
        with touching(studio, found.touched):
            found.busy = await beats(asyncio.to_thread(change))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    asyncio.run(work())
    studio.close()
    return found


async def beats(while_doing: Coroutine[object, object, object]) -> Beats:
    """The loop's beats until that is done."""
    counted = Beats()
    counting = asyncio.ensure_future(counted.count())
    try:
        await while_doing
        await asyncio.sleep(0.1)
    finally:
        counting.cancel()
    return counted


class touching:
    """Within, writes down each file and row that this thread touches."""

    def __init__(self, studio: Studio, touched: list[str]) -> None:
        self._engine, self._touched = studio.engine, touched
        self._thread, self._is_on = threading.get_ident(), False
        sys.addaudithook(self._opened)  # which stays until the process ends

    def __enter__(self) -> None:
        self._is_on = True
        event.listen(self._engine, "before_cursor_execute", self._asked)

    def __exit__(self, *raised: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._asked)
        self._is_on = False

    def _opened(self, what: str, told: tuple[object, ...]) -> None:
        if self._is_on and what in ("open", "os.listdir", "os.scandir") and self._is_here():
            self._touched.append(f"{what} {told[0]}")

    def _asked(self, connection: object, cursor: object, statement: str, *more: object) -> None:
        if self._is_here():
            self._touched.append(statement)

    def _is_here(self) -> bool:
        return threading.get_ident() == self._thread


def timed(studio: Studio) -> list[float]:
    """Milliseconds of computing the line took, each time it is worked out from now on."""
    took: list[float] = []
    work_out: Callable[[], dict[str, Standing]] = studio.standings._work_out

    def count() -> dict[str, Standing]:
        started = time.thread_time()
        found = work_out()
        took.append((time.thread_time() - started) * 1000)
        return found

    studio.standings._work_out = count  # type: ignore[method-assign]
    return took


def owner(number: int) -> str:
    return f"owner {number % OWNERS}"


def speak(number: int) -> AudioRequest:
    return AudioRequest(prompt=f"Number {number}. " * 20, model="espeak")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
