"""Random lending on a made-up device: whatever people do, the ledger's promises hold after every step.

Four owners, each a thread of its own, take and give back leases, are cancelled, find loaders that fail and sizes that were
told wrong, while someone pins, unloads and sweeps. Between two steps the machine waits until every thread has either got
somewhere or sleeps on its ticket, so a failing run replays.
"""

from __future__ import annotations

import logging
import threading
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipelines.errors import Cancelled, OutOfMemory
from pipelines.memory import Component, MemoryManager, State
from tests.memory.made_up import Clock, MadeUpDevice, Shelf
from tests.memory.simulator import run

BUDGET = 100
SIZES = {"a": 10, "b": 20, "c": 25, "d": 40, "e": 60, "f": 70, "huge": 130}
SAID = {"a": 10, "b": 5, "c": 40, "d": 40, "e": 30, "f": 75, "huge": 50}
OWNERS = range(4)
EXPECTED = (Cancelled, OutOfMemory, FileNotFoundError)


class Owner(threading.Thread):
    """Takes one lease and holds it until told to end."""

    def __init__(self, manager: MemoryManager, parts: list[Component], working_bytes: int) -> None:
        super().__init__(daemon=True)
        self.cancelled, self.served, self.ending = threading.Event(), threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self.keys = {component.key for component in parts}
        self.lease = manager.lease(parts, working_bytes, is_cancelled=self.cancelled.is_set)
        self.start()

    def run(self) -> None:
        try:
            with self.lease:
                self.served.set()
                self.ending.wait()
        except BaseException as error:
            self.error = error


