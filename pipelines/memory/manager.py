"""The memory manager: leases out, the right models in, idle ones away when room is needed.

One lock guards the ledger and is never held while the device, a loader or a callback works. Who cannot be served at once
takes a numbered ticket with its own event (`admission.py` decides what it may do). A thread that already holds a lease never
waits for room (it is told no instead), so nobody waits for anybody in a circle.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.errors import Cancelled, StudioError, readable_bytes
from pipelines.memory import refusals
from pipelines.memory.admission import Admission, Admit, Evict, Ticket, Wait, work_to_charge
from pipelines.memory.lease import Grant, Lease
from pipelines.memory.ledger import Entry, Ledger, State, named
from pipelines.memory.mover import Errand, Mover, Readmit
from pipelines.memory.parts import Component, Device, LeasePlan
from pipelines.memory.prefetch import Prefetcher
from pipelines.memory.refusals import keys_of
from pipelines.memory.shelf import Shelf

if TYPE_CHECKING:
    from pipelines.memory.learned import WorkingSets

log = logging.getLogger(__name__)

SAVE_SECONDS = 5.0
UNPIN_AFTER, HOST_KEEP_ALIVE = 2.0, 4.0
"""Copies in host memory stay page-locked, and stay at all, this many times longer than residents on the device."""


class MemoryManager:
    """Lends components of one device.

    keep_alive_seconds: how long an idle component stays on the device after its last use, for `sweep`; negative means for
    ever. working_sets: what earlier work really took, to promise that instead of a guess. prefetch: bring in what was announced
    while there is room. shelf: what is kept beside the models. clock: seconds that only grow. poll_seconds: how often a waiter
    looks whether its job was cancelled.
    """

    def __init__(
        self,
        device: Device,
        *,
        keep_alive_seconds: float = 600.0,
        working_sets: WorkingSets | None = None,
        prefetch: bool = True,
        shelf: Shelf | None = None,
        clock: Callable[[], float] = time.monotonic,
        poll_seconds: float = 0.1,
    ) -> None:
        self.device = device
        self.keep_alive_seconds = keep_alive_seconds
        self.working_sets = working_sets
        self.shelf = shelf or Shelf()
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._ledger = Ledger(device.streams)
        self._ledger.capacity = device.budget_bytes()
        self._line = Admission(device, self._ledger, clock)
        self._mover = Mover(device, self._ledger, self._lock, clock, self._line.wake)
        self._prefetcher = Prefetcher(device, self._ledger, self._lock, self._mover, self._gives_way)
        self._prefetches = prefetch and keep_alive_seconds != 0  # it would be let go before its job comes
        self._begun = 0  # leases so far
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

    def plan(self, components: Sequence[Component], working_bytes: int = 0, work: str = "") -> LeasePlan:
        """What that lease would do now, without doing it."""
        working_bytes = self._working_bytes(work, working_bytes)
        capacity, most = self.device.budget_bytes(), self.device.most_bytes()
        with self._lock:
            self._ledger.capacity = capacity
            distinct = {component.key: component for component in components}
            return self._line.plan([self._ledger.entry(c) for c in distinct.values()], working_bytes, most)

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
            self._line.wake()

    def unload(self, prefix: str = "") -> int:
        """Drop idle components of that model from device and host memory; how many. Pinned ones go only when named."""

        def chosen(entry: Entry) -> bool:
            if entry.leases or not named(entry, prefix):
                return False
            return not self._ledger.pinned_by_others(entry, prefix)

        return self._drop(chosen, f"asked to unload {prefix or 'what is idle'}")

    def release_idle(self) -> int:
        """Take everything idle off the device, host copies stay; for work that ran out of memory. How many components."""
        self.shelf.let_go()
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
            is_over = self._ledger.lent == 0 and self._begun != self._settled
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
        self.shelf.let_go(old)
        return len(rested) + self._drop(
            lambda e: e.state is State.HOST and e.is_idle and now - e.last_used > old,
            f"not used for {old:.0f} s",
        )

    def snapshot(self) -> dict[str, object]:
        """The ledger as plain JSON: every component here, the sums that are promised, what was decided and why."""
        host_budget = 0 if self.device.unified else self.device.host_budget_bytes()
        with self._lock:
            return {
                "device": self.device.name,
                "host_budget_bytes": host_budget,
                "shelf_bytes": self.shelf.nbytes,
                **self._ledger.snapshot(self._clock()),
                "waiting": len(self._line.queue),
            }

    def events(self) -> list[dict[str, object]]:
        """The last decisions, oldest first: what, which keys, why, how many bytes."""
        with self._lock:
            return list(self._ledger.events)

    def wake(self) -> None:
        """Have waiters look at once whether they were cancelled."""
        with self._lock:
            for ticket in self._line.queue:
                ticket.event.set()

    def close(self) -> None:
        """Lend nothing more, tell everyone who waits, drop what is idle."""
        with self._lock:
            self._closed = True
        self.wake()
        self._prefetcher.close()
        self._drop(lambda entry: entry.leases == 0, "the studio closed")
        self.shelf.let_go()
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
            is_hit = (
                not self._closed and (bool(own) or not self._line.queue) and self._line.is_hit(lease, own)
            )
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
            self._ledger.lent -= 1
            is_alone = self._ledger.lent == 0 and self._begun == grant.epoch
            if self._line.queue:
                self._line.wake()
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

    def _grant(self, lease: Lease, own: list[Grant]) -> None:
        self._ledger.lent += 1
        self._begun += 1
        charged = work_to_charge(lease, own)
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
        ticket = self._line.ticket(lease)
        try:
            self._serve(ticket, own)
        finally:
            with self._lock:
                self._line.leave(ticket)
                self._line.wake()
            self._prefetcher.wake()

    def _serve(self, ticket: Ticket, own: list[Grant]) -> None:
        """Work towards the ticket's lease until it is granted and everything is resident, or raise why not."""
        lease, surprises, waited = ticket.lease, 0, False
        while True:
            self._check(lease)
            self._adopt_abandoned()
            capacity, most = self.device.budget_bytes(), self.device.most_bytes()
            with self._lock:
                self._ledger.capacity = capacity
                if not own:
                    self._line.line_up(ticket)
                ticket.event.clear()
                try:
                    step = self._line.next_step(ticket, own, most)
                except StudioError as refusal:
                    self._ledger.counters.refusals += 1
                    self._ledger.tell("refuse", lease.entries, refusal.message)
                    raise
                if isinstance(step, Admit):
                    self._line.leave(ticket)
                    for entry, nbytes in step.wanted.items():
                        entry.state = State.LOADING
                        self._ledger.promise(entry, nbytes)
                    self._grant(lease, own)
                elif isinstance(step, Wait) and not waited:
                    waited = True
                    self._ledger.counters.waits += 1
            match step:
                case Evict(victims):
                    self._mover.let_go(victims)
                case Wait():
                    started = self._clock()
                    ticket.event.wait(self._poll_seconds)
                    with self._lock:
                        self._ledger.counters.wait_seconds += self._clock() - started
                case Admit(wanted):
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

    def _gives_way(self, entry: Entry) -> bool:
        return self._closed or self._line.wants_more_than(entry)

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
        while True:
            try:  # and not: look, then take, since several threads do this at once
                lease = self._abandoned.popleft()
            except IndexError:
                return
            self.release(lease)


@contextmanager
def _measuring() -> Iterator[None]:
    """A device that is gone cannot be measured; the lease begins and ends all the same."""
    try:
        yield
    except Exception as error:
        log.warning("could not measure what the work takes: %s", error)
