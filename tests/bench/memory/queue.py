"""Who goes first: three people at one device, served the nearest first, beside the fair order of arrival."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.memory import Component, MemoryManager
from studio.queue.affinity import MOST_OVERTAKEN, Line, Turn, Waiting, free
from tests.bench.memory.policy import BUDGETS, SEEDS, SMALL
from tests.bench.memory.replay import LINKS, Link, components, device_of
from tests.bench.memory.traces import GIB, KINDS, PARTS, SESSIONS, Job
from tests.bench.report import Report
from tests.memory.made_up import Clock

__all__ = ["SMALL", "serve", "tell"]


@dataclass
class _Person:
    """Sends `batch` jobs at once, waits for the last, thinks, and sends the next."""

    name: str
    habits: Iterator[str]
    open_jobs: int = 0
    returns_at: float = 0.0


@dataclass(frozen=True)
class Served:
    """What a queue made of the same people. waits: seconds from sending a job to its start. overtaken: most of any job."""

    reload_seconds: float
    waits: tuple[float, ...]
    overtaken: int


def serve(seed: int, gib: int, link: Link, near_first: bool, jobs: int = 200, batch: int = 4) -> Served:
    """Three people at one device; near_first: by `studio.queue.affinity`, else fair and in order of arrival."""
    clock = Clock()
    device, parts = device_of(link, gib * GIB, clock), components(link, clock)
    manager = MemoryManager(device, clock=clock, keep_alive_seconds=-1, prefetch=False)
    people = [
        _Person(name, SESSIONS[name](random.Random(f"{name} {seed}")))
        for name in ("writer", "artist", "film maker")
    ]
    thinks = {person.name: random.Random(f"{person.name} thinks {seed}") for person in people}
    waiting: list[Waiting] = []
    sent: dict[str, float] = {}
    turns: dict[str, Turn] = {}
    waits: list[float] = []
    reloads, most, number, round = 0.0, 0, 0, 0
    while len(waits) < jobs:
        for person in people:
            if not person.open_jobs and person.returns_at <= clock.now:
                for _ in range(thinks[person.name].randint(1, batch)):
                    number += 1
                    waiting.append(Waiting(str(number), person.name, next(person.habits)))
                    sent[str(number)] = max(person.returns_at, 1000.0)
                    person.open_jobs += 1
        if not waiting:
            clock.now = min(person.returns_at for person in people)
            continue
        line = Line(waiting, turns, round)
        choice = line.next(_cost(manager, link) if near_first else free)
        round = choice.round
        turns[choice.job.owner] = Turn(choice.round, len(waits) + 1)
        most = max(most, choice.job.overtaken)
        waiting = [
            Waiting(job.id, job.owner, job.model, job.overtaken + (job.id in choice.overtakes))
            for job in waiting
            if job.id != choice.job.id
        ]
        waits.append(clock.now - sent[choice.job.id])
        reloads += _run(manager, KINDS[choice.job.model], parts, clock)
        owner = next(person for person in people if person.name == choice.job.owner)
        owner.open_jobs -= 1
        if not owner.open_jobs:
            owner.returns_at = clock.now + thinks[owner.name].expovariate(1 / 15)
    manager.close()
    return Served(reloads, tuple(waits), most)


def _run(manager: MemoryManager, job: Job, parts: dict[str, Component], clock: Clock) -> float:
    spent = 0.0
    for place, phase in enumerate(job):
        manager.hint([parts[name] for later in job[place + 1 :] for name in later.parts])
        started = clock.now
        with manager.lease([parts[name] for name in phase.parts], phase.working_bytes):
            spent += clock.now - started
            clock.now += phase.seconds
    return spent


def _cost(manager: MemoryManager, link: Link) -> Callable[[str], float]:
    """Seconds to bring in what a kind of job lacks now."""
    here = {
        c["key"]: c["nbytes"]
        for c in manager.snapshot()["components"]
        if c["state"] in ("resident", "partial")
    }
    costs = link.costs()

    def seconds(kind: str) -> float:
        names = {name for phase in KINDS[kind] for name in phase.parts}
        return sum(costs[name] * (1 - here.get(name, 0) / PARTS[name].nbytes) for name in names)

    return seconds


def tell(report: Report, seeds: tuple[int, ...] = SEEDS, jobs: int = 200) -> None:
    """What reordering gains and whom it makes wait; the bar is that nobody is overtaken more often than promised."""
    most = 0
    for link in (LINKS[1], LINKS[2]):
        for gib in BUDGETS:
            fair = [serve(seed, gib, link, False, jobs) for seed in seeds]
            near = [serve(seed, gib, link, True, jobs) for seed in seeds]
            for what, of in {"reload seconds of a run": _reloads, "wait": _waits}.items():
                where = f"{link.name}, {gib} GiB, {what}"
                report.figure(f"{where}, in fair order (baseline)", of(fair))
                report.figure(f"{where}, the nearest first", of(near), of(fair))
            most = max(most, *(run.overtaken for run in near))
    report.say(f"Three people, {jobs} jobs each run, {len(seeds)} runs.")
    name = "times anybody was overtaken"
    report.bar(name, str(MOST_OVERTAKEN), str(most), most <= MOST_OVERTAKEN)


def _reloads(runs: list[Served]) -> list[float]:
    return [run.reload_seconds for run in runs]


def _waits(runs: list[Served]) -> list[float]:
    return [wait for run in runs for wait in run.waits]
