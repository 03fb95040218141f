"""Random use of the real memory manager, a million steps if wanted, with faults and cancels at every place where it waits.

A few threads borrow, return, nest, die, pin, unload, hint and prefetch on a made-up device with a virtual clock. Only one of
them runs at a time: wherever the manager calls out (a loader, a chunk of an upload, a question to the driver, a callback) or
waits, the baton may pass to another, or something may go wrong there. All of it is drawn from one seed, so a run replays
exactly. After every step the promises are checked (numbers as in the invariants below); `run` raises at the first one broken.

I1 what is promised never exceeds the budget, nor what is allocated what is promised. I2 what is lent is usable, and nobody
touches it. I3 what was cancelled or failed leaves nothing behind. I4 whoever waits is served or told, and is passed a bounded
number of times. I5 what is told equals the ledger and the device. I6 the same seed makes the same decisions.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import StudioError
from pipelines.memory import Component, Lease, MemoryManager, State
from pipelines.memory import admission as admission_module
from pipelines.memory import mover as mover_module
from pipelines.memory.learned import WorkingSets
from tests.memory.made_up import Clock, DeviceFull, DeviceGone, MadeUpDevice, MadeUpHeld, Thing

BUDGET = 100
ACTORS = 4
PATIENCE = 2000
"""So often may waiters look up while nothing happens, before they count as forgotten."""


@dataclass(frozen=True)
class Size:
    """real: bytes it weighs. said: what its component claims. least: enough to stream it."""

    real: int
    said: int
    least: int


SIZES = {
    "a": Size(10, 10, 10),
    "b": Size(20, 5, 20),
    "c": Size(25, 40, 10),
    "d": Size(40, 40, 40),
    "e": Size(60, 30, 20),
    "f": Size(70, 75, 70),
    "streamed": Size(130, 130, 30),
    "huge": Size(130, 50, 130),
    "tokenizer": Size(0, 0, 0),
}


class Vanished(FileNotFoundError):
    """A file that was there a moment ago."""


class Told(RuntimeError):
    """A callback that raises to stop."""


class DriverGone(OSError):
    """What a component raises that cannot be unloaded."""


EXPECTED = (StudioError, Vanished, Told, DeviceGone, DriverGone)
"""What a job may end with here: a refusal, a cancel, or what its own loader, callback or driver raised."""


class Baton:
    """Passes control between threads, one at a time, by the draw of a seed."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.actors: list[Actor] = []
        self.running: Actor | None = None
        self.finished = threading.Event()
        self.in_vain = 0

    def maybe_pass(self) -> None:
        if self.draw.random() < 0.25:
            self.hand_over()

    def wait(self, is_over: Callable[[], bool], may_look_up: bool) -> None:
        """Let others run until `is_over`; may_look_up: it may also be woken by its poll."""
        me = self.running
        assert me is not None
        me.waits_for, me.may_look_up = is_over, may_look_up
        self.hand_over()
        me.waits_for = None

    def hand_over(self, leaving: bool = False) -> None:
        """Pass the baton; returns when it comes back, or at once when leaving."""
        if not self.actors:
            self.finished.set()
            return
        me, chosen = self.running, self._choose()
        if chosen is me:
            return
        self.running = chosen
        chosen.gate.release()
        if me is not None and not leaving:
            me.gate.acquire()

    def _choose(self) -> Actor:
        ready = [actor for actor in self.actors if actor.waits_for is None or actor.waits_for()]
        if ready:
            return self.draw.choice(ready)
        sleepers = [actor for actor in self.actors if actor.may_look_up]
        who = f"{len(self.actors)} threads"
        assert sleepers, f"{who} wait in a circle (I4)"
        assert self.in_vain < PATIENCE, f"{who} wait for ever (I4)"
        return self.draw.choice(sleepers)