class RandomUse(RuleBasedStateMachine):
    owners: dict[int, Owner]

    @initialize(unified=st.booleans(), host_budget=st.sampled_from([10**6, 120]))
    def begin(self, unified: bool, host_budget: int) -> None:
        self.clock, self.shelf = Clock(), Shelf()
        self.device = MadeUpDevice(BUDGET, unified=unified, host_budget=host_budget)
        self.manager = MemoryManager(
            self.device, clock=self.clock, poll_seconds=60, keep_alive_seconds=50, prefetch=False
        )
        self.owners = {}

    # ---- what people do ---------------------------------------------------------------------------------------------

    @rule(
        owner=st.sampled_from(OWNERS),
        names=st.sets(st.sampled_from(sorted(SIZES)), min_size=1, max_size=3),
        working_bytes=st.sampled_from([0, 0, 5, 30, 101]),
    )
    def take(self, owner: int, names: set[str], working_bytes: int) -> None:
        if owner not in self.owners:
            parts = [self.shelf.component(name, SIZES[name], SAID[name]) for name in sorted(names)]
            self.owners[owner] = Owner(self.manager, parts, working_bytes)
        self.settle()

    @rule(owner=st.sampled_from(OWNERS))
    def give_back(self, owner: int) -> None:
        if owner in self.owners and self.owners[owner].served.is_set():
            self.end(owner)
        self.settle()

    @rule(owner=st.sampled_from(OWNERS))
    def cancel(self, owner: int) -> None:
        if owner in self.owners:
            self.owners[owner].cancelled.set()
            self.manager.wake()
        self.settle()

    @rule(name=st.sampled_from(sorted(SIZES)), fails=st.booleans())
    def a_file_vanishes(self, name: str, fails: bool) -> None:
        (self.shelf.fail.add if fails else self.shelf.fail.discard)(name)

    @rule(name=st.sampled_from(sorted(SIZES)), pinned=st.booleans())
    def pin(self, name: str, pinned: bool) -> None:
        self.manager.pin(name, pinned)
        self.settle()

    @rule(name=st.sampled_from(["", *sorted(SIZES)]))
    def unload(self, name: str) -> None:
        self.manager.unload(name)
        self.settle()

    @rule(names=st.lists(st.sampled_from(sorted(SIZES)), max_size=2))
    def hint(self, names: list[str]) -> None:
        self.manager.hint([self.shelf.component(name, SIZES[name], SAID[name]) for name in names])

    @rule(seconds=st.sampled_from([1.0, 60.0, 500.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        self.manager.sweep()
        self.settle()

    @precondition(lambda self: not self.device.refuse_uploads)
    @rule(times=st.integers(1, 2))
    def the_device_refuses(self, times: int) -> None:
        self.device.refuse_uploads = times

    # ---- waiting for the threads ------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Until every owner is served, failed, or asleep on a ticket that nobody will touch before the next step."""
        for _ in range(20_000):
            pending = [o for o in self.owners.values() if not o.served.is_set() and o.error is None]
            with self.manager._lock:
                queue = list(self.manager._line.queue)
                moving = any(
                    e.state in (State.LOADING, State.LEAVING) for e in self.manager._ledger.entries.values()
                )
                asleep = len(queue) == len(pending) and not any(t.event.is_set() for t in queue)
            if asleep and not moving:
                return
            time.sleep(0.0002)
        raise AssertionError("the threads never came to rest")

    def end(self, owner: int) -> None:
        job = self.owners.pop(owner)
        job.ending.set()
        job.join(60)
        assert not job.is_alive()
        assert job.error is None

    # ---- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def promises_hold(self) -> None:
        if not hasattr(self, "manager"):
            return
        snapshot = self.manager.snapshot()
        parts = {c["key"]: c for c in snapshot["components"]}
        assert snapshot["committed_bytes"] <= BUDGET
        assert self.device.peak <= BUDGET
        on_device = sum(c["nbytes"] for c in parts.values() if c["state"] == "resident")
        assert on_device == self.device.used
        assert on_device + snapshot["working_bytes"] == snapshot["committed_bytes"]
        held = [job for job in self.owners.values() if job.served.is_set()]
        assert snapshot["working_bytes"] == sum(job.lease.working_bytes for job in held)
        for key, part in parts.items():
            assert part["leases"] == sum(key in job.keys for job in held), key
        for job in held:
            for key in job.keys:
                assert parts[key]["state"] == "resident"
                assert job.lease[key].real_bytes == SIZES[key]
        for owner, job in list(self.owners.items()):
            if job.error is not None:
                assert isinstance(job.error, EXPECTED), repr(job.error)
                del self.owners[owner]

    def teardown(self) -> None:
        """Everyone who waits is served or told, as those before them finish."""
        if not hasattr(self, "manager"):
            return
        for _ in range(2 * len(OWNERS)):
            for owner, job in list(self.owners.items()):
                if job.served.is_set():
                    self.end(owner)
                elif job.error is not None:
                    assert isinstance(job.error, EXPECTED), repr(job.error)
                    del self.owners[owner]
                self.settle()
        assert self.owners == {}
        self.manager.close()
        assert self.device.used == 0
        assert self.manager.snapshot()["committed_bytes"] == 0


RandomUse.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestRandomUse = RandomUse.TestCase


@pytest.mark.parametrize("seed", range(1, 11))
def test_every_promise_holds_whatever_fails_and_whoever_cancels(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Two thousand operations with faults at every place where the manager waits; `bench memory --fuzz` does a million."""
    caplog.set_level(logging.CRITICAL)
    report = run(seed, 2_000)
    assert report.operations == 2_000
    assert sum(report.faults.values()) > 50
    assert report.ended["served"] > 200


def test_the_same_seed_makes_the_same_decisions(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert run(5, 600).log == run(5, 600).log != run(6, 600).log


def test_leases_from_many_threads_at_once_keep_the_books_straight() -> None:
    """Real interleavings: eight threads hammer overlapping components; the device itself fails on a byte too many."""
    shelf, device = Shelf(), MadeUpDevice(BUDGET)
    manager = MemoryManager(device, poll_seconds=0.01)
    parts = {name: shelf.component(name, SIZES[name], SAID[name]) for name in "abcd"}
    served, errors = [0] * 8, []

    def work(number: int) -> None:
        for turn in range(40):
            wanted = [parts["abcd"[(number + turn) % 4]], parts["abcd"[(number * turn) % 4]]]
            try:
                with manager.lease(wanted, working_bytes=turn % 7) as lease:
                    assert all(lease[component].real_bytes == SIZES[component.key] for component in wanted)
                    assert device.used + manager.snapshot()["working_bytes"] <= BUDGET
            except BaseException as error:
                errors.append(error)
            served[number] += 1

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert served == [40] * 8
    assert device.peak <= BUDGET
