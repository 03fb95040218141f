"""Who leaves, and who goes first: reload seconds beside the offline optimum, simple rules, and a queue in order of arrival."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.memory import Component, MemoryManager
from studio.queue.affinity import MOST_OVERTAKEN, Line, Turn, Waiting, free
from tests.bench.memory.optimum import RULES, SINGLE_OWNER, optimum, rule_seconds
from tests.bench.memory.replay import LINKS, NOTHING, OWN_JOB, Link, components, device_of, replay
from tests.bench.memory.traces import GIB, KINDS, PARTS, SESSIONS, Job, all_traces
from tests.memory.made_up import Clock

BUDGETS = (8, 12, 16)
SEEDS = (11, 12, 13)
"""The policy was shaped on seeds 1 to 4; these it had not seen."""
JOBS = 120
SMALL: dict[str, Any] = {"seeds": (11,), "jobs": 12}
OURS = {
    "ours, told nothing": NOTHING,
    "ours, the job's own phases": OWN_JOB,
    "ours, and one queued job": 1,
    "ours, and two queued jobs": 2,
}


def table(seeds: tuple[int, ...] = SEEDS, jobs: int = JOBS) -> bool:
    """Print reload seconds over the optimum, mean (largest) over all traces and budgets; whether the bars hold in RAM."""
    ratios: dict[str, dict[str, list[float]]] = {}
    by_session: dict[str, dict[str, list[float]]] = {}
    needless = leases = 0
    for link in LINKS:
        costs = link.costs()
        for trace in (trace for seed in seeds for trace in all_traces(seed, jobs)):
            for gib in BUDGETS:
                best = optimum(trace, gib * GIB, costs)
                seconds = {
                    rule: rule_seconds(rule, trace, gib * GIB, costs) for rule in (*RULES, SINGLE_OWNER)
                }
                for name, told in OURS.items():
                    outcome = replay(trace, gib * GIB, link, told)
                    seconds[name] = outcome.reload_seconds
                    needless += outcome.needless
                    leases += outcome.leases
                for name, spent in seconds.items():
                    ratios.setdefault(name, {}).setdefault(link.name, []).append(spent / best)
                    if link is LINKS[1]:
                        by_session.setdefault(name, {}).setdefault(trace.name, []).append(spent / best)
    print(
        f"{len(seeds) * 5} traces of {jobs} jobs, budgets of {', '.join(map(str, BUDGETS))} GiB, {len(PARTS)} components\n"
    )
    _print("reload seconds / optimum: mean (largest)", ratios)
    _print(f"the same by session, {LINKS[1].name}", by_session)
    print(f"{needless} needless evictions in {leases:,} leases.\n")
    bars = {"ours, told nothing": 1.20, "ours, the job's own phases": 1.10, "ours, and two queued jobs": 1.05}
    in_ram = [link.name for link in LINKS if not link.unified]
    means = {name: statistics.mean(x for link in in_ram for x in ratios[name][link]) for name in bars}
    for name, bar in bars.items():
        print(f"- {name}, from RAM: {means[name]:.3f}; the bar is {bar:.2f}.")
    return needless == 0 and all(means[name] <= bar for name, bar in bars.items())


def _print(title: str, ratios: dict[str, dict[str, list[float]]]) -> None:
    columns = list(next(iter(ratios.values())))
    print(f"| {title} | " + " | ".join(columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for name, cells in ratios.items():
        told = (f"{statistics.mean(cells[column]):.2f} ({max(cells[column]):.2f})" for column in columns)
        print(f"| {name} | " + " | ".join(told) + " |")
    print()


# ---- the order of the queue -------------------------------------------------------------------------------------------


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


def queue_table(seeds: tuple[int, ...] = SEEDS, jobs: int = 200) -> bool:
    """Print what reordering gains and whom it makes wait; whether nobody was overtaken more often than promised."""
    print(
        f"| three people, {jobs} jobs each run | reload seconds | median wait | longest wait | most overtaken |"
    )
    print("|---|---|---|---|---|")
    most = 0
    for link in (LINKS[1], LINKS[2]):
        for gib in BUDGETS:
            runs = {near: [serve(seed, gib, link, near, jobs) for seed in seeds] for near in (False, True)}
            before = sum(run.reload_seconds for run in runs[False])
            for near, served in runs.items():
                spent = sum(run.reload_seconds for run in served)
                waits = [wait for run in served for wait in run.waits]
                overtaken = max(run.overtaken for run in served)
                most = max(most, overtaken)
                print(
                    f"| {link.name}, {gib} GiB, {'the nearest first' if near else 'in fair order'} "
                    f"| {spent:.0f} s ({spent / before:.2f}×) | {statistics.median(waits):.0f} s | {max(waits):.0f} s "
                    f"| {overtaken} |"
                )
    print(f"\nNobody may be overtaken more than {MOST_OVERTAKEN} times.")
    return most <= MOST_OVERTAKEN