@dataclass(eq=False)
class Event:
    """What a waiter sleeps on: passes the baton on instead of blocking."""

    baton: Baton
    flag: bool = False

    def set(self) -> None:
        self.flag = True

    def clear(self) -> None:
        self.flag = False

    def is_set(self) -> bool:
        return self.flag

    def wait(self, timeout: float | None = None) -> bool:
        if not self.flag:
            self.baton.in_vain += 1
            self.baton.wait(self.is_set, may_look_up=True)
        return self.flag


@dataclass(eq=False)
class Turnstile:
    """One at a time, as a lock, passing the baton on instead of blocking."""

    baton: Baton
    is_taken: bool = False

    def __enter__(self) -> None:
        while self.is_taken:
            self.baton.wait(lambda: not self.is_taken, may_look_up=False)
        self.is_taken = True

    def __exit__(self, *_: object) -> None:
        self.is_taken = False


@dataclass(eq=False)
class Device(MadeUpDevice):
    """Calls `point` wherever the manager calls out."""

    point: Callable[[str], None] = lambda where: None

    def budget_bytes(self) -> int:
        self.point("budget")
        return super().budget_bytes()

    def hold(self, thing: object) -> Held:
        self.point("hold")
        assert isinstance(thing, Thing)
        return Held(self, thing)

    def empty_cache(self) -> None:
        self.point("empty cache")

    def settle(self) -> None:
        self.point("settle")

    def start_peak(self) -> None:
        self.point("start peak")
        if self.is_gone:
            raise DeviceGone

    def peak_bytes(self) -> int | None:
        self.point("peak")
        if self.is_gone:
            raise DeviceGone
        return self.work_peak

    def begin_upload(self) -> None:
        self.point("upload")
        super().begin_upload()

    def allocate(self, nbytes: int) -> None:
        self.point("allocate")
        if self.used + nbytes > self.budget - self.others:
            raise DeviceFull  # another program was quicker
        super().allocate(nbytes)


@dataclass(eq=False)
class Held(MadeUpHeld):
    def unload(self, nbytes: int = 0) -> None:
        device = self.device
        assert isinstance(device, Device)
        try:
            device.point("unload")
            super().unload(nbytes)
            device.point("unloaded")
        except OSError:
            device.free(self.device_bytes)  # it will be dropped, and its memory with it
            self.device_bytes = 0
            raise


