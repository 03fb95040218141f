"""The memory manager: leases out, the right models in, idle ones away when room is needed.

One lock guards the ledger and is never held while the device, a loader or a callback works. Who cannot be served at once
takes a numbered ticket with its own event. Tickets are served in order; a later one goes ahead only when it fits as things
are, and past one that waits for bytes at most `MAX_PASSED` times. A thread that already holds a lease never waits for room
(it is told no instead), so nobody waits for anybody in a circle.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import Cancelled, StudioError, readable_bytes
from pipelines.memory import refusals
from pipelines.memory.lease import Grant, Lease
from pipelines.memory.ledger import Entry, Ledger, State, matches, missing, need_bytes
from pipelines.memory.mover import Mover, Readmit
from pipelines.memory.parts import Component, Device, Plan
from pipelines.memory.refusals import keys_of

MAX_PASSED = 3
HOST_KEEP_ALIVE = 4.0
"""Copies in host memory rest this many times longer than residents on the device."""


@dataclass(eq=False)
class _Ticket:
    number: int
    lease: Lease
    event: threading.Event = field(default_factory=threading.Event)
    passed: int = 0
    waits_for_bytes: bool = False


@dataclass(frozen=True)
class _Admit:
    absent: list[Entry]


@dataclass(frozen=True)
class _Evict:
    victims: list[Entry]


class _Wait: ...


class MemoryManager:
    """Lends components of one device.

    keep_alive_seconds: how long an idle component stays on the device after its last use, for `sweep`; negative means for
    ever. clock: seconds that only grow. poll_seconds: how often a waiter looks whether its job was cancelled.
    """

    def __init__(
        self,
        device: Device,
        *,
        keep_alive_seconds: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
        poll_seconds: float = 0.1,
    ) -> None:
        self.device = device
        self.keep_alive_seconds = keep_alive_seconds
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._ledger = Ledger(device.unified)
        self._ledger.capacity = device.budget_bytes()
        self._mover = Mover(device, self._ledger, self._lock, clock, self._wake, self._check)
        self._queue: list[_Ticket] = []
        self._numbers = itertools.count(1)
        self._active = 0
        self._own = threading.local()
        self._abandoned: deque[Lease] = deque()
        self._closed = False

    # ---- the front ------------------------------------------------------------------------------------------------

    def lease(
        self,
        components: Sequence[Component],
        working_bytes: int = 0,
        job: str = "",
        is_cancelled: Callable[[], bool] | None = None,
        on_load: Callable[[str, int, int], None] | None = None,
    ) -> Lease:
        """Borrow components together, all or none, with `working_bytes` for the work itself; a context manager.

        Entering waits its turn. It raises Cancelled, WontFit when it can never fit, OutOfMemory when what blocks it is not
        ours to move, and whatever a loader raises. on_load(key, done, total) tells of each component brought in; it may raise
        to stop.
        """
        return Lease(self, self.device.handle, components, working_bytes, job, is_cancelled, on_load)

    def plan(self, components: Sequence[Component], working_bytes: int = 0) -> Plan:
        """What that lease would do now, without doing it."""
        capacity, most = self.device.budget_bytes(), self.device.most_bytes()
        with self._lock:
            ledger = self._ledger
            ledger.capacity = capacity
            entries = [ledger.entry(component) for component in {c.key: c for c in components}.values()]
            need, free = need_bytes(entries, working_bytes), ledger.free
            refusal = refusals.never_fits(self.device, entries, working_bytes, most)
            if refusal is not None:
                return Plan(False, need, free, (), str(refusal.problem()))
            short = need_bytes(missing(entries), working_bytes) - free
            if short <= 0:
                return Plan(True, need, free, (), f"It fits: {readable_bytes(need)}.")
            victims = ledger.victims(short, self._clock(), keep=entries)
            if victims is not None:
                keys = tuple(entry.key for entry in victims)
                return Plan(True, need, free, keys, f"It fits when {', '.join(keys)} makes room.")
            if self._active:
                return Plan(True, need, free, (), "It fits when the jobs that run now are done.")
            return Plan(False, need, free, (), str(refusals.blocked(self.device, ledger, need).problem()))

    def hint(self, upcoming_keys: Sequence[str]) -> None:
        """Announce what will be wanted, soonest first; it is evicted last."""
        with self._lock:
            self._ledger.hints = tuple(upcoming_keys)

    def pin(self, prefix: str, pinned: bool = True) -> None:
        """Keep the components of that prefix (a model id) once they are resident, or stop keeping them."""
        with self._lock:
            self._ledger.pin(prefix, pinned)
            self._wake()

    def unload(self, prefix: str = "") -> int:
        """Drop idle components of that prefix from device and host memory; how many. Pinned ones go only when named."""

        def chosen(entry: Entry) -> bool:
            return entry.leases == 0 and matches(entry.key, prefix) and (bool(prefix) or not entry.pinned)

        return self._drop(chosen, f"asked to unload {prefix or 'what is idle'}")

    def sweep(self) -> int:
        """Let go of what has rested longer than the keep-alive; call it now and then. How many components left."""
        self._adopt_abandoned()
        if self.keep_alive_seconds < 0:
            return 0
        now, limit = self._clock(), self.keep_alive_seconds
        with self._lock:
            rested = [e for e in self._ledger.idle(State.RESIDENT) if now - e.last_used > limit]
            self._ledger.mark_leaving(rested)
            if rested:
                self._ledger.decide(f"{keys_of(rested)} left: not used for {limit:.0f} s")
        self._mover.let_go(rested)
        if rested:
            self.device.empty_cache()
        old = HOST_KEEP_ALIVE * limit
        return len(rested) + self._drop(
            lambda e: e.state is State.HOST and e.is_idle and now - e.last_used > old,
            f"not used for {old:.0f} s",
        )

    def snapshot(self) -> dict[str, Any]:
        """The ledger as plain JSON: every component here, and the sums that are promised."""
        with self._lock:
            return {
                "device": self.device.name,
                **self._ledger.snapshot(self._clock()),
                "waiting": len(self._queue),
            }

    def wake(self) -> None:
        """Have waiters look at once whether they were cancelled."""
        with self._lock:
            for ticket in self._queue:
                ticket.event.set()

    def close(self) -> None:
        """Lend nothing more, tell everyone who waits, drop what is idle."""
        with self._lock:
            self._closed = True
        self.wake()
        self._drop(lambda entry: entry.leases == 0, "the studio closed")

    # ---- what a lease calls ---------------------------------------------------------------------------------------

    def acquire(self, lease: Lease) -> None:
        """Grant the lease with everything resident, or raise. A hit takes microseconds: no device, no collector, no wait."""
        own: list[Grant] = self._own.__dict__.setdefault("grants", [])
        with self._lock:
            if lease.grant is not None:
                raise RuntimeError("this lease is already in use; make another")
            lease.entries = tuple(map(self._ledger.entry, lease.components))
            if not self._closed and (own or not self._queue) and self._is_hit(lease, own):
                self._grant(lease, own)
                return
        ticket = _Ticket(next(self._numbers), lease)
        try:
            self._serve(ticket, own)
        finally:
            with self._lock:
                if ticket in self._queue:
                    self._queue.remove(ticket)
                self._wake()

    def release(self, lease: Lease) -> None:
        with self._lock:
            grant, lease.grant = lease.grant, None
            if grant is None:
                return
            lease.own.remove(grant)
            self._ledger.promise_work(-grant.charged)
            now = self._clock()
            for entry in grant.entries:
                entry.leases -= 1
                entry.last_used = now
            self._active -= 1
            if self._queue:
                self._wake()

    def abandon(self, lease: Lease) -> None:
        """Called by the collector, which may run while this very thread holds the lock: only note it."""
        self._abandoned.append(lease)

    # ---- lending --------------------------------------------------------------------------------------------------

    def _is_hit(self, lease: Lease, own: list[Grant]) -> bool:
        for entry in lease.entries:
            if entry.state is not State.RESIDENT:
                return False
        return _work_to_charge(lease, own) <= self._ledger.free

    def _grant(self, lease: Lease, own: list[Grant]) -> None:
        lease.grant = Grant(lease.entries, lease.working_bytes, _work_to_charge(lease, own))
        lease.own = own
        self._ledger.promise_work(lease.grant.charged)
        now = self._clock()
        for entry in lease.entries:
            entry.leases += 1
            entry.used(now)
        self._active += 1
        own.append(lease.grant)

    def _serve(self, ticket: _Ticket, own: list[Grant]) -> None:
        """Work towards the ticket's lease until it is granted and everything is resident, or raise why not."""
        lease, surprises = ticket.lease, 0
        while True:
            self._check(lease)
            self._adopt_abandoned()
            capacity, most = self.device.budget_bytes(), self.device.most_bytes()
            with self._lock:
                self._ledger.capacity = capacity
                if ticket not in self._queue and not own:
                    self._queue.append(ticket)
                    self._queue.sort(key=lambda t: t.number)
                ticket.event.clear()
                step = self._next_step(ticket, own, most)
                if isinstance(step, _Admit):
                    if ticket in self._queue:
                        self._queue.remove(ticket)
                    for entry in step.absent:
                        entry.state = State.LOADING
                        self._ledger.promise(entry, entry.nbytes)
                    self._grant(lease, own)
            match step:
                case _Evict(victims):
                    self._mover.let_go(victims)
                case _Wait():
                    ticket.event.wait(self._poll_seconds)
                case _Admit(absent):
                    try:
                        self._mover.bring(lease, absent)
                        return
                    except BaseException as error:
                        self.release(lease)
                        if not isinstance(error, Readmit):
                            raise
                    surprises += 1
                    if surprises > 2 * len(lease.entries):
                        raise refusals.changes_size(lease.entries)

    def _check(self, lease: Lease) -> None:
        if lease.is_cancelled():
            raise Cancelled
        if self._closed:
            raise StudioError("The studio is closing.", hint="Start it again and run the job once more.")

    def _next_step(self, ticket: _Ticket, own: list[Grant], most: int) -> _Admit | _Wait | _Evict:
        """What the ticket may do now; victims are marked. Raises when waiting cannot help."""
        ledger, lease = self._ledger, ticket.lease
        entries, ticket.waits_for_bytes = lease.entries, False
        refusal = refusals.never_fits(self.device, entries, lease.working_bytes, most)
        if refusal is not None:
            raise refusal
        if any(entry.state in (State.LOADING, State.LEAVING) for entry in entries):
            return _Wait()  # another thread is at it, and its bytes are already counted
        absent = missing(entries)
        short = need_bytes(absent, _work_to_charge(lease, own)) - ledger.free
        if not own and self._queue[0] is not ticket:
            return _Admit(absent) if short <= 0 and self._may_pass(ticket) else _Wait()
        if short <= 0:
            return _Admit(absent)
        leaving = ledger.leaving_bytes()
        victims = ledger.victims(short - leaving, self._clock(), keep=entries)
        if victims:
            ledger.mark_leaving(victims)
            ledger.decide(
                f"{keys_of(victims)} left, quickest to bring back: "
                f"{keys_of(entries)} was {readable_bytes(short - leaving)} short"
            )
            return _Evict(victims)
        if victims is not None:
            return _Wait()  # what is leaving already will do
        if own:
            raise refusals.holds_already(
                self.device, ledger, (entry for outer in own for entry in outer.entries), entries, short
            )
        if self._active == 0 and not leaving:
            raise refusals.blocked(self.device, ledger, need_bytes(entries, lease.working_bytes))
        ticket.waits_for_bytes = True
        ledger.decide(f"{keys_of(entries)} waits: {readable_bytes(short)} of what it needs are lent")
        return _Wait()

    def _may_pass(self, ticket: _Ticket) -> bool:
        """Whether a later ticket that fits as things are may go ahead of those who wait for bytes; counts when it does."""
        ahead = [t for t in self._queue if t.number < ticket.number and t.waits_for_bytes]
        if any(t.passed >= MAX_PASSED for t in ahead):
            return False
        for t in ahead:
            t.passed += 1
        return True

    def _wake(self) -> None:
        for ticket in self._queue[: MAX_PASSED + 1]:
            ticket.event.set()

    def _drop(self, chosen: Callable[[Entry], bool], reason: str) -> int:
        here = (State.RESIDENT, State.HOST)
        with self._lock:
            entries = [e for e in self._ledger.entries.values() if e.state in here and chosen(e)]
            self._ledger.mark_leaving(entries)
            if entries:
                self._ledger.decide(f"{keys_of(entries)} left: {reason}")
        self._mover.let_go(entries, drop=True)
        return len(entries)

    def _adopt_abandoned(self) -> None:
        while self._abandoned:
            self.release(self._abandoned.popleft())


def _work_to_charge(lease: Lease, own: list[Grant]) -> int:
    """Working bytes to promise: only what exceeds an outer lease of the same thread when it covers the same components."""
    if not own:
        return lease.working_bytes
    held = {entry for outer in own for entry in outer.entries}
    if held.issuperset(lease.entries):
        return max(0, lease.working_bytes - max(outer.working_bytes for outer in own))
    return lease.working_bytes
