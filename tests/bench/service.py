"""How long the event loop is held while many wait and many watch: `python3 launch.py bench service [--waiting N] [--watchers N] [--changes N]`.

A studio whose worker takes jobs and finishes one when told. People watch waiting jobs on one event loop, as the page and the API do,
while jobs come, go, end and are moved up. Counted is what the loop's own thread computes in one turn, which is what makes everybody
else wait, whatever else the machine does; a heartbeat beside it tells how late the loop came, first with nothing going on (baseline).
Fails when a bar is missed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.messages import AudioRequest, Finished, Run
from studio.settings import Settings
from studio.studio import Studio
from tests.bench.report import HEADER, machine, parser, row

MOST_HELD_MS = 20.0
OWNERS = 20
QUIET_SECONDS = 2.0
BEAT_SECONDS = 0.002


class OnDemand:
    """A worker link that takes jobs and ends them when told."""

    def __init__(self, config: Any, **link: Any) -> None:
        self.emit, self.exit = link["on_event"], link["on_exit"]
        self.running: list[str] = []

    def send(self, command: Any) -> None:
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


def main(argv: list[str]) -> int:
    arguments = parser(__doc__ or "", runs=1)
    arguments.add_argument("--waiting", type=int, default=1000, help="jobs in line")
    arguments.add_argument("--watchers", type=int, default=50)
    arguments.add_argument("--changes", type=int, default=100, help="jobs that come, go, end or are moved up")
    told = arguments.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="service-") as folder:
        quiet, busy, told_watchers, computed = run(Path(folder), told.waiting, told.watchers, told.changes)
    print(f"{machine()}; {told.waiting} waiting, {told.watchers} watch, {told.changes} changes\n")
    print(HEADER)
    print(row("the loop comes late, nothing going on (baseline)", quiet.late, unit="ms"))
    print(row("the loop comes late, while the line changes", busy.late, quiet.late, unit="ms"))
    print(row("computed on the loop in one turn", busy.held, unit="ms"))
    print(row("the line worked out once, on its thread", computed, unit="ms"))
    held = max(busy.held)
    print(
        f"\n{told_watchers} updates were told. The longest turn held the loop for {held:.1f} ms; the bar is {MOST_HELD_MS:.0f} ms."
    )
    return 0 if held <= MOST_HELD_MS else 1


def run(folder: Path, waiting: int, watchers: int, changes: int) -> tuple[Beats, Beats, int, list[float]]:
    """Beats of a quiet and of a busy loop, how many updates watchers were told, and how long the line took each time."""
    links: list[OnDemand] = []

    def link(config: Any, **more: Any) -> OnDemand:
        links.append(OnDemand(config, **more))
        return links[-1]

    studio = Studio(Settings(data_dir=folder, device="cpu"), start_worker=link)  # type: ignore[arg-type]
    jobs = [studio.submit(speak(number), owner=f"owner {number % OWNERS}").id for number in range(waiting)]
    computed = timed(studio)
    studio.start()
    updates = [0]

    async def watch(job_id: str) -> None:
        async for _ in studio.watch(job_id):
            updates[0] += 1

    def change() -> None:
        for number in range(changes):
            match number % 4:
                case 0:
                    studio.submit(speak(number), owner=f"owner {number % OWNERS}")
                case 1:
                    studio.cancel(jobs[-number])
                case 2:
                    studio.move_up(jobs[-number], f"owner {(waiting - number) % OWNERS}")
                case 3:
                    links[0].finish()
            time.sleep(0.02)

    async def work() -> tuple[Beats, Beats]:
        quiet = await beats(asyncio.sleep(QUIET_SECONDS))
        watching = [asyncio.ensure_future(watch(job_id)) for job_id in jobs[-watchers:]]
        busy = await beats(asyncio.to_thread(change))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        return quiet, busy

    quiet, busy = asyncio.run(work())
    studio.close()
    return quiet, busy, updates[0], computed


async def beats(while_doing: Coroutine[Any, Any, Any]) -> Beats:
    """The loop's beats until that is done."""
    counted = Beats()
    counting = asyncio.ensure_future(counted.count())
    try:
        await while_doing
        await asyncio.sleep(0.1)
    finally:
        counting.cancel()
    return counted


def timed(studio: Studio) -> list[float]:
    """Milliseconds of computing the line took, each time it is worked out from now on."""
    took: list[float] = []
    work_out: Callable[[], Any] = studio.standings._work_out

    def count() -> Any:
        started = time.thread_time()
        found = work_out()
        took.append((time.thread_time() - started) * 1000)
        return found

    studio.standings._work_out = count  # type: ignore[method-assign]
    return took


def speak(number: int) -> AudioRequest:
    return AudioRequest(prompt=f"Number {number}. " * 20, model="espeak")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
