"""Who may go in, and when: the line of those who wait, and what the first of them may do now.

Decisions only, on the ledger and under the manager's lock: nothing here asks the device, waits or moves. Tickets are served in
order; a later one goes ahead only when it fits as things are, and past one that waits for bytes at most `MAX_PASSED` times.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.errors import readable_bytes
from pipelines.memory import refusals
from pipelines.memory.lease import Grant, Lease
from pipelines.memory.ledger import Entry, Ledger, State, missing, missing_bytes, need_bytes
from pipelines.memory.parts import Device, LeasePlan
from pipelines.memory.refusals import keys_of

MAX_PASSED = 3


@dataclass(eq=False)
class Ticket:
    """A place in the line. event: something changed, look again."""

    number: int
    lease: Lease
    event: threading.Event = field(default_factory=threading.Event)
    passed: int = 0
    waits_for_bytes: bool = False
    is_told: bool = False  # that it waits


@dataclass(frozen=True)
class Admit:
    """Go in. wanted: entries to bring in, with the device bytes each may take; the others are there."""

    wanted: Mapping[Entry, int]


@dataclass(frozen=True)
class Evict:
    """Take these off the device, but for so many bytes each, and ask again."""

    victims: Sequence[tuple[Entry, int]]


class Wait: ...


class Admission:
    """The line in front of one ledger."""

    def __init__(self, device: Device, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._device, self._ledger, self._clock = device, ledger, clock
        self._numbers = itertools.count(1)
        self.queue: list[Ticket] = []

    # ---- the line -------------------------------------------------------------------------------------------------

    def ticket(self, lease: Lease) -> Ticket:
        return Ticket(next(self._numbers), lease)

    def line_up(self, ticket: Ticket) -> None:
        """Into the line, at the place its number says."""
        if ticket not in self.queue:
            self.queue.append(ticket)
            self.queue.sort(key=lambda t: t.number)

    def leave(self, ticket: Ticket) -> None:
        if ticket in self.queue:
            self.queue.remove(ticket)

    def wake(self) -> None:
        """Something changed: have those look who may have something of it."""
        for ticket in self.queue[: MAX_PASSED + 1]:
            ticket.event.set()

    def wants_more_than(self, entry: Entry) -> bool:
        """Whether somebody waits who does not wait for this entry: what was only announced gives way."""
        return any(entry not in ticket.lease.entries for ticket in self.queue)

    # ---- what may be done -----------------------------------------------------------------------------------------

    def is_hit(self, lease: Lease, own: list[Grant]) -> bool:
        """Whether everything is there and the working bytes are free: the way that costs microseconds."""
        for entry in lease.entries:
            if entry.state is not State.RESIDENT or (entry.promised < entry.nbytes and not holds(own, entry)):
                return False
        return not lease.stream and work_to_charge(lease, own) <= self._ledger.free

    def next_step(self, ticket: Ticket, own: list[Grant], most: int) -> Admit | Wait | Evict:
        """What the ticket may do now; victims are marked. own: what its thread holds already. most: all the device can give.

        Raises WontFit and OutOfMemory when waiting cannot help.
        """
        ledger, lease = self._ledger, ticket.lease
        entries, ticket.waits_for_bytes = lease.entries, False
        if self._is_taken(entries, own):
            return Wait()
        work = work_to_charge(lease, own)
        wanted = ledger.targets(entries, most - lease.working_bytes, lease.stream)
        if wanted is None:
            raise refusals.never_fits(self._device, entries, lease.working_bytes, most)
        if not own and self.queue[0] is not ticket:
            short = missing_bytes(wanted) + work - ledger.free
            is_whole = all(entry.promised <= nbytes for entry, nbytes in wanted.items())
            if short <= 0 and is_whole and self._may_pass(ticket):
                return self._admit(wanted)
            return Wait()
        while True:
            too_much = [(e, nbytes) for e, nbytes in wanted.items() if e.promised > nbytes and not e.leases]
            if too_much:
                ledger.mark_leaving(too_much)
                return Evict(too_much)
            short = missing_bytes(wanted) + work - ledger.free
            if short <= 0:
                return self._admit(wanted)
            leaving = ledger.leaving_bytes()
            victims = ledger.victims(short - leaving, self._clock(), keep=entries)
            if victims:
                return self._evict(victims, entries, short - leaving)
            if victims is not None:
                return Wait()  # what is leaving already will do
            if own:
                outer = (entry for grant in own for entry in grant.entries)
                raise refusals.holds_already(self._device, ledger, outer, entries, short)
            if self._is_moving():
                ticket.waits_for_bytes = True
                if not ticket.is_told:
                    ticket.is_told = True
                    why = f"{keys_of(entries)} waits: {readable_bytes(short)} of what it needs are lent"
                    ledger.tell("wait", entries, why, short)
                return Wait()
            smaller = ledger.targets(entries, self._room(entries) - lease.working_bytes, lease.stream)
            if smaller is None or smaller == wanted:
                raise refusals.blocked(self._device, ledger, need_bytes(wanted, lease.working_bytes))
            wanted = smaller  # pinned models or other programs hold the rest: stream what does not fit

    def plan(self, entries: Sequence[Entry], working_bytes: int, most: int) -> LeasePlan:
        """What a lease would do now, without doing it."""
        ledger = self._ledger
        wanted = ledger.targets(entries, most - working_bytes)
        if wanted is None:
            need = sum(entry.nbytes for entry in entries) + working_bytes
            refusal = refusals.never_fits(self._device, entries, working_bytes, most)
            return LeasePlan(False, need, ledger.free, (), str(refusal.problem()))
        short = missing_bytes(wanted) + working_bytes - ledger.free
        victims = ledger.victims(short, self._clock(), keep=entries)
        if victims is None and not self._is_moving():
            wanted = ledger.targets(entries, self._room(entries) - working_bytes) or wanted
            short = missing_bytes(wanted) + working_bytes - ledger.free
            victims = ledger.victims(short, self._clock(), keep=entries)
        need = need_bytes(wanted, working_bytes)
        if victims is None and not self._is_moving():
            reason = str(refusals.blocked(self._device, ledger, need).problem())
            return LeasePlan(False, need, ledger.free, (), reason)
        evicts = [entry for entry, _ in victims or ()]
        streamed = [entry for entry, nbytes in wanted.items() if nbytes < entry.nbytes]
        if victims is None:
            reason = "It fits when the jobs that run now are done."
        elif evicts:
            reason = f"It fits when {keys_of(evicts)} makes room."
        else:
            reason = f"It fits: {readable_bytes(need)}."
        if streamed:
            reason += f" {keys_of(streamed)} passes through the device piece by piece, which is slower."
        seconds = sum(
            entry.restore_seconds(wanted[entry] - entry.promised, entry.held is None)
            for entry in missing(wanted)
        )
        return LeasePlan(
            True,
            need,
            ledger.free,
            tuple(entry.key for entry in evicts),
            reason,
            "streamed" if streamed else "full",
            tuple(entry.key for entry in streamed),
            seconds,
        )

    # ---- parts of it ----------------------------------------------------------------------------------------------

    def _is_taken(self, entries: Sequence[Entry], own: list[Grant]) -> bool:
        """Whether another thread has one of them to itself just now."""
        for entry in entries:
            if entry.state in (State.LOADING, State.LEAVING):
                return True  # it is at it, and its bytes are already counted
            if entry.leases and entry.state is not State.RESIDENT:
                return True  # whoever borrowed it failed to bring it in, and is about to give it back
            if entry.is_streamed and entry.leases and not holds(own, entry):
                return True  # one at a time: its pieces come and go with the work of its borrower
        return False

    def _admit(self, wanted: Mapping[Entry, int]) -> Admit:
        streamed = [entry for entry, nbytes in wanted.items() if nbytes < entry.nbytes and not entry.leases]
        if streamed:
            passing = sum(entry.nbytes - wanted[entry] for entry in streamed)
            why = f"{readable_bytes(passing)} of {keys_of(streamed)} pass through the device piece by piece"
            self._ledger.tell("stream", streamed, why, passing)
        return Admit({entry: wanted[entry] for entry in missing(wanted)})

    def _evict(self, victims: list[tuple[Entry, int]], entries: Sequence[Entry], short: int) -> Evict:
        self._ledger.mark_leaving(victims)
        left = [entry for entry, _ in victims]
        why = f"{keys_of(left)} left, quickest to bring back: {keys_of(entries)} was {readable_bytes(short)} short"
        self._ledger.tell("evict", left, why, short)
        return Evict(victims)

    def _may_pass(self, ticket: Ticket) -> bool:
        """Whether a later ticket that fits as things are may go ahead of those who wait for bytes; counts when it does."""
        ahead = [t for t in self.queue if t.number < ticket.number and t.waits_for_bytes]
        if any(t.passed >= MAX_PASSED for t in ahead):
            return False
        for t in ahead:
            t.passed += 1
        return True

    def _is_moving(self) -> bool:
        """Whether waiting can help: something is lent, or on its way in or out."""
        moving = (State.LOADING, State.LEAVING)
        return self._ledger.lent > 0 or any(e.state in moving for e in self._ledger.entries.values())

    def _room(self, entries: Sequence[Entry]) -> int:
        """Bytes these entries and their work could have if everything idle left."""
        idle = sum(entry.promised for entry in self._ledger.idle_on_device(keep=entries))
        return self._ledger.free + idle + sum(entry.promised for entry in entries)


def holds(own: list[Grant], entry: Entry) -> bool:
    return any(entry in grant.entries for grant in own)


def work_to_charge(lease: Lease, own: list[Grant]) -> int:
    """Working bytes to promise: only what exceeds an outer lease of the same thread when it covers the same components."""
    if not own:
        return lease.working_bytes
    held = {entry for outer in own for entry in outer.entries}
    if held.issuperset(lease.entries):
        return max(0, lease.working_bytes - max(outer.working_bytes for outer in own))
    return lease.working_bytes
