"""How much memory a process takes at its worst, where nothing counts it: looked at often, by one thread that sleeps otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LOOKS_A_SECOND = 20


class PeakSampler:
    """Watches a number of bytes. read: gives it now; called from a thread of the sampler's own while somebody wants to know."""

    def __init__(self, read: Callable[[], int], looks_a_second: float = LOOKS_A_SECOND) -> None:
        self._read = read
        self._pause = 1 / looks_a_second
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: int | None = None
        self._most = 0

    def start(self) -> None:
        """Count from here."""
        now = self._read()
        with self._lock:
            self._before = self._most = now
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="memory-peak", daemon=True)
                self._thread.start()
        self._wanted.set()

    def stop(self) -> int | None:
        """The most bytes since the last `start` beyond those of then, None when there was none; the thread goes back to sleep."""
        self._wanted.clear()
        self._look()
        with self._lock:
            return None if self._before is None else self._most - self._before

    def _look(self) -> None:
        now = self._read()
        with self._lock:
            self._most = max(self._most, now)

    def _watch(self) -> None:
        while True:
            self._wanted.wait()
            self._look()
            time.sleep(self._pause)
