"""The memory manager: leases out, the right models in, idle ones away when room is needed.

One lock guards the ledger and is never held while the device, a loader or a callback works. Who cannot be served at once
takes a numbered ticket with its own event. Tickets are served in order; a later one goes ahead only when it fits as things
are, and past one that waits for bytes at most `MAX_PASSED` times. A thread that already holds a lease never waits for room
(it is told no instead), so nobody waits for anybody in a circle.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.errors import Cancelled, StudioError, readable_bytes
from pipelines.memory import refusals
from pipelines.memory.lease import Grant, Lease
from pipelines.memory.ledger import Entry, Ledger, State, missing, missing_bytes, named, need_bytes
from pipelines.memory.mover import Errand, Mover, Readmit
from pipelines.memory.parts import Component, Device, Plan
from pipelines.memory.prefetch import Prefetcher
from pipelines.memory.refusals import keys_of

if TYPE_CHECKING:
    from pipelines.memory.learned import WorkingSets

log = logging.getLogger(__name__)

MAX_PASSED = 3
SAVE_SECONDS = 5.0
UNPIN_AFTER, HOST_KEEP_ALIVE = 2.0, 4.0
"""Copies in host memory stay page-locked, and stay at all, this many times longer than residents on the device."""


@dataclass(eq=False)
class _Ticket:
    number: int
    lease: Lease
    event: threading.Event = field(default_factory=threading.Event)
    passed: int = 0
    waits_for_bytes: bool = False


@dataclass(frozen=True)
class _Admit:
    wanted: Mapping[Entry, int]


@dataclass(frozen=True)
class _Evict:
    victims: Sequence[tuple[Entry, int]]


class _Wait: ...


class MemoryManager:
    """Lends components of one device.

    keep_alive_seconds: how long an idle component stays on the device after its last use, for `sweep`; negative means for
    ever. working_sets: what earlier work really took, to promise that instead of a guess. prefetch: bring in what was announced
    while there is room. clock: seconds that only grow. poll_seconds: how often a waiter looks whether its job was cancelled.
    """

    def __init__(
        self,
        device: Device,
        *,
        keep_alive_seconds: float = 600.0,
        working_sets: WorkingSets | None = None,
        prefetch: bool = True,
        clock: Callable[[], float] = time.monotonic,
        poll_seconds: float = 0.1,
    ) -> None:
        self.device = device
        self.keep_alive_seconds = keep_alive_seconds
        self.working_sets = working_sets
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._ledger = Ledger(device.streams)
        self._ledger.capacity = device.budget_bytes()
        self._mover = Mover(device, self._ledger, self._lock, clock, self._wake)
        self._prefetcher = Prefetcher(device, self._ledger, self._lock, self._mover, self._is_wanted_more)
        self._prefetches = prefetch and keep_alive_seconds != 0  # it would be let go before its job comes
        self._queue: list[_Ticket] = []
        self._numbers = itertools.count(1)
        self._active = 0
        self._begun = 0
        self._settled = 0  # how much had begun when the device was last settled
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
        work: str = "",
        stream: bool = False,
    ) -> Lease:
        """Borrow components together, all or none, with `working_bytes` for the work itself; a context manager.

        Entering waits its turn. It raises Cancelled, WontFit when it can never fit, OutOfMemory when what blocks it is not
        ours to move, and whatever a loader raises. on_load(key, done, total) tells of each component brought in; it may raise
        to stop. work: names the operation and its size, so that what it takes is measured and promised the next time.
        stream: keep as little of the components on the device as they can work with.
        """
        working_bytes = self._working_bytes(work, working_bytes)
        return Lease(
            self, self.device.handle, components, working_bytes, job, is_cancelled, on_load, work, stream
        )

    def plan(self, components: Sequence[Component], working_bytes: int = 0, work: str = "") -> Plan:
        """What that lease would do now, without doing it."""
        working_bytes = self._working_bytes(work, working_bytes)
        capacity, most = self.device.budget_bytes(), self.device.most_bytes()
        with self._lock:
            ledger = self._ledger
            ledger.capacity = capacity
            entries = [ledger.entry(component) for component in {c.key: c for c in components}.values()]
            wanted = ledger.targets(entries, most - working_bytes)
            if wanted is None:
                refusal = refusals.never_fits(self.device, entries, working_bytes, most)
                need = sum(entry.nbytes for entry in entries) + working_bytes
                return Plan(False, need, ledger.free, (), str(refusal.problem()))
            short = missing_bytes(wanted) + working_bytes - ledger.free
            victims = ledger.victims(short, self._clock(), keep=entries)
            if victims is None and not self._is_moving():
                wanted = ledger.targets(entries, self._room(entries) - working_bytes) or wanted
                short = missing_bytes(wanted) + working_bytes - ledger.free
                victims = ledger.victims(short, self._clock(), keep=entries)
            need = need_bytes(wanted, working_bytes)
            if victims is None and not self._is_moving():
                reason = str(refusals.blocked(self.device, ledger, need).problem())
                return Plan(False, need, ledger.free, (), reason)
            keys = tuple(entry.key for entry, _ in victims or ())
            streamed = tuple(entry.key for entry, nbytes in wanted.items() if nbytes < entry.nbytes)
            if victims is None:
                reason = "It fits when the jobs that run now are done."
            elif keys:
                reason = f"It fits when {', '.join(keys)} makes room."
            else:
                reason = f"It fits: {readable_bytes(need)}."
            if streamed:
                reason += f" {', '.join(streamed)} passes through the device piece by piece, which is slower."
            seconds = sum(
                entry.restore_seconds(nbytes - entry.promised, entry.held is None)
                for entry, nbytes in wanted.items()
                if entry in missing(wanted)
            )
            return Plan(
                True, need, ledger.free, keys, reason, "streamed" if streamed else "full", streamed, seconds
            )

    def hint(self, upcoming: Sequence[Component]) -> None:
        """Announce what will be wanted, soonest first: it is evicted last, and brought in while there is room to spare."""
        with self._lock:
            self._ledger.hints = {c.key: rank for rank, c in reversed(list(enumerate(upcoming)))}
            for component in upcoming:
                self._ledger.entry(component)
            closed = self._closed
        if self._prefetches and not closed:
            self._prefetcher.announce(upcoming)

    def pin(self, prefix: str, pinned: bool = True) -> None:
        """Keep the components of that model once they are resident, or stop keeping them."""
        with self._lock:
            self._ledger.pin(prefix, pinned)
            self._wake()

    def unload(self, prefix: str = "") -> int:
        """Drop idle components of that model from device and host memory; how many. Pinned ones go only when named."""

        def chosen(entry: Entry) -> bool:
            if entry.leases or not named(entry, prefix):
                return False
            return not self._ledger.pinned_by_others(entry, prefix)

        return self._drop(chosen, f"asked to unload {prefix or 'what is idle'}")

    def release_idle(self) -> int:
        """Take everything idle off the device, host copies stay; for work that ran out of memory. How many components."""
        return self._mover.let_go_idle("a job ran out of memory")

    def ran_out(self, lease: Lease, why: str) -> None:
        """The work under this lease ran out of memory: tell it, and promise more for such work from now on."""
        with self._lock:
            self._ledger.counters.out_of_memory += 1
            self._ledger.tell("oom", lease.entries, why)
        if lease.work and self.working_sets is not None:
            self.working_sets.overrun(lease.work)

    def sweep(self) -> int:
        """Let go of what has rested longer than the keep-alive, and of what other programs need the room of.

        Call it now and then. How many components left.
        """
        self._adopt_abandoned()
        if self.working_sets is not None:
            self.working_sets.save(at_most_every=SAVE_SECONDS)
        with self._lock:
            is_over = self._active == 0 and self._begun != self._settled
            if is_over:
                self._settled = self._begun
        if is_over:
            self.device.settle()
        return self._yield_to_others() + self._rest()

    def _yield_to_others(self) -> int:
        capacity = self.device.budget_bytes()
        with self._lock:
            ledger = self._ledger
            ledger.capacity = capacity
            short = ledger.committed - ledger.leaving_bytes() - capacity
            if short <= 0:
                return 0
            victims = ledger.victims(short, self._clock())
            if victims is None:
                victims = [(entry, 0) for entry in ledger.idle_on_device()]
            ledger.mark_leaving(victims)
            if victims:
                left = [entry for entry, _ in victims]
                why = (
                    f"{keys_of(left)} left: other programs took {readable_bytes(short)} of {self.device.name}"
                )
                ledger.tell("evict", left, why, short)
        self._mover.let_go(victims)
        if victims:
            self.device.empty_cache()
        return len(victims)

    def _rest(self) -> int:
        now, limit = self._clock(), self.keep_alive_seconds
        if limit < 0:
            return 0
        with self._lock:
            idle = [e for e in self._ledger.idle_on_device() if e.key not in self._ledger.hints or not limit]
            rested = [(e, 0) for e in idle if now - e.last_used > limit]
            self._ledger.mark_leaving(rested)
            if rested:
                why = f"{keys_of(e for e, _ in rested)} left: not used for {limit:.0f} s"
                self._ledger.tell("rest", [e for e, _ in rested], why)
            unpin = [
                e.held
                for e in self._ledger.idle(State.HOST)
                if e.held is not None and e.held.pinned_bytes and now - e.last_used > UNPIN_AFTER * limit
            ]
        self._mover.let_go(rested)
        for held in unpin:
            held.unpin_host()
        if rested:
            self.device.empty_cache()
        old = HOST_KEEP_ALIVE * limit
        return len(rested) + self._drop(
            lambda e: e.state is State.HOST and e.is_idle and now - e.last_used > old,
            f"not used for {old:.0f} s",
        )

    def snapshot(self) -> dict[str, Any]:
        """The ledger as plain JSON: every component here, the sums that are promised, what was decided and why."""
        host_budget = 0 if self.device.unified else self.device.host_budget_bytes()
        with self._lock:
            return {
                "device": self.device.name,
                "host_budget_bytes": host_budget,
                **self._ledger.snapshot(self._clock()),
                "waiting": len(self._queue),
            }

    def events(self) -> list[dict[str, Any]]:
        """The last decisions, oldest first: what, which keys, why, how many bytes."""
        with self._lock:
            return list(self._ledger.events)

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
        self._prefetcher.close()
        self._drop(lambda entry: entry.leases == 0, "the studio closed")
        if self.working_sets is not None:
            self.working_sets.save()

    # ---- what a lease calls ---------------------------------------------------------------------------------------

    def acquire(self, lease: Lease) -> None:
        """Grant the lease with everything resident, or raise. A hit takes microseconds: no device, no collector, no wait."""
        own: list[Grant] = self._own.__dict__.setdefault("grants", [])
        with self._lock:
            if lease.grant is not None:
                raise RuntimeError("this lease is already in use; make another")
            lease.entries = tuple(map(self._ledger.entry, lease.components))
            is_hit = not self._closed and (bool(own) or not self._queue) and self._is_hit(lease, own)
            if is_hit:
                self._ledger.counters.hits += 1
                self._grant(lease, own)
        if not is_hit:
            self._wait_for(lease, own)
        if lease.work and self.working_sets is not None and not own[:-1]:
            with _measuring():
                self.device.start_peak()

    def release(self, lease: Lease) -> None:
        grant = lease.grant
        if grant is None:
            return
        peak = None
        if lease.work and self.working_sets is not None and lease.own[0] is grant:
            with _measuring():
                peak = self.device.peak_bytes()
        with self._lock:
            lease.grant = None
            lease.own.remove(grant)
            self._ledger.promise_work(-grant.charged)
            now = self._clock()
            for entry in grant.entries:
                entry.leases -= 1
                entry.last_used = now
            self._active -= 1
            is_alone = self._active == 0 and self._begun == grant.epoch
            if self._queue:
                self._wake()
        if peak is not None and self.working_sets is not None:
            self.working_sets.observe(lease.work, peak, is_alone)
        self._prefetcher.wake()

    def abandon(self, lease: Lease) -> None:
        """Called by the collector, which may run while this very thread holds the lock: only note it."""
        self._abandoned.append(lease)

    # ---- lending --------------------------------------------------------------------------------------------------

    def _working_bytes(self, work: str, prior: int) -> int:
        if not work or self.working_sets is None:
            return prior
        return self.working_sets.estimate(work, prior)

    def _is_hit(self, lease: Lease, own: list[Grant]) -> bool:
        for entry in lease.entries:
            if entry.state is not State.RESIDENT or (
                entry.promised < entry.nbytes and not _holds(own, entry)
            ):
                return False
        return not lease.stream and _work_to_charge(lease, own) <= self._ledger.free

    def _grant(self, lease: Lease, own: list[Grant]) -> None:
        self._active += 1
        self._begun += 1
        charged = _work_to_charge(lease, own)
        lease.grant = Grant(lease.entries, lease.working_bytes, charged, self._begun)
        lease.own = own
        self._ledger.promise_work(charged)
        counters, now = self._ledger.counters, self._clock()
        counters.leases += 1
        for entry in lease.entries:
            entry.leases += 1
            entry.used(now)
            if entry.prefetched:
                entry.prefetched = False
                counters.prefetch_hits += 1
        own.append(lease.grant)

    def _wait_for(self, lease: Lease, own: list[Grant]) -> None:
        ticket = _Ticket(next(self._numbers), lease)
        try:
            self._serve(ticket, own)
        finally:
            with self._lock:
                if ticket in self._queue:
                    self._queue.remove(ticket)
                self._wake()
            self._prefetcher.wake()

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
                try:
                    step = self._next_step(ticket, own, most)
                except StudioError as refusal:
                    self._ledger.counters.refusals += 1
                    self._ledger.tell("refuse", lease.entries, refusal.message)
                    raise
                if isinstance(step, _Admit):
                    if ticket in self._queue:
                        self._queue.remove(ticket)
                    for entry, nbytes in step.wanted.items():
                        entry.state = State.LOADING
                        self._ledger.promise(entry, nbytes)
                    self._grant(lease, own)
                elif isinstance(step, _Wait):
                    self._ledger.counters.waits += 1
            match step:
                case _Evict(victims):
                    self._mover.let_go(victims)
                case _Wait():
                    started = self._clock()
                    ticket.event.wait(self._poll_seconds)
                    with self._lock:
                        self._ledger.counters.wait_seconds += self._clock() - started
                case _Admit(wanted):
                    loaders = {component.key: component for component in lease.components}
                    errand = Errand(wanted, loaders, lambda: self._check(lease), lease.on_load)
                    try:
                        self._mover.bring(errand)
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
        if any(entry.state in (State.LOADING, State.LEAVING) for entry in entries):
            return _Wait()  # another thread is at it, and its bytes are already counted
        if any(entry.leases and entry.state is not State.RESIDENT for entry in entries):
            return _Wait()  # whoever borrowed it failed to bring it in, and is about to give it back
        if any(entry.is_streamed and entry.leases and not _holds(own, entry) for entry in entries):
            return _Wait()  # one at a time: its pieces come and go with the work of its borrower
        work = _work_to_charge(lease, own)
        wanted = ledger.targets(entries, most - lease.working_bytes, lease.stream)
        if wanted is None:
            raise refusals.never_fits(self.device, entries, lease.working_bytes, most)
        if not own and self._queue[0] is not ticket:
            short = missing_bytes(wanted) + work - ledger.free
            is_whole = all(entry.promised <= nbytes for entry, nbytes in wanted.items())
            if short <= 0 and is_whole and self._may_pass(ticket):
                return self._admit(wanted)
            return _Wait()
        while True:
            too_much = [(e, nbytes) for e, nbytes in wanted.items() if e.promised > nbytes and not e.leases]
            if too_much:
                ledger.mark_leaving(too_much)
                return _Evict(too_much)
            short = missing_bytes(wanted) + work - ledger.free
            if short <= 0:
                return self._admit(wanted)
            leaving = ledger.leaving_bytes()
            victims = ledger.victims(short - leaving, self._clock(), keep=entries)
            if victims:
                ledger.mark_leaving(victims)
                why = (
                    f"{keys_of(e for e, _ in victims)} left, quickest to bring back: "
                    f"{keys_of(entries)} was {readable_bytes(short - leaving)} short"
                )
                ledger.tell("evict", [e for e, _ in victims], why, short - leaving)
                return _Evict(victims)
            if victims is not None:
                return _Wait()  # what is leaving already will do
            if own:
                outer = (entry for grant in own for entry in grant.entries)
                raise refusals.holds_already(self.device, ledger, outer, entries, short)
            if self._is_moving():
                if not ticket.waits_for_bytes:
                    ticket.waits_for_bytes = True
                    why = f"{keys_of(entries)} waits: {readable_bytes(short)} of what it needs are lent"
                    ledger.tell("wait", entries, why, short)
                return _Wait()
            smaller = ledger.targets(entries, self._room(entries) - lease.working_bytes, lease.stream)
            if smaller is None or smaller == wanted:
                raise refusals.blocked(self.device, ledger, need_bytes(wanted, lease.working_bytes))
            wanted = smaller  # pinned models or other programs hold the rest: stream what does not fit

    def _admit(self, wanted: Mapping[Entry, int]) -> _Admit:
        streamed = [entry for entry, nbytes in wanted.items() if nbytes < entry.nbytes and not entry.leases]
        if streamed:
            passing = sum(entry.nbytes - wanted[entry] for entry in streamed)
            why = f"{readable_bytes(passing)} of {keys_of(streamed)} pass through the device piece by piece"
            self._ledger.tell("stream", streamed, why, passing)
        return _Admit({entry: wanted[entry] for entry in missing(wanted)})

    def _is_moving(self) -> bool:
        """Whether waiting can help: something is lent, or on its way in or out."""
        moving = (State.LOADING, State.LEAVING)
        return self._active > 0 or any(entry.state in moving for entry in self._ledger.entries.values())

    def _room(self, entries: Sequence[Entry]) -> int:
        """Bytes these entries and their work could have if everything idle left."""
        ledger = self._ledger
        idle = sum(entry.promised for entry in ledger.idle_on_device(keep=entries))
        return ledger.free + idle + sum(entry.promised for entry in entries)

    def _is_wanted_more(self, entry: Entry) -> bool:
        """Whether somebody waits who does not wait for this entry: what was only announced gives way."""
        return self._closed or any(entry not in ticket.lease.entries for ticket in self._queue)

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
            leaving = [(entry, 0) for entry in entries]
            self._ledger.mark_leaving(leaving)
            if entries:
                self._ledger.tell("unload", entries, f"{keys_of(entries)} left: {reason}")
        self._mover.let_go(leaving, drop=True)
        return len(entries)

    def _adopt_abandoned(self) -> None:
        while self._abandoned:
            self.release(self._abandoned.popleft())


@contextmanager
def _measuring() -> Iterator[None]:
    """A device that is gone cannot be measured; the lease begins and ends all the same."""
    try:
        yield
    except Exception as error:
        log.warning("could not measure what the work takes: %s", error)


def _holds(own: list[Grant], entry: Entry) -> bool:
    return any(entry in grant.entries for grant in own)


def _work_to_charge(lease: Lease, own: list[Grant]) -> int:
    """Working bytes to promise: only what exceeds an outer lease of the same thread when it covers the same components."""
    if not own:
        return lease.working_bytes
    held = {entry for outer in own for entry in outer.entries}
    if held.issuperset(lease.entries):
        return max(0, lease.working_bytes - max(outer.working_bytes for outer in own))
    return lease.working_bytes