class Actor(threading.Thread):
    """A thread that does one random thing after another until told to stop."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        super().__init__(daemon=True, name=f"actor {number}")
        self.simulation, self.number = simulation, number
        self.gate = threading.Semaphore(0)
        self.waits_for: Callable[[], bool] | None = None
        self.may_look_up = False
        self.cancelled = False
        self.leases: list[Lease] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        self.gate.acquire()
        simulation = self.simulation
        try:
            while simulation.goes_on():
                simulation.act(self)
                if not self.is_alive_here:
                    return
            simulation.leave(self)
        except BaseException as error:
            simulation.failure = simulation.failure or error
        finally:
            simulation.gone(self)

    is_alive_here = True


@dataclass
class Report:
    """What a run did. log: a digest of all decisions, in order. ended: how leases ended. points: where control was given away."""

    operations: int = 0
    log: str = ""
    ended: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Simulation:
    """One seed, so many operations."""

    def __init__(self, seed: int, operations: int) -> None:
        self.draw = draw = random.Random(seed)
        self.baton = Baton(draw)
        self.limit = operations
        self.report = Report()
        self.failure: BaseException | None = None
        self._digest = hashlib.sha256()
        self.calm = False
        unified = draw.random() < 0.4
        self.clock = Clock()
        self.device = Device(
            BUDGET,
            unified=unified,
            mapped=draw.random() < 0.5,
            streams=not unified and draw.random() < 0.8,
            host_budget=draw.choice([10**6, 120]),
            clock=self.clock,
            bytes_per_second=50.0,
        )
        self.manager = MemoryManager(
            self.device,
            clock=self.clock,
            keep_alive_seconds=50,
            working_sets=WorkingSets(None, "made-up"),
            prefetch=False,
            poll_seconds=1,
        )
        self.ledger = self.manager._ledger
        self.device.point = self.point
        self.before = 0
        self.parts = {name: self._component(name, size) for name, size in SIZES.items()}

    def run(self) -> Report:
        for number in range(ACTORS):
            self._start(number)
        with self._passing_the_baton():
            self.baton.hand_over()
            assert self.baton.finished.wait(3600)
        if self.failure is not None:
            raise self.failure
        self._check_at_rest()
        self.manager.close()
        assert self.device.used == self.ledger.committed == 0, "something stayed behind (I3)"
        self.report.log = self._digest.hexdigest()
        return self.report

    def _start(self, number: int) -> None:
        actor = Actor(self, number)
        self.baton.actors.append(actor)
        actor.start()

    @contextmanager
    def _passing_the_baton(self) -> Iterator[None]:
        """Everything in the manager that would block passes the baton instead."""
        ticket, lock = admission_module.Ticket, mover_module._construction
        baton = self.baton
        admission_module.Ticket = lambda number, lease: ticket(number, lease, Event(baton))  # type: ignore[assignment,misc]
        mover_module._construction = Turnstile(baton)  # type: ignore[assignment]
        try:
            yield
        finally:
            admission_module.Ticket, mover_module._construction = ticket, lock  # type: ignore[misc]

    # ---- where the manager calls out --------------------------------------------------------------------------------

    def _component(self, name: str, size: Size) -> Component:
        def load() -> Thing:
            self.point("load")
            self.clock.now += size.real / 100
            self.point("loaded")
            return Thing(name, size.real, size.least)

        return Component(name, load, size.said, passes=size.real % 3)

    def point(self, where: str) -> None:
        """Somebody else may run now, and something may go wrong here."""
        self.report.points[where] += 1
        assert not self.manager._lock.locked(), f"the lock is held during {where}"
        self._check_always()
        if not self.calm and self.draw.random() < 0.03:
            self._fault(where)
        self.baton.maybe_pass()

    def _fault(self, where: str) -> None:
        draw = self.draw
        kinds: dict[str, Callable[[], None]] = {
            "cancel": lambda: self._cancel(draw.choice(self.baton.actors)),
            "others": self._others,
        }
        if where in ("load", "loaded"):
            kinds["file vanished"] = lambda: _throw(Vanished)
        if where in ("load", "upload", "allocate"):
            kinds["out of memory"] = lambda: _throw(DeviceFull)
        if where == "on_load":
            kinds["callback raised"] = lambda: _throw(Told)
        if where in ("unload", "unloaded"):
            kinds["unload raised"] = lambda: _throw(DriverGone)
        if draw.random() < 0.05:
            kinds["device gone"] = self._device_goes
        name = draw.choice(sorted(kinds))
        self.report.faults[f"{name} at {where}"] += 1
        self.note("fault", name, where)
        kinds[name]()

    def _device_goes(self) -> None:
        self.device.is_gone = True

    def _others(self) -> None:
        """Another program takes or gives memory, sometimes all of it: a budget of zero."""
        free = BUDGET - self.device.used
        self.device.others = self.draw.choice([0, 0, 0, free // 2, free])

    def _cancel(self, actor: Actor) -> None:
        actor.cancelled = True
        self.manager.wake()

    # ---- what people do ---------------------------------------------------------------------------------------------

    def goes_on(self) -> bool:
        return self.report.operations < self.limit and self.failure is None

    def act(self, actor: Actor) -> None:
        self.report.operations += 1
        draw = self.draw
        self.clock.now += draw.choice((0.0, 0.1, 1.0, 5.0))
        if draw.random() < 0.1:  # the world heals
            self.device.is_gone, self.device.others = False, 0
        if draw.random() < 0.15:
            self._keep_house(actor)
        elif not actor.leases or (len(actor.leases) < 3 and draw.random() < 0.2):
            self._take(actor)
        elif draw.random() < 0.004:
            self.note("dies", actor.number)
            actor.is_alive_here = False
        else:
            self._give_back(actor)
        self._check_always()
        self._check_lent()
        self.baton.maybe_pass()

    def _take(self, actor: Actor) -> None:
        draw = self.draw
        names = draw.sample(sorted(SIZES), draw.choice((1, 1, 1, 2, 2, 3)))
        working = draw.choice((0, 0, 0, 5, 10, 30, 101))
        if draw.random() < 0.85:  # mostly what can be had, by streaming at worst
            least = "real" if self.device.unified else "least"
            while len(names) > 1 and sum(getattr(SIZES[name], least) for name in names) + working > BUDGET:
                names.pop()
            if names[0] == "huge" or getattr(SIZES[names[0]], least) + working > BUDGET:
                names, working = ["c"], 0
        actor.cancelled = draw.random() < 0.01
        lease = self.manager.lease(
            [self.parts[name] for name in names],
            working,
            job=str(actor.number),
            is_cancelled=lambda: self._is_cancelled(actor),
            on_load=lambda key, done, total: self.point("on_load"),
            work=draw.choice(("", "", "small", "large")),
            stream=draw.random() < 0.05,
        )
        self.note("asks", actor.number, names, working)
        how = "served"
        try:
            lease.__enter__()
        except EXPECTED as error:
            how = type(error).__name__
        else:
            actor.leases.append(lease)
            for name in names:
                assert lease[name].name == name
        if how != "served":
            assert lease.grant is None, f"{how} left a grant (I3)"
            if how == "Cancelled":
                assert actor.cancelled, "cancelled without having been (I4)"
        self.report.ended[how] += 1
        self.note("got", actor.number, how)

    def _is_cancelled(self, actor: Actor) -> bool:
        """Asked between chunks and while waiting; it may change its mind right here."""
        self.report.points["check"] += 1
        if not self.calm and self.draw.random() < 0.005:
            self.report.faults["cancel at check"] += 1
            actor.cancelled = True
        return actor.cancelled

    def _give_back(self, actor: Actor) -> None:
        lease = actor.leases.pop()
        self.device.work_peak = self.draw.choice((None, 0, 10, 40))
        self.note("returns", actor.number)
        lease.__exit__(None, None, None)

    def _keep_house(self, actor: Actor) -> None:
        draw, manager = self.draw, self.manager
        name = draw.choice(sorted(SIZES))
        what = draw.choice(
            ("pin", "unpin", "unpin", "unload", "sweep", "hint", "prefetch", "plan", "release idle")
        )
        self.note("keeps house", what, name)
        try:
            match what:
                case "pin" | "unpin":
                    manager.pin(name, what == "pin" and SIZES[name].real < 50)
                case "unload":
                    manager.unload(draw.choice(("", name)))
                case "sweep":
                    self.clock.now += draw.choice((0.0, 60.0, 300.0))
                    manager.sweep()
                case "hint":
                    upcoming = draw.sample(sorted(SIZES), draw.randint(0, 4))
                    manager.hint([self.parts[each] for each in upcoming])
                    manager._prefetcher._upcoming = tuple(self.parts[each] for each in upcoming)
                    manager._prefetcher._failed = set()
                case "prefetch":
                    manager._prefetcher._bring_next()
                case "plan":
                    manager.plan([self.parts[name]], draw.choice((0, 30)))
                case "release idle":
                    manager.release_idle()
        except EXPECTED as error:
            self.report.ended[f"house: {type(error).__name__}"] += 1

    def leave(self, actor: Actor) -> None:
        """At the end everyone returns what they hold, so that whoever waits is served or told."""
        self.calm = True
        self.device.is_gone, self.device.others = False, 0
        while actor.leases:
            self._give_back(actor)
            self.baton.maybe_pass()

    def gone(self, actor: Actor) -> None:
        """The thread ends, perhaps with leases that nobody returned; another takes its place."""
        baton = self.baton
        if not actor.is_alive_here and self.failure is None:
            self._start(actor.number)
        actor.leases = []
        baton.actors.remove(actor)
        if self.failure is not None:
            baton.finished.set()
        else:
            baton.hand_over(leaving=True)

    def note(self, *words: Any) -> None:
        """Something happened, and happens again in a replay."""
        self.baton.in_vain = 0
        self._digest.update(repr((round(self.clock.now, 3), self.ledger.committed, *words)).encode())

    # ---- what must hold ---------------------------------------------------------------------------------------------

    def _check_always(self) -> None:
        """At every point, whoever runs."""
        ledger, device = self.ledger, self.device
        assert 0 <= ledger.working <= ledger.committed <= BUDGET, "promised past the budget (I1)"
        if ledger.committed > self.before:
            assert ledger.committed <= ledger.capacity, "promised what others hold (I1)"
        self.before = ledger.committed
        assert device.used <= ledger.committed - ledger.working, "allocated what was not promised (I1)"

    def _check_lent(self) -> None:
        """Between two operations."""
        streamed_by: dict[str, int] = {}
        for actor in self.baton.actors:
            for lease in actor.leases:
                for entry in lease.entries:
                    held = entry.held
                    if entry.is_streamed:
                        by = streamed_by.setdefault(entry.key, actor.number)
                        assert by == actor.number, f"{entry.key} streams for two at once (I2)"
                    assert isinstance(held, MadeUpHeld), f"{entry.key} is lent and not here (I2)"
                    facts = (
                        entry.state is State.RESIDENT,
                        entry.leases > 0,
                        held.is_ready,
                        held.thing is entry.thing,
                    )
                    assert all(facts), f"{entry.key} was touched while lent: {facts} (I2)"
                    least = min(held.least_bytes, entry.nbytes)
                    assert held.device_bytes == entry.promised >= least, (
                        f"{entry.key} lost bytes while lent (I2)"
                    )
        for ticket in self.manager._line.queue:
            assert ticket.passed <= admission_module.MAX_PASSED, "passed too often (I4)"

    def _check_at_rest(self) -> None:
        """When every thread has left: nothing without an owner, and what is told is what is."""
        snapshot, ledger = self.manager.snapshot(), self.ledger
        self.manager._adopt_abandoned()
        entries = ledger.entries.values()
        assert all(e.state not in (State.LOADING, State.LEAVING) for e in entries), "left half-way (I3)"
        assert all(e.leases == e.leaving == 0 for e in entries), "lent to nobody (I3)"
        assert (self.manager._line.queue, ledger.lent, ledger.working) == ([], 0, 0), "something goes on (I3)"
        held = [e.held for e in entries if e.held is not None]
        on_device = {
            e.key: e.held.device_bytes for e in entries if e.held is not None and e.held.device_bytes
        }
        told = {
            c["key"]: c["nbytes"] for c in snapshot["components"] if c["state"] in ("resident", "partial")
        }
        assert {k: n for k, n in told.items() if n} == on_device, "told something else (I5)"
        assert sum(on_device.values()) == self.device.used == ledger.committed, "(I5)"
        assert snapshot["host_bytes"] == sum(each.host_bytes for each in held), "(I5)"
        counters = snapshot["counters"]
        assert counters["leases"] >= self.report.ended["served"] >= counters["hits"], "(I5)"


def _throw(kind: type[Exception]) -> None:
    raise kind(
        "made to fail here"
    )  # the frame keeps no name of it: a cycle would keep the leases of dead threads


def run(seed: int, operations: int) -> Report:
    """Raises AssertionError, saying which promise broke, or whatever else escaped."""
    return Simulation(seed, operations).run()
