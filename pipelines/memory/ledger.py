"""What is where, and what has been promised: plain bookkeeping, guarded by the manager's one lock.

    ABSENT → LOADING → RESIDENT → LEAVING → HOST (a copy stays in host memory) or ABSENT (unified memory)

LOADING and LEAVING belong to the thread that does the work; everyone else waits for them to end. Every state can be left
again after an exception: bytes are counted from the moment they are promised to the moment they are gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipelines.memory import policy
from pipelines.memory.parts import Component, Held

GUESSED_LOAD_BYTES_PER_SECOND = 500e6
GUESSED_UPLOAD_BYTES_PER_SECOND = 8e9
LEAST_RESTORE_SECONDS = 1e-3
"""Each move costs something, so of two sets with equal bytes the one with fewer components is cheaper."""


class State(StrEnum):
    ABSENT = "absent"
    LOADING = "loading"
    RESIDENT = "resident"
    LEAVING = "leaving"
    HOST = "host"


@dataclass(eq=False)
class Entry:
    """One component as the ledger knows it; kept when absent, for its measured size and times.

    nbytes: best known size. promised: bytes counted against the budget for it now. load_seconds, upload_seconds: last measured.
    """

    key: str
    nbytes: int
    state: State = State.ABSENT
    promised: int = 0
    leases: int = 0
    pinned: bool = False
    thing: object = None
    held: Held | None = None
    last_used: float = 0.0
    mean_gap: float | None = None
    load_seconds: float | None = None
    upload_seconds: float | None = None

    @property
    def is_idle(self) -> bool:
        return self.leases == 0 and not self.pinned

    def used(self, now: float) -> None:
        if self.last_used:
            gap = now - self.last_used
            self.mean_gap = gap if self.mean_gap is None else 0.7 * self.mean_gap + 0.3 * gap
        self.last_used = now

    def restore_seconds(self, from_disk: bool) -> float:
        """Seconds to bring it back, measured if it ever was: read again from disk, or copied from host memory."""
        upload = self.upload_seconds
        if upload is None:
            upload = self.nbytes / GUESSED_UPLOAD_BYTES_PER_SECOND
        if not from_disk:
            return max(upload, LEAST_RESTORE_SECONDS)
        load = self.load_seconds
        if load is None:
            load = self.nbytes / GUESSED_LOAD_BYTES_PER_SECOND
        return max(upload + load, LEAST_RESTORE_SECONDS)


class Ledger:
    """All entries and the sum of what is promised. No locks, no device: the manager calls it while it holds its lock.

    capacity: most that may be promised now. unified: an evicted component has to be read from disk again.
    """

    def __init__(self, unified: bool) -> None:
        self.unified = unified
        self.entries: dict[str, Entry] = {}
        self.capacity = 0
        self.committed = 0
        self.working = 0
        self.pins: set[str] = set()
        self.hints: tuple[str, ...] = ()
        self.last_decision = ""

    def entry(self, component: Component) -> Entry:
        found = self.entries.get(component.key)
        if found is None:
            pinned = any(matches(component.key, prefix) for prefix in self.pins)
            found = Entry(component.key, component.nbytes, pinned=pinned)
            self.entries[component.key] = found
        return found

    @property
    def free(self) -> int:
        return self.capacity - self.committed

    def promise(self, entry: Entry, nbytes: int) -> None:
        """Count `nbytes` for the entry from now on, in place of what was counted before."""
        self.committed += nbytes - entry.promised
        entry.promised = nbytes

    def promise_work(self, nbytes: int) -> None:
        self.committed += nbytes
        self.working += nbytes

    def leaving_bytes(self) -> int:
        return sum(entry.promised for entry in self.entries.values() if entry.state is State.LEAVING)

    def host_bytes(self) -> int:
        """Bytes of copies kept in host memory (none of our own when memory is unified)."""
        if self.unified:
            return 0
        return sum(entry.nbytes for entry in self.entries.values() if entry.held is not None)

    def idle(self, state: State, keep: Collection[Entry] = ()) -> list[Entry]:
        return [e for e in self.entries.values() if e.state is state and e.is_idle and e not in keep]

    def victims(
        self, short_bytes: int, now: float, keep: Collection[Entry] = (), state: State = State.RESIDENT
    ) -> list[Entry] | None:
        """Idle entries to evict so that `short_bytes` come free, cheapest to bring back; None when they do not suffice."""
        idle = self.idle(state, keep)
        from_disk = self.unified or state is State.HOST
        candidates = [
            (
                policy.expected_cost(
                    entry.restore_seconds(from_disk),
                    now - entry.last_used,
                    entry.mean_gap,
                    self._hint_rank(entry.key),
                ),
                entry.promised if state is State.RESIDENT else entry.nbytes,
            )
            for entry in idle
        ]
        chosen = policy.cheapest_set(candidates, short_bytes)
        return None if chosen is None else [idle[i] for i in chosen]

    def mark_leaving(self, victims: Iterable[Entry]) -> None:
        for entry in victims:
            assert entry.leases == 0, f"{entry.key} is lent and cannot leave"
            entry.state = State.LEAVING

    def pin(self, prefix: str, pinned: bool) -> None:
        (self.pins.add if pinned else self.pins.discard)(prefix)
        for entry in self.entries.values():
            entry.pinned = any(matches(entry.key, pin) for pin in self.pins)

    def decide(self, why: str) -> None:
        self.last_decision = why

    def snapshot(self, now: float) -> dict[str, Any]:
        return {
            "budget_bytes": self.capacity,
            "committed_bytes": self.committed,
            "working_bytes": self.working,
            "host_bytes": self.host_bytes(),
            "components": [
                {
                    "key": entry.key,
                    "nbytes": entry.nbytes if entry.state is State.HOST else entry.promised,
                    "state": str(entry.state),
                    "leases": entry.leases,
                    "pinned": entry.pinned,
                    "idle_seconds": 0.0 if entry.leases else round(now - entry.last_used, 3),
                    "last_used": entry.last_used,
                }
                for entry in self.entries.values()
                if entry.state is not State.ABSENT
            ],
            "last_decision": self.last_decision,
        }

    def _hint_rank(self, key: str) -> int | None:
        return self.hints.index(key) if key in self.hints else None


def need_bytes(entries: Iterable[Entry], working_bytes: int) -> int:
    return sum(entry.nbytes for entry in entries) + working_bytes


def missing(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.state in (State.ABSENT, State.HOST)]


def matches(key: str, prefix: str) -> bool:
    """Whether the key belongs to the prefix: equal, or continued after a `:` or `/`, so `a/b` is not `a/b-large`."""
    if not prefix or key == prefix:
        return True
    return key.startswith(prefix if prefix[-1] in ":/" else (prefix + ":", prefix + "/"))
