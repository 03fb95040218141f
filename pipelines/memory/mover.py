"""Bringing components in and letting them go: the slow work, done by the thread that owns the entry, never under the lock.

An entry in LOADING or LEAVING belongs to one thread, which alone touches its `thing` and `held`. Whatever is raised here
leaves every state valid and every byte accounted for.
"""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipelines.errors import OutOfMemory, readable_bytes
from pipelines.memory import refusals
from pipelines.memory.ledger import Entry, Ledger, State
from pipelines.memory.parts import Component, Device
from pipelines.memory.refusals import keys_of

T = TypeVar("T")

log = logging.getLogger(__name__)

_construction = threading.Lock()
"""Modules are built one at a time in the whole process: libraries patch torch globally while they do."""


class Readmit(Exception):
    """A component turned out larger than promised and does not fit beside what is lent now."""


@dataclass(frozen=True)
class Errand:
    """Entries to bring in, marked LOADING and promised; with each, the device bytes it may take.

    check: asked between steps and chunks; what it raises ends the errand there. on_load(key, done, total) tells of each.
    """

    wanted: Mapping[Entry, int]
    components: Mapping[str, Component]
    check: Callable[[], None]
    on_load: Callable[[str, int, int], None]


class Mover:
    """Moves entries of one ledger. lock guards the ledger; wake tells waiters, under the lock."""

    def __init__(
        self,
        device: Device,
        ledger: Ledger,
        lock: threading.Lock,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._device, self._ledger, self._lock, self._clock, self._wake = device, ledger, lock, clock, wake

    def bring(self, errand: Errand) -> None:
        """Load and upload; on any exception those that are not usable yet are let go, with what had arrived kept."""
        total = len(errand.wanted)
        key = ""
        try:
            for done, (entry, nbytes) in enumerate(errand.wanted.items()):
                errand.check()
                key = entry.key
                errand.on_load(key, done, total)
                self._bring(entry, nbytes, errand)
            if total:
                errand.on_load(key, total, total)
        except BaseException as error:
            mine = [entry for entry in errand.wanted if entry.state is State.LOADING]
            keeps = not isinstance(error, OutOfMemory)  # what had arrived of an interrupted upload stays
            self.let_go([(e, e.held.device_bytes if e.held is not None and keeps else 0) for e in mine])
            raise

    def let_go(self, entries: Sequence[tuple[Entry, int]], drop: bool = False) -> None:
        """Take entries this thread owns off the device, but for so many bytes each; drop: away altogether."""
        for entry, stays in entries:
            self._let_go(entry, 0 if drop else stays, drop)
        if entries and (drop or self._device.unified):
            self._device.empty_cache()

    def _bring(self, entry: Entry, nbytes: int, errand: Errand) -> None:
        is_whole = nbytes >= entry.nbytes
        if entry.held is None:
            self._load(entry, errand)
        held = entry.held
        assert held is not None
        nbytes = self._correct_size(entry, nbytes, is_whole)
        before, started = held.device_bytes, self._clock()
        limit = None if nbytes >= entry.nbytes else nbytes
        self._with_room(lambda: held.upload(limit, errand.check), entry)
        seconds, moved = self._clock() - started, held.device_bytes - before
        with self._lock:
            if moved > 0:
                entry.upload_seconds = seconds * entry.nbytes / moved
            self._ledger.counters.uploads += 1
            self._ledger.counters.uploaded_bytes += max(0, moved)
            entry.state = State.RESIDENT
            entry.last_used = self._clock()
            self._wake()

    def _load(self, entry: Entry, errand: Errand) -> None:
        self._make_host_room(entry.nbytes)
        with _construction:
            errand.check()
            started = self._clock()
            entry.thing = self._with_room(errand.components[entry.key].load, entry)
            entry.load_seconds = self._clock() - started
            self._ledger.counters.loads += 1
        entry.held = self._device.hold(entry.thing)

    def _with_room(self, work: Callable[[], T], entry: Entry) -> T:
        """Do it; if the device runs out of memory all the same, evict everything idle and try once more."""
        try:
            return work()
        except BaseException as error:
            if not self._device.is_out_of_memory(error):
                raise
        log.warning("out of memory while bringing %s in; evicting everything idle", entry.key)
        with self._lock:
            self._ledger.counters.out_of_memory += 1
        self.let_go_idle(f"the device ran out of memory while {entry.key} was brought in", [entry])
        self._device.empty_cache()
        try:
            return work()
        except BaseException as error:
            if not self._device.is_out_of_memory(error):
                raise
            raise refusals.ran_out(self._device, self._ledger, entry) from error

    def let_go_idle(self, why: str, about: Sequence[Entry] = ()) -> int:
        """Evict everything idle; how many components."""
        with self._lock:
            idle = [(entry, 0) for entry in self._ledger.idle_on_device()]
            self._ledger.mark_leaving(idle)
            self._ledger.tell("oom", [entry for entry, _ in idle] or about, why)
        self.let_go(idle)
        return len(idle)

    def _correct_size(self, entry: Entry, nbytes: int, is_whole: bool) -> int:
        """Put the measured size in place of the estimate, evicting for the difference; the device bytes it may take.

        Raises Readmit when there is no room for the difference, or what it was given is too little to stream it.
        """
        held = entry.held
        if held is None or held.nbytes is None:
            return nbytes
        while True:
            with self._lock:
                entry.nbytes = held.nbytes
                if not is_whole:
                    if nbytes < min(held.least_bytes, held.nbytes):
                        raise Readmit
                    nbytes = min(nbytes, held.nbytes)
                    self._ledger.promise(entry, nbytes)
                    self._wake()
                    return nbytes
                short = held.nbytes - entry.promised - self._ledger.free
                if short <= 0 or held.nbytes <= entry.promised:
                    self._ledger.promise(entry, held.nbytes)
                    self._wake()
                    return held.nbytes
                victims = self._ledger.victims(short, self._clock())
                if not victims:
                    raise Readmit
                self._ledger.mark_leaving(victims)
                why = f"{keys_of(e for e, _ in victims)} left: {entry.key} is larger than expected"
                self._ledger.tell("evict", [e for e, _ in victims], why, short)
            self.let_go(victims)

    def _make_host_room(self, nbytes: int) -> None:
        """Drop evicted components' host copies, cheapest to read again first, until `nbytes` more fit the RAM budget."""
        if self._device.unified:
            return
        budget = self._device.host_budget_bytes()
        with self._lock:
            short = self._ledger.host_bytes() + nbytes - budget
            victims = self._ledger.host_victims(short, self._clock())
            if victims is None:
                victims = self._ledger.idle(State.HOST)
            leaving = [(entry, 0) for entry in victims]
            self._ledger.mark_leaving(leaving)
            if victims:
                why = f"{keys_of(victims)} left host memory: {readable_bytes(short)} were needed there"
                self._ledger.tell("rest", victims, why, short)
        self.let_go(leaving, drop=True)

    def _let_go(self, entry: Entry, stays: int, drop: bool) -> None:
        before = entry.promised
        try:
            if entry.held is not None:
                entry.held.unload(stays if entry.held.returns else 0)
        except Exception:
            log.exception("could not unload %s; dropping it", entry.key)
            drop = True
        if drop or entry.held is None or not entry.held.returns:
            ghost = _weak(entry.thing)
            entry.held, entry.thing = None, None
            if ghost is not None and ghost() is not None:
                gc.collect()  # a cycle keeps it
                if ghost() is not None:
                    log.info("%s was dropped but something still refers to it", entry.key)
        with self._lock:
            self._ledger.promise(entry, entry.held.device_bytes if entry.held is not None else 0)
            entry.leaving, entry.prefetched = 0, False
            entry.state = State.HOST if entry.held is not None else State.ABSENT
            self._ledger.counters.evictions += 1
            self._ledger.counters.evicted_bytes += max(0, before - entry.promised)
            self._wake()


def _weak(thing: object) -> weakref.ref[object] | None:
    try:
        return weakref.ref(thing)
    except TypeError:
        return None
