"""The few things a thread opened last, kept for its next job: tokenizers must not be used by two threads at once, and open slowly.

Each thread keeps the newest `MOST` of a kind; one of 150,000 words takes about 100 MB, and nobody counts them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

MOST = 3
T = TypeVar("T")
_own = threading.local()


def kept(kind: str, key: Hashable, make: Callable[[], T]) -> T:
    """What `make` gave for that key on this thread before, or gives now; the one used longest ago leaves."""
    held: dict[Hashable, T] = _own.__dict__.setdefault(kind, {})
    found = held.pop(key) if key in held else make()
    held[key] = found  # the newest stands last
    while len(held) > MOST:
        held.pop(next(iter(held)))
    return found
