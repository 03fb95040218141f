"""The memory manager: leases out, the right models in, idle ones away when room is needed.

One lock guards the ledger and is never held while the device, a loader or a callback works. Who cannot be served at once
takes a numbered ticket with its own event; tickets are served in order, and a later one may pass the first three at most
three times each, only when it takes nothing away that is in use. A thread that already holds a lease never waits for room
(it is told no instead), so nobody waits for anybody in a circle.
"""

from __future__ import annotations

import gc
import itertools
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pipelines.errors import Cancelled, OutOfMemory, StudioError, readable_bytes
from pipelines.memory.ledger import Entry, Ledger, State, matches, missing, need_bytes
from pipelines.memory.parts import Component, Device, Plan, WontFit

log = logging.getLogger(__name__)

MAX_PASSED = 3
HOST_KEEP_ALIVE = 4.0
"""Copies in host memory rest this many times longer than residents on the device."""
_construction = threading.Lock()
"""Modules are built one at a time in the whole process: libraries patch torch globally while they do."""


class Lease:
    """Borrowed components: `with manager.lease([...]) as lease:`; `lease[key]` is the live object on `lease.device`.

    Nothing is borrowed before the block and nothing after it; components are evicted by nobody in between.
    """

    def __init__(
        self,
        manager: MemoryManager,
        components: Sequence[Component],
        working_bytes: int,
        job: str,
        is_cancelled: Callable[[], bool] | None,
        on_load: Callable[[str, int, int], None] | None,
    ) -> None:
        self.components = tuple({c.key: c for c in components}.values())
        self.working_bytes = max(0, int(working_bytes))
        self.job = job
        self.device: Any = manager.device.handle
        self.is_cancelled = is_cancelled or (lambda: False)
        self.on_load = on_load or (lambda key, done, total: None)
        self._manager = manager
        self.entries: tuple[Entry, ...] = ()
        self.charged = 0  # working bytes this lease has promised; less than asked when it merged into another
        self.siblings: list[Lease] | None = None  # all leases of the thread that took this one

    def __enter__(self) -> Lease:
        self._manager._acquire(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager._release(self)

    def __getitem__(self, which: str | Component) -> Any:
        key = which if isinstance(which, str) else which.key
        for entry in self.entries:
            if entry.key == key:
                return entry.thing
        raise KeyError(f"{key} is not part of this lease")

    def __del__(self) -> None:
        if (
            self.siblings is not None
        ):  # its thread died inside the block; locking here could deadlock with the collector
            self._manager._orphans.append(self)


@dataclass(eq=False)
class _Ticket:
    number: int
    lease: Lease
    event: threading.Event = field(default_factory=threading.Event)
    passed: int = 0
    waits_for_bytes: bool = False


class _Admit:
    pass


class _Wait:
    pass


@dataclass(frozen=True)
class _Evict:
    victims: list[Entry]


class _Readmit(Exception):
    """A component turned out larger than promised and does not fit beside what is lent now."""


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
        self._queue: list[_Ticket] = []
        self._numbers = itertools.count(1)
        self._active = 0
        self._own = threading.local()
        self._orphans: deque[Lease] = deque()
        self._last_decision = ""
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
        return Lease(self, components, working_bytes, job, is_cancelled, on_load)

    def plan(self, components: Sequence[Component], working_bytes: int = 0) -> Plan:
        """What that lease would do now, without doing it."""
        capacity, most = self.device.budget_bytes(), self.device.most_bytes()
        components = tuple({c.key: c for c in components}.values())
        with self._lock:
            self._ledger.capacity = capacity
            entries = [self._ledger.entry(component) for component in components]
            need, free = need_bytes(entries, working_bytes), self._ledger.free
            short = need - sum(entry.promised for entry in entries) - free
            if (refusal := self._never(entries, working_bytes, most)) is not None:
                return Plan(False, need, free, (), str(refusal.problem()))
            if short <= 0:
                return Plan(True, need, free, (), f"Fits: needs {readable_bytes(need)}.")
            victims = self._ledger.victims(short, self._clock(), keep=entries)
            if victims is not None:
                keys = tuple(entry.key for entry in victims)
                return Plan(True, need, free, keys, f"Fits once {', '.join(keys)} made room.")
            if self._active:
                return Plan(True, need, free, (), "Fits once the jobs running now are done.")
            return Plan(False, need, free, (), str(self._blocked(need).problem()))

    def hint(self, upcoming_keys: Sequence[str]) -> None:
        """Announce what will be wanted, soonest first; it is evicted last."""
        with self._lock:
            self._ledger.hints = tuple(upcoming_keys)

    def pin(self, prefix: str, pinned: bool = True) -> None:
        """Keep the components of that prefix (a model id) once they are resident, or stop keeping them."""
        with self._lock:
            (self._ledger.pins.add if pinned else self._ledger.pins.discard)(prefix)
            for entry in self._ledger.entries.values():
                entry.pinned = any(matches(entry.key, pin) for pin in self._ledger.pins)
            self._wake()

    def unload(self, prefix: str = "") -> int:
        """Drop idle components of that prefix from device and host memory, pinned ones too; how many were dropped."""

        def chosen(entry: Entry) -> bool:
            return entry.leases == 0 and matches(entry.key, prefix)

        return self._drop_where(chosen, f"asked to unload {prefix or 'everything idle'}")

    def sweep(self) -> int:
        """Let go of what has rested longer than the keep-alive; call it now and then. How many components left."""
        self._adopt_orphans()
        if self.keep_alive_seconds < 0:
            return 0
        now, limit = self._clock(), self.keep_alive_seconds
        with self._lock:
            rested = [e for e in self._ledger.idle(State.RESIDENT) if now - e.last_used > limit]
            self._mark_leaving(rested)
            if rested:
                self._last_decision = f"{_keys(rested)} rested longer than {limit:.0f} s"
        self._evict(rested)
        if rested:
            self.device.empty_cache()
        old = HOST_KEEP_ALIVE * limit
        return len(rested) + self._drop_where(
            lambda e: e.state is State.HOST and e.is_idle and now - e.last_used > old,
            f"rested in host memory longer than {old:.0f} s",
        )

    def snapshot(self) -> dict[str, Any]:
        """The ledger as plain JSON: every component here, and the sums that were promised."""
        with self._lock:
            now, ledger = self._clock(), self._ledger
            return {
                "device": self.device.name,
                "budget_bytes": ledger.capacity,
                "committed_bytes": ledger.committed,
                "working_bytes": ledger.working,
                "host_bytes": ledger.host_bytes(),
                "components": [
                    {
                        "key": entry.key,
                        "nbytes": entry.nbytes if entry.state is State.HOST else entry.promised,
                        "state": str(entry.state),
                        "leases": entry.leases,
                        "pinned": entry.pinned,
                        "idle_seconds": round(now - entry.last_used, 3) if not entry.leases else 0.0,
                        "last_used": entry.last_used,
                    }
                    for entry in ledger.entries.values()
                    if entry.state is not State.ABSENT
                ],
                "waiting": len(self._queue),
                "last_decision": self._last_decision,
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
        self.unload()

    # ---- lending --------------------------------------------------------------------------------------------------

    def _acquire(self, lease: Lease) -> None:
        own: list[Lease] = self._own.__dict__.setdefault("leases", [])
        with self._lock:
            if lease.siblings is not None:
                raise RuntimeError("this lease is already in use")
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

    def _is_hit(self, lease: Lease, own: list[Lease]) -> bool:
        for entry in lease.entries:
            if entry.state is not State.RESIDENT:
                return False
        return self._work_to_charge(lease, own) <= self._ledger.free

    @staticmethod
    def _work_to_charge(lease: Lease, own: list[Lease]) -> int:
        """Working bytes to promise: only what exceeds an outer lease of the same thread on the same components."""
        if not own:
            return lease.working_bytes
        held = {entry for outer in own for entry in outer.entries}
        if held.issuperset(lease.entries):
            return max(0, lease.working_bytes - max(outer.working_bytes for outer in own))
        return lease.working_bytes

    def _grant(self, lease: Lease, own: list[Lease]) -> None:
        lease.charged = self._work_to_charge(lease, own)
        self._ledger.promise_work(lease.charged)
        now = self._clock()
        for entry in lease.entries:
            entry.leases += 1
            entry.used(now)
        self._active += 1
        own.append(lease)
        lease.siblings = own

    def _release(self, lease: Lease) -> None:
        with self._lock:
            siblings, lease.siblings = lease.siblings, None
            if siblings is None:
                return
            siblings.remove(lease)
            self._ledger.promise_work(-lease.charged)
            now = self._clock()
            for entry in lease.entries:
                entry.leases -= 1
                entry.last_used = now
            lease.entries = ()
            self._active -= 1
            if self._queue:
                self._wake()

    def _serve(self, ticket: _Ticket, own: list[Lease]) -> None:
        """Work towards the ticket's lease until it is granted and everything is resident, or raise why not."""
        lease, surprises = ticket.lease, 0
        while True:
            self._check(lease)
            self._adopt_orphans()
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
                    absent = missing(lease.entries)
                    for entry in absent:
                        entry.state = State.LOADING
                        self._ledger.promise(entry, entry.nbytes)
                    self._grant(lease, own)
            if isinstance(step, _Evict):
                self._evict(step.victims)
            elif isinstance(step, _Wait):
                ticket.event.wait(self._poll_seconds)
            else:
                try:
                    self._bring(lease, absent)
                    return
                except _Readmit:
                    surprises += 1
                    if surprises > 2 * len(lease.entries):
                        raise OutOfMemory(
                            "A model changes its size every time it is loaded.",
                            detail=f"It is one of {_keys(lease.entries)}.",
                            hint="Report this with the name of the model.",
                        ) from None

    def _check(self, lease: Lease) -> None:
        if lease.is_cancelled():
            raise Cancelled
        if self._closed:
            raise StudioError("The studio is closing.", hint="Start it again and run the job once more.")

    def _next_step(self, ticket: _Ticket, own: list[Lease], most: int) -> _Admit | _Wait | _Evict:
        """What the ticket may do now; victims are marked. Raises when waiting cannot help."""
        ledger, lease = self._ledger, ticket.lease
        entries = lease.entries
        ticket.waits_for_bytes = False
        if (refusal := self._never(entries, lease.working_bytes, most)) is not None:
            raise refusal
        if any(entry.state in (State.LOADING, State.LEAVING) for entry in entries):
            return _Wait()  # another thread is at it; its bytes are already counted
        work = self._work_to_charge(lease, own)
        short = need_bytes(missing(entries), work) - ledger.free
        if not own and self._queue[0] is not ticket:
            return self._pass(ticket) if short <= 0 else _Wait()
        if short <= 0:
            self._last_decision = f"lent {_keys(entries)} to {lease.job or 'a job'}: it fits"
            return _Admit()
        leaving = ledger.leaving_bytes()
        victims = ledger.victims(short - leaving, self._clock(), keep=entries)
        if victims:
            self._mark_leaving(victims)
            self._last_decision = f"{_keys(victims)} left, cheapest to bring back, {readable_bytes(short)} were short for {_keys(entries)}"
            return _Evict(victims)
        if victims is not None:
            return _Wait()  # what is leaving already is enough
        if own:
            raise self._holding(own, entries, short)
        if self._active == 0 and not leaving:
            raise self._blocked(need_bytes(entries, lease.working_bytes))
        ticket.waits_for_bytes = True
        self._last_decision = f"{_keys(entries)} waits for {readable_bytes(short)} that are lent"
        return _Wait()

    def _pass(self, ticket: _Ticket) -> _Admit | _Wait:
        """A later ticket that fits as things are goes ahead of those who wait for bytes, a bounded number of times."""
        ahead = [t for t in self._queue if t.number < ticket.number and t.waits_for_bytes]
        if any(t.passed >= MAX_PASSED for t in ahead):
            return _Wait()
        for t in ahead:
            t.passed += 1
        return _Admit()

    def _wake(self) -> None:
        for ticket in self._queue[: MAX_PASSED + 1]:
            ticket.event.set()

    # ---- bringing in and letting go (never under the lock) -----------------------------------------------------------

    def _bring(self, lease: Lease, absent: list[Entry]) -> None:
        """Load what is missing; on any exception the lease is given back and every state is valid again."""
        loaders = {component.key: component for component in lease.components}
        try:
            for done, entry in enumerate(absent):
                self._check(lease)
                lease.on_load(entry.key, done, len(absent))
                self._load(entry, loaders[entry.key], lease)
            if absent:
                lease.on_load(absent[-1].key, len(absent), len(absent))
        except BaseException:
            for entry in absent:
                if entry.state is State.LOADING:
                    self._let_go(entry)
            self._release(lease)
            raise

    def _load(self, entry: Entry, component: Component, lease: Lease) -> None:
        if entry.held is None:
            self._make_host_room(entry.nbytes)
            with _construction:
                self._check(lease)
                started = self._clock()
                entry.thing = self._with_room(component.load, entry)
                entry.load_seconds = self._clock() - started
            entry.held = self.device.hold(entry.thing)
            self._correct_size(entry, entry.held.nbytes)
        started = self._clock()
        self._with_room(entry.held.upload, entry)
        entry.upload_seconds = self._clock() - started
        with self._lock:
            entry.state = State.RESIDENT
            entry.last_used = self._clock()
            self._wake()

    def _with_room(self, work: Callable[[], Any], entry: Entry) -> Any:
        """Do it; if the device runs out of memory all the same, evict everything idle and try once more."""
        try:
            return work()
        except BaseException as error:
            if not self.device.is_out_of_memory(error):
                raise
        log.warning("out of memory while bringing %s; evicting everything idle", entry.key)
        with self._lock:
            victims = self._ledger.idle(State.RESIDENT)
            self._mark_leaving(victims)
        self._evict(victims)
        self.device.empty_cache()
        try:
            return work()
        except BaseException as error:
            if not self.device.is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"{self.device.name} ran out of memory while loading {entry.key}.",
                detail=f"It needs {readable_bytes(entry.nbytes)}; the budget said {readable_bytes(self._ledger.capacity)}.",
                hint="Close other programs that use the device, or set a smaller budget with --vram-budget.",
            ) from error

    def _correct_size(self, entry: Entry, real: int | None) -> None:
        """Replace the estimate by the measured size, evicting for the difference; raises _Readmit when that is not enough."""
        while real is not None:
            with self._lock:
                short = real - entry.promised - self._ledger.free
                if short <= 0:
                    entry.nbytes = real
                    self._ledger.promise(entry, real)
                    self._wake()
                    return
                entry.nbytes = real
                victims = self._ledger.victims(short, self._clock())
                if not victims:
                    raise _Readmit
                self._mark_leaving(victims)
                self._last_decision = f"{_keys(victims)} left: {entry.key} is larger than expected"
            self._evict(victims)

    def _mark_leaving(self, victims: Sequence[Entry]) -> None:
        for entry in victims:
            assert entry.leases == 0, f"{entry.key} is lent"
            entry.state = State.LEAVING

    def _evict(self, victims: Sequence[Entry]) -> None:
        for entry in victims:
            self._let_go(entry)
        if victims and self.device.unified:
            self.device.empty_cache()

    def _let_go(self, entry: Entry, drop: bool = False) -> None:
        """Take a component this thread owns (LOADING or LEAVING) off the device: to its host copy, or away altogether."""
        held, thing = entry.held, entry.thing
        try:
            if held is not None:
                held.unload()
        except Exception:
            log.exception("could not unload %s; dropping it", entry.key)
            drop = True
        if self.device.unified or drop:
            entry.held, entry.thing = None, None
        ghost = _weak(thing) if entry.held is None else None
        held = thing = None
        if ghost is not None and ghost() is not None:
            gc.collect()
            if ghost() is not None:
                log.warning("%s was dropped but something still refers to it", entry.key)
        with self._lock:
            self._ledger.promise(entry, 0)
            entry.state = State.HOST if entry.held is not None else State.ABSENT
            self._wake()

    def _drop_where(self, chosen: Callable[[Entry], bool], reason: str) -> int:
        with self._lock:
            here = (State.RESIDENT, State.HOST)
            entries = [e for e in self._ledger.entries.values() if e.state in here and chosen(e)]
            self._mark_leaving(entries)
            if entries:
                self._last_decision = f"{_keys(entries)} left: {reason}"
        for entry in entries:
            self._let_go(entry, drop=True)
        if entries:
            self.device.empty_cache()
        return len(entries)

    def _make_host_room(self, nbytes: int) -> None:
        """Drop evicted components' host copies, cheapest to read again first, until `nbytes` more fit the RAM budget."""
        if self.device.unified:
            return
        budget = self.device.host_budget_bytes()
        with self._lock:
            short = self._ledger.host_bytes() + nbytes - budget
            if short <= 0:
                return
            victims = self._ledger.victims(short, self._clock(), state=State.HOST)
            if victims is None:
                victims = self._ledger.idle(State.HOST)
            self._mark_leaving(victims)
        for entry in victims:
            self._let_go(entry, drop=True)

    def _adopt_orphans(self) -> None:
        while self._orphans:
            self._release(self._orphans.popleft())

    # ---- refusals -------------------------------------------------------------------------------------------------

    def _never(self, entries: Sequence[Entry], working_bytes: int, most: int) -> WontFit | None:
        need = need_bytes(entries, working_bytes)
        if need <= most:
            return None
        return WontFit(
            f"This needs about {readable_bytes(need)} and the device has {readable_bytes(most)}.",
            detail=f"{readable_bytes(need - working_bytes)} for the model and {readable_bytes(working_bytes)} to work in, "
            f"on {self.device.name}.",
            hint="Try a smaller size, fewer items at once, or a smaller model; or allow more with --vram-budget.",
        )

    def _blocked(self, need: int) -> OutOfMemory:
        ledger = self._ledger
        pinned = sum(e.promised for e in ledger.entries.values() if e.pinned)
        if pinned:
            return OutOfMemory(
                f"This needs about {readable_bytes(need)} and pinned models hold {readable_bytes(pinned)}.",
                detail=f"The budget of {self.device.name} is {readable_bytes(ledger.capacity)} now.",
                hint="Unpin a model on the Models tab, or try a smaller size.",
            )
        return OutOfMemory(
            f"This needs about {readable_bytes(need)} and only {readable_bytes(max(0, ledger.capacity))} are free now.",
            detail=f"Other programs hold the rest of the {readable_bytes(self.device.most_bytes())} of {self.device.name}.",
            hint="Close a program that uses the device and try again, or pick a smaller model.",
        )

    def _holding(self, own: list[Lease], entries: Sequence[Entry], short: int) -> OutOfMemory:
        held = {entry.key: entry for lease in own for entry in lease.entries}
        return OutOfMemory(
            f"This job already holds {_keys(list(held.values()))} and there is no room for {_keys(entries)} beside it.",
            detail=f"{readable_bytes(short)} are missing of {readable_bytes(self._ledger.capacity)} on {self.device.name}.",
            hint="Try a smaller size, or ask for both in one lease.",
        )


def _keys(entries: Sequence[Entry]) -> str:
    return ", ".join(entry.key for entry in entries) or "nothing"


def _weak(thing: object) -> weakref.ref[Any] | None:
    try:
        return weakref.ref(thing)
    except TypeError:
        return None
