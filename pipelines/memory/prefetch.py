"""Bringing in what will be wanted while there is room to spare: one thread of low priority, and demand always first."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence

from pipelines.errors import OutOfMemory
from pipelines.memory.ledger import Entry, Ledger, State
from pipelines.memory.mover import Errand, Mover, Readmit
from pipelines.memory.parts import Component, Device, Held

log = logging.getLogger(__name__)

NICENESS = 10
"""On a CPU the work that runs now goes first (where threads have a priority of their own: Linux)."""


class _GiveWay(Exception):
    """Somebody needs the room or the link now."""


class Prefetcher:
    """Brings announced components into bytes nobody was promised, soonest wanted first, and page-locks host copies when idle.

    gives_way(entry), under the lock: whether somebody waits who needs something else than this entry.
    """

    def __init__(
        self,
        device: Device,
        ledger: Ledger,
        lock: threading.Lock,
        mover: Mover,
        gives_way: Callable[[Entry], bool],
    ) -> None:
        self._device, self._ledger, self._lock, self._mover = device, ledger, lock, mover
        self._gives_way = gives_way
        self._upcoming: tuple[Component, ...] = ()
        self._failed: set[str] = set()
        self._wants_room = False
        self._event = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def announce(self, upcoming: Sequence[Component]) -> None:
        """What will be wanted, soonest first. Returns at once."""
        self._upcoming, self._failed = tuple(upcoming), set()
        if self._upcoming and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
            self._thread.start()
        self._event.set()

    def wake(self) -> None:
        """Room may have come free; costs nothing when nothing waits for it."""
        if self._wants_room:
            self._event.set()

    def close(self) -> None:
        """Stop; an upload that is under way ends at its next chunk."""
        self._closed = True
        self._event.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def _work(self) -> None:
        if hasattr(os, "setpriority") and self._device.unified:
            try:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
            except OSError:
                log.info("the prefetching thread keeps its usual priority")
        while not self._closed:
            self._event.wait()
            self._event.clear()
            while not self._closed and self._bring_next():
                pass
            self._pin_hosts()

    def _bring_next(self) -> bool:
        """Bring one announced component in; whether there was one and room for it."""
        chosen = None
        with self._lock:
            self._wants_room = False
            for component in self._upcoming:
                entry = self._ledger.entry(component)
                if component.key in self._failed or entry.state not in (State.ABSENT, State.HOST):
                    continue
                if entry.nbytes - entry.promised <= self._ledger.free and not self._gives_way(entry):
                    chosen = component
                else:
                    self._wants_room = True
                break  # a later one may not take the room of an earlier one
            if chosen is None:
                return False
            entry.state = State.LOADING
            self._ledger.promise(entry, entry.nbytes)
            self._ledger.counters.prefetches += 1
            self._ledger.tell(
                "prefetch", [entry], f"{entry.key} will be wanted soon and there is room", entry.nbytes
            )
        try:
            self._mover.bring(
                Errand(
                    {entry: entry.nbytes}, {chosen.key: chosen}, lambda: self._check(entry), lambda *_: None
                )
            )
        except _GiveWay:
            self._wants_room = True
            return False
        except (Readmit, OutOfMemory):
            self._failed.add(chosen.key)
        except Exception:
            log.exception("could not prefetch %s; the job that wants it will say why", chosen.key)
            self._failed.add(chosen.key)
        else:
            with self._lock:
                entry.prefetched = entry.leases == 0
        return True

    def _check(self, entry: Entry) -> None:
        with self._lock:
            if self._closed or self._gives_way(entry):
                raise _GiveWay

    def _pin_hosts(self) -> None:
        """Page-lock the copies used last, up to the budget, while nothing else is to be done."""
        budget = self._device.pinned_budget_bytes()
        if not budget:
            return
        while not self._closed and not self._event.is_set():
            with self._lock:
                held = self._next_to_pin(budget)
            if held is None:
                return
            before = held.pinned_bytes
            held.pin_host()
            if held.pinned_bytes == before:
                return  # it cannot be

    def _next_to_pin(self, budget: int) -> Held | None:
        entries = [entry for entry in self._ledger.entries.values() if entry.held is not None]
        left = budget - sum(entry.held.pinned_bytes for entry in entries if entry.held is not None)
        for entry in sorted(entries, key=lambda entry: -entry.last_used):
            held = entry.held
            if held is not None and not held.pinned_bytes and 0 < held.host_bytes <= left:
                return held
        return None
