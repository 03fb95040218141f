"""A trace through our own manager, on a made-up device whose clock counts what reloading takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.memory import Component, MemoryManager
from tests.bench.memory.traces import GIB, PARTS, Trace
from tests.memory.made_up import Clock, MadeUpDevice, Thing

NOTHING, OWN_JOB = -1, 0
"""How many queued jobs the manager is told of beside the rest of the running one; -1: not even that."""


@dataclass(frozen=True)
class Link:
    """How components come in. returns: without their loader, and in parts; else built and read anew each time.

    unified: there is no second copy, so what returns is read from the file again.
    """

    name: str
    gib_per_second: float
    returns: bool = True
    unified: bool = False

    def costs(self) -> Mapping[str, float]:
        """Seconds to bring each component in."""
        read = {name: part.nbytes / GIB / self.gib_per_second for name, part in PARTS.items()}
        if self.returns:
            return read
        return {name: seconds + PARTS[name].build_seconds for name, seconds in read.items()}


LINKS = (
    Link("RAM, 20 GiB/s", 20),
    Link("RAM, 5 GiB/s", 5),
    Link("mapped file, 1 GiB/s", 1, unified=True),
    Link("built anew, 1 GiB/s", 1, returns=False, unified=True),
)


def device_of(link: Link, budget: int, clock: Clock) -> MadeUpDevice:
    return MadeUpDevice(
        budget,
        unified=link.unified,
        mapped=link.returns,
        host_budget=1 << 62,
        clock=clock if link.returns else None,
        bytes_per_second=link.gib_per_second * GIB,
    )


def components(link: Link, clock: Clock) -> dict[str, Component]:
    """All parts by name; where they do not return, loading them takes its time."""

    def component(name: str) -> Component:
        part = PARTS[name]

        def load() -> Thing:
            if not link.returns:
                clock.now += part.build_seconds + part.nbytes / GIB / link.gib_per_second
            return Thing(name, part.nbytes, part.nbytes // 8 if part.in_pieces else part.nbytes)

        return Component(name, load, part.nbytes)

    return {name: component(name) for name in PARTS}


@dataclass(frozen=True)
class Outcome:
    """reload_seconds: spent bringing in. needless: evictions although everything fitted."""

    reload_seconds: float
    evictions: int
    needless: int
    leases: int


def replay(trace: Trace, budget: int, link: Link, told: int) -> Outcome:
    """Run the trace. told: NOTHING, OWN_JOB, or how many queued jobs are announced as well."""
    clock = Clock()
    parts = components(link, clock)
    manager = MemoryManager(
        device_of(link, budget, clock), clock=clock, keep_alive_seconds=-1, prefetch=False
    )
    ledger = manager._ledger
    spent, needless, leases = 0.0, 0, 0
    for number, place, phase in trace.steps():
        if place == 0:
            clock.now += trace.pauses[number]
        if told != NOTHING:
            later = list(trace.jobs[number][place + 1 :])
            for job in trace.jobs[number + 1 : number + 1 + told]:
                later += job
            manager.hint([parts[name] for each in later for name in each.parts])
        entries = [ledger.entry(parts[name]) for name in phase.parts]
        fits = sum(entry.nbytes - entry.promised for entry in entries) + phase.working_bytes <= ledger.free
        evictions, started = ledger.counters.evictions, clock.now
        with manager.lease([parts[name] for name in phase.parts], phase.working_bytes):
            leases += 1
            spent += clock.now - started
            clock.now += phase.seconds
        needless += ledger.counters.evictions - evictions if fits else 0
    evictions = ledger.counters.evictions
    manager.close()
    return Outcome(spent, evictions, needless, leases)
