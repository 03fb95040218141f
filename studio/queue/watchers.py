"""Who watches which job, from whatever event loop they live in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERYTHING = "*"
"""Watched instead of one job: any change of any of them, and of what follows."""
MODELS = "models"
"""Told when what memory holds changed, or what is being downloaded."""


class Watchers:
    """Tells watchers that something changed; what it is, they look up themselves, so none is ever behind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakers: dict[str, set[Callable[[], None]]] = {}

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event of the running loop, set whenever the job changed."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        with self._lock:
            self._wakers.setdefault(job_id, set()).add(wake)
        try:
            yield changed
        finally:
            self._forget(job_id, wake)

    def tell(self, job_id: str) -> None:
        with self._lock:
            wakers = [(name, wake) for name in (job_id, EVERYTHING) for wake in self._wakers.get(name, ())]
        for name, wake in wakers:
            try:
                wake()
            except RuntimeError:  # its event loop is closed: nobody is there any more
                self._forget(name, wake)

    def watched(self) -> list[str]:
        with self._lock:
            return list(self._wakers)

    def _forget(self, job_id: str, wake: Callable[[], None]) -> None:
        with self._lock:
            wakers = self._wakers.get(job_id, set())
            wakers.discard(wake)
            if not wakers:
                self._wakers.pop(job_id, None)
