"""Bringing components in and letting them go: the slow work, done by the thread that owns the entry, never under the lock.

An entry in LOADING or LEAVING belongs to one thread, which alone touches its `thing` and `held`. Whatever is raised here
leaves every state valid and every byte accounted for.
"""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pipelines.memory import refusals
from pipelines.memory.lease import Lease
from pipelines.memory.ledger import Entry, Ledger, State
from pipelines.memory.parts import Component, Device
from pipelines.memory.refusals import keys_of

log = logging.getLogger(__name__)

_construction = threading.Lock()
"""Modules are built one at a time in the whole process: libraries patch torch globally while they do."""


class Readmit(Exception):
    """A component turned out larger than promised and does not fit beside what is lent now."""


class Mover:
    """Moves entries of one ledger.

    lock guards the ledger; wake tells waiters, under the lock; check raises when the lease's job should not go on.
    """

    def __init__(
        self,
        device: Device,
        ledger: Ledger,
        lock: threading.Lock,
        clock: Callable[[], float],
        wake: Callable[[], None],
        check: Callable[[Lease], None],
    ) -> None:
        self._device, self._ledger, self._lock, self._clock = device, ledger, lock, clock
        self._wake, self._check = wake, check

    def bring(self, lease: Lease, absent: Sequence[Entry]) -> None:
        """Load and upload entries this thread marked LOADING; on any exception those not yet resident are let go."""
        loaders = {component.key: component for component in lease.components}
        try:
            for done, entry in enumerate(absent):
                self._check(lease)
                lease.on_load(entry.key, done, len(absent))
                self._load(entry, loaders[entry.key], lease)
            if absent:
                lease.on_load(absent[-1].key, len(absent), len(absent))
        except BaseException:
            self.let_go([entry for entry in absent if entry.state is State.LOADING])
            raise

    def let_go(self, entries: Sequence[Entry], drop: bool = False) -> None:
        """Take entries this thread owns off the device: to their host copy, or away altogether."""
        for entry in entries:
            self._let_go(entry, drop)
        if entries and (drop or self._device.unified):
            self._device.empty_cache()

    def _load(self, entry: Entry, component: Component, lease: Lease) -> None:
        if entry.held is None:
            self._make_host_room(entry.nbytes)
            with _construction:
                self._check(lease)
                started = self._clock()
                entry.thing = self._with_room(component.load, entry)
                entry.load_seconds = self._clock() - started
            entry.held = self._device.hold(entry.thing)
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
            if not self._device.is_out_of_memory(error):
                raise
        log.warning("out of memory while bringing %s in; evicting everything idle", entry.key)
        with self._lock:
            idle = self._ledger.idle(State.RESIDENT)
            self._ledger.mark_leaving(idle)
        self.let_go(idle)
        self._device.empty_cache()
        try:
            return work()
        except BaseException as error:
            if not self._device.is_out_of_memory(error):
                raise
            raise refusals.ran_out(self._device, self._ledger, entry) from error

    def _correct_size(self, entry: Entry, real: int | None) -> None:
        """Put the measured size in place of the estimate, evicting for the difference; Readmit when that is not enough."""
        while real is not None:
            with self._lock:
                entry.nbytes = real
                short = real - entry.promised - self._ledger.free
                if short <= 0 or real <= entry.promised:
                    self._ledger.promise(entry, real)
                    self._wake()
                    return
                victims = self._ledger.victims(short, self._clock())
                if not victims:
                    raise Readmit
                self._ledger.mark_leaving(victims)
                self._ledger.decide(f"{keys_of(victims)} left: {entry.key} is larger than expected")
            self.let_go(victims)

    def _make_host_room(self, nbytes: int) -> None:
        """Drop evicted components' host copies, cheapest to read again first, until `nbytes` more fit the RAM budget."""
        if self._device.unified:
            return
        budget = self._device.host_budget_bytes()
        with self._lock:
            short = self._ledger.host_bytes() + nbytes - budget
            victims = self._ledger.victims(short, self._clock(), state=State.HOST)
            if victims is None:
                victims = self._ledger.idle(State.HOST)
            self._ledger.mark_leaving(victims)
        self.let_go(victims, drop=True)

    def _let_go(self, entry: Entry, drop: bool) -> None:
        try:
            if entry.held is not None:
                entry.held.unload()
        except Exception:
            log.exception("could not unload %s; dropping it", entry.key)
            drop = True
        if self._device.unified or drop:
            ghost = _weak(entry.thing)
            entry.held, entry.thing = None, None
            if ghost is not None and ghost() is not None:
                gc.collect()  # a cycle keeps it
                if ghost() is not None:
                    log.info("%s was dropped but something still refers to it", entry.key)
        with self._lock:
            self._ledger.promise(entry, 0)
            entry.state = State.HOST if entry.held is not None else State.ABSENT
            self._wake()


def _weak(thing: object) -> weakref.ref[Any] | None:
    try:
        return weakref.ref(thing)
    except TypeError:
        return None
