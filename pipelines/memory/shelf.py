"""What models need beside their weights, tokenizers above all: slow to open, lent to one thread at a time, kept for the next.

A fast tokenizer must not be used by two threads at once (one would set its padding under the other), so each job takes one for
itself and the worker puts back what a job took when it ends. Of a kind that lies unused only one is kept, and of all only so many
bytes; the memory manager counts them, and lets them go with the models.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar, cast

MOST_BYTES = 400 * 10**6
"""Of what lies unused. A tokenizer of 150,000 words takes 32 to 46 MB, measured."""
T = TypeVar("T")


@dataclass
class Thing:
    """What was opened. nbytes: about what it takes in main memory; used: when it was put back."""

    held: object
    nbytes: int
    used: float = 0.0


class Shelf:
    """Things by key, used by many threads. clock: seconds that only grow."""

    def __init__(self, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._clock = most_bytes, clock
        self._lock = threading.Lock()
        self._idle: dict[Hashable, Thing] = {}  # the one put back last stands last
        self._taken: defaultdict[int, dict[Hashable, Thing]] = defaultdict(dict)  # by thread

    def take(self, key: Hashable, make: Callable[[], T], nbytes: int) -> T:
        """The thing of that key, this thread's alone until `put_back`; made when none lies unused."""
        with self._lock:
            mine = self._taken[threading.get_ident()]
            if key not in mine and key in self._idle:
                mine[key] = self._idle.pop(key)
        if key not in mine:
            mine[key] = Thing(make(), nbytes)
        return cast("T", mine[key].held)

    def put_back(self) -> None:
        """This thread's work is done: what it took is anybody's, a second one of a kind is closed."""
        with self._lock:
            mine = self._taken.pop(threading.get_ident(), {})
            for key, thing in mine.items():
                thing.used = self._clock()
                self._idle.pop(key, None)
                self._idle[key] = thing
            while sum(thing.nbytes for thing in self._idle.values()) > self._most_bytes:
                del self._idle[next(iter(self._idle))]

    def let_go(self, rested: float = 0.0) -> None:
        """Close what has lain unused for so many seconds."""
        now = self._clock()
        with self._lock:
            self._idle = {key: thing for key, thing in self._idle.items() if now - thing.used < rested}

    @property
    def nbytes(self) -> int:
        """What all of it takes in main memory, about."""
        with self._lock:
            everybodys = [self._idle, *self._taken.values()]
            return sum(thing.nbytes for things in everybodys for thing in [*things.values()])


SHELF = Shelf()
"""The one of this process."""
