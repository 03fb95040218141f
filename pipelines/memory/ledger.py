"""What is where, and what has been promised: plain bookkeeping, guarded by the manager's one lock.

    ABSENT → LOADING → RESIDENT → LEAVING → HOST (it can come back without its loader; some of it may still be on the device)
                                          → ABSENT (it was dropped)

LOADING and LEAVING belong to the thread that does the work; everyone else waits for them to end. Every state can be left
again after an exception: bytes are counted from the moment they are promised to the moment they are gone. A RESIDENT entry
with fewer bytes promised than it weighs is *streamed*: it works, the rest passing through the device piece by piece.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from pipelines.memory import policy
from pipelines.memory.parts import Component, Held

GUESSED_LOAD_BYTES_PER_SECOND = 500e6
GUESSED_UPLOAD_BYTES_PER_SECOND = 8e9
LEAST_RESTORE_SECONDS = 1e-3
"""Each move costs something, so of two sets with equal bytes the one with fewer components is cheaper."""
GUESSED_LEAST_SHARE = 8
"""Before a component was seen, an eighth of it is taken to be enough to stream it; the real figure replaces the guess."""
EVENTS = 50


class State(StrEnum):
    ABSENT = "absent"
    LOADING = "loading"
    RESIDENT = "resident"
    LEAVING = "leaving"
    HOST = "host"


@dataclass(eq=False)
class Entry:
    """One component as the ledger knows it; kept when absent, for its measured size and times.

    nbytes: best known size. promised: bytes counted against the budget for it now. leaving: those of them on their way out.
    models: who borrowed it so far. load_seconds, upload_seconds: last measured, the latter for all of it.
    prefetched: brought in before anyone asked, and not lent since.
    """

    key: str
    nbytes: int
    state: State = State.ABSENT
    promised: int = 0
    leaving: int = 0
    leases: int = 0
    pinned: bool = False
    prefetched: bool = False
    passes: int = 1
    models: dict[str, None] = field(default_factory=dict)
    thing: object = None
    held: Held | None = None
    last_used: float = 0.0
    uses: int = 0
    mean_gap: float | None = None
    load_seconds: float | None = None
    upload_seconds: float | None = None

    @property
    def is_idle(self) -> bool:
        return self.leases == 0 and not self.pinned

    @property
    def is_whole(self) -> bool:
        return self.promised >= self.nbytes

    @property
    def is_streamed(self) -> bool:
        return self.state is State.RESIDENT and not self.is_whole

    @property
    def least_bytes(self) -> int:
        """The fewest device bytes it is believed to work with."""
        return self.held.least_bytes if self.held is not None else self.nbytes // GUESSED_LEAST_SHARE

    def used(self, now: float) -> None:
        if self.uses:
            gap = now - self.last_used
            self.mean_gap = gap if self.mean_gap is None else 0.7 * self.mean_gap + 0.3 * gap
        self.uses += 1
        self.last_used = now

    def restore_seconds(self, nbytes: int, from_disk: bool) -> float:
        """Seconds to bring `nbytes` of it in, measured if it ever was: read from disk first, or only copied."""
        upload = self.upload_seconds
        if upload is None:
            upload = self.nbytes / GUESSED_UPLOAD_BYTES_PER_SECOND
        upload *= nbytes / self.nbytes if self.nbytes else 1.0
        if not from_disk:
            return max(upload, LEAST_RESTORE_SECONDS)
        load = self.load_seconds
        if load is None:
            load = self.nbytes / GUESSED_LOAD_BYTES_PER_SECOND
        return max(upload + load, LEAST_RESTORE_SECONDS)


@dataclass
class Counters:
    """Totals since the start."""

    leases: int = 0
    hits: int = 0
    loads: int = 0
    uploads: int = 0
    uploaded_bytes: int = 0
    evictions: int = 0
    evicted_bytes: int = 0
    waits: int = 0
    wait_seconds: float = 0.0
    out_of_memory: int = 0
    prefetches: int = 0
    prefetch_hits: int = 0
    refusals: int = 0


class Ledger:
    """All entries and the sum of what is promised. No locks, no device: the manager calls it while it holds its lock.

    capacity: most that may be promised now. lent: leases out now. streams: what is larger than the room can pass
    through the device in pieces.
    """

    def __init__(self, streams: bool) -> None:
        self.streams = streams
        self.entries: dict[str, Entry] = {}
        self.capacity = 0
        self.committed = 0
        self.working = 0
        self.lent = 0
        self.pins: set[str] = set()
        self.hints: dict[str, int] = {}
        self.counters = Counters()
        self.events: deque[dict[str, object]] = deque(maxlen=EVENTS)

    def entry(self, component: Component) -> Entry:
        found = self.entries.get(component.key)
        if found is None:
            found = self.entries[component.key] = Entry(component.key, component.nbytes)
        if component.owner not in found.models:
            found.models[component.owner] = None
            found.pinned = self._is_pinned(found)
        found.passes = component.passes
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
        return sum(entry.leaving for entry in self.entries.values())

    def host_bytes(self) -> int:
        """Bytes of copies kept in host memory beside the device."""
        return sum(entry.held.host_bytes for entry in self.entries.values() if entry.held is not None)

    def idle(self, state: State, keep: Collection[Entry] = ()) -> list[Entry]:
        return [e for e in self.entries.values() if e.state is state and e.is_idle and e not in keep]

    def idle_on_device(self, keep: Collection[Entry] = ()) -> list[Entry]:
        """Idle entries that take device bytes, all of them or a part."""
        return [e for e in (*self.idle(State.RESIDENT, keep), *self.idle(State.HOST, keep)) if e.promised]

    # ---- who leaves -----------------------------------------------------------------------------------------------

    def victims(
        self, short_bytes: int, now: float, keep: Collection[Entry] = ()
    ) -> list[tuple[Entry, int]] | None:
        """Idle entries that leave so that `short_bytes` come free, cheapest to bring back; None when they do not suffice.

        With each, how many of its bytes may stay: what works in pieces gives up just those that are missing.
        """
        idle = self.idle_on_device(keep)
        costs = self._costs(idle, [entry.promised for entry in idle], now, leaves_host=False)
        candidates = [
            (cost, entry.promised, self._leaves_in_part(entry))
            for entry, cost in zip(idle, costs, strict=True)
        ]
        chosen = policy.cheapest_parts(candidates, short_bytes)
        return None if chosen is None else [(idle[i], idle[i].promised - leaves) for i, leaves in chosen]

    @staticmethod
    def _leaves_in_part(entry: Entry) -> bool:
        """Whether some of its bytes may leave and come back alone: what streams does, and what is read from its file again."""
        held = entry.held
        return held is not None and held.returns and (held.least_bytes < entry.nbytes or not held.host_bytes)

    def host_victims(self, short_bytes: int, now: float) -> list[Entry] | None:
        """Idle host copies to drop so that `short_bytes` of host memory come free; None when they do not suffice."""
        idle = [e for e in self.idle(State.HOST) if e.held is not None and e.held.host_bytes]
        sizes = [entry.held.host_bytes if entry.held else 0 for entry in idle]
        costs = self._costs(idle, sizes, now, leaves_host=True)
        chosen = policy.cheapest_set(list(zip(costs, sizes, strict=True)), short_bytes)
        return None if chosen is None else [idle[i] for i in chosen]

    def _costs(self, idle: list[Entry], sizes: list[int], now: float, leaves_host: bool) -> list[float]:
        """Expected seconds lost if so many bytes of each left now."""
        return [
            policy.expected_cost(
                entry.restore_seconds(
                    nbytes, leaves_host or not (entry.held is not None and entry.held.returns)
                ),
                now - entry.last_used,
                entry.mean_gap,
                self.hints.get(entry.key),
            )
            for entry, nbytes in zip(idle, sizes, strict=True)
        ]

    def mark_leaving(self, victims: Iterable[tuple[Entry, int]]) -> None:
        for entry, stays in victims:
            assert entry.leases == 0, f"{entry.key} is lent and cannot leave"
            entry.state, entry.leaving = State.LEAVING, entry.promised - stays

    # ---- how much of each -----------------------------------------------------------------------------------------

    def targets(self, entries: Sequence[Entry], room: int, stream: bool = False) -> dict[Entry, int] | None:
        """Device bytes for each entry within `room`: all if that fits, else the rest streamed; None when even that does not.

        What runs most often is kept whole first. An entry somebody uses keeps what it has. stream: as few bytes as possible.
        """
        in_use = {e: e.promised for e in entries if e.leases and e.state is State.RESIDENT}
        whole = {e: in_use.get(e, e.nbytes) for e in entries}
        if sum(whole.values()) <= room and not stream:
            return whole
        if not self.streams:
            return None
        wanted = {e: in_use.get(e, min(e.least_bytes, e.nbytes)) for e in entries}
        left = room - sum(wanted.values())
        if left < 0:
            return None
        for entry in sorted(entries, key=lambda e: (-e.passes, e.nbytes)):
            if stream or entry in in_use:
                continue
            more = min(left, entry.nbytes - wanted[entry])
            wanted[entry] += more
            left -= more
        return wanted

    # ---- names ----------------------------------------------------------------------------------------------------

    def pin(self, prefix: str, pinned: bool) -> None:
        (self.pins.add if pinned else self.pins.discard)(prefix)
        for entry in self.entries.values():
            entry.pinned = self._is_pinned(entry)

    def _is_pinned(self, entry: Entry) -> bool:
        return any(named(entry, pin) for pin in self.pins)

    def pinned_by_others(self, entry: Entry, prefix: str) -> bool:
        """Whether a pin other than `prefix` itself keeps it."""
        return any(named(entry, pin) for pin in self.pins if pin != prefix)

    # ---- telling --------------------------------------------------------------------------------------------------

    def tell(self, what: str, entries: Iterable[Entry], why: str, nbytes: int = 0) -> None:
        """Note a decision: one of evict, load, prefetch, stream, wait, refuse, unload, rest, oom."""
        keys = list(dict.fromkeys(entry.key for entry in entries))
        self.events.append({"at": time.time(), "what": what, "keys": keys, "why": why, "bytes": nbytes})

    def snapshot(self, now: float) -> dict[str, object]:
        here = [entry for entry in self.entries.values() if entry.state is not State.ABSENT]
        return {
            "budget_bytes": self.capacity,
            "committed_bytes": self.committed,
            "working_bytes": self.working,
            "host_bytes": self.host_bytes(),
            "pinned_bytes": sum(entry.held.pinned_bytes for entry in here if entry.held is not None),
            "components": [_told(entry, now) for entry in here],
            "counters": asdict(self.counters),
            "events": list(self.events),
            "last_decision": self.events[-1]["why"] if self.events else "",
        }


def _told(entry: Entry, now: float) -> dict[str, object]:
    on_host = entry.state is State.HOST and not entry.promised
    return {
        "key": entry.key,
        "models": list(entry.models),
        "state": "partial" if entry.state is State.HOST and entry.promised else str(entry.state),
        "nbytes": entry.nbytes if on_host else entry.promised,
        "whole_bytes": entry.nbytes,
        "streamed": entry.is_streamed,
        "leases": entry.leases,
        "pinned": entry.pinned,
        "prefetched": entry.prefetched,
        "restore_seconds": round(
            entry.restore_seconds(entry.nbytes, entry.held is None or not entry.held.returns), 4
        ),
        "idle_seconds": 0.0 if entry.leases else round(now - entry.last_used, 3),
        "last_used": entry.last_used,
    }


def need_bytes(wanted: Mapping[Entry, int], working_bytes: int) -> int:
    """Device bytes in all."""
    return sum(wanted.values()) + working_bytes


def missing_bytes(wanted: Mapping[Entry, int]) -> int:
    """Those of them that are not promised yet."""
    return sum(max(0, nbytes - entry.promised) for entry, nbytes in wanted.items())


def missing(wanted: Mapping[Entry, int]) -> list[Entry]:
    """Entries with something to bring in."""
    return [
        entry
        for entry, nbytes in wanted.items()
        if entry.state in (State.ABSENT, State.HOST) or entry.promised < nbytes
    ]


def named(entry: Entry, prefix: str) -> bool:
    """Whether people mean this entry by `prefix`: a model that borrowed it, its key, or what its key begins with.

    A key begins with the prefix when it goes on with `:` or `/`, so `a/b` is not `a/b-large`.
    """
    if not prefix or entry.key == prefix or prefix in entry.models:
        return True
    return entry.key.startswith(prefix if prefix[-1] in ":/" else (prefix + ":", prefix + "/"))
