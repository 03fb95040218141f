"""Downloads the page started: one thread each, watched by anyone, cancelled at once, resumed by starting again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.catalog import Catalog, download
from pipelines.errors import Cancelled, Problem, as_problem

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """Where one download stands. rate: bytes a second over its whole run so far."""

    model_id: str
    state: Literal["running", "completed", "cancelled", "failed"] = "running"
    done_bytes: int = 0
    total_bytes: int = 0
    rate: float = 0.0
    problem: Problem | None = None

    @property
    def eta_seconds(self) -> float | None:
        return (self.total_bytes - self.done_bytes) / self.rate if self.rate > 0 else None


class Downloads:
    """The downloads of one server. changed: told after every change; returns at once. clock: monotonic seconds."""

    def __init__(
        self,
        catalog: Catalog,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalog, self._changed = catalog, changed
        self._clock = clock
        self._lock = threading.Lock()
        self._downloads: dict[str, Download] = {}
        self._cancelled: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, model_id: str) -> Download:
        """Begin, or go on with, the download of a listed model; returns at once. A running one is returned as it is."""
        spec = self.catalog.get(model_id)
        with self._lock:
            current = self._downloads.get(model_id)
            if current is not None and current.state == "running":
                return current
            begun = self._downloads[model_id] = Download(model_id)
            cancelled = self._cancelled[model_id] = threading.Event()
        self._changed()
        started = self._clock()
        here_before = -1

        def on_progress(done: int, total: int) -> None:
            nonlocal here_before
            here_before = done if here_before < 0 else here_before
            rate = (done - here_before) / max(0.1, self._clock() - started)
            self._change(model_id, done_bytes=done, total_bytes=total, rate=rate)

        def run() -> None:
            try:
                download.download(spec, on_progress, cancelled.is_set)
            except Cancelled:
                self._change(model_id, state="cancelled")
            except Exception as error:
                log.warning("download of %s failed", model_id, exc_info=True)
                self._change(model_id, state="failed", problem=as_problem(error))
            else:
                self.catalog.refresh()
                self._change(model_id, state="completed")

        thread = self._threads[model_id] = threading.Thread(
            target=run, name=f"download {model_id}", daemon=True
        )
        thread.start()
        return begun

    def cancel(self, model_id: str) -> None:
        """Stop a download; what has come is kept and resumed by the next start."""
        if event := self._cancelled.get(model_id):
            event.set()

    def all(self) -> dict[str, Download]:
        with self._lock:
            return dict(self._downloads)

    def wait(self, model_id: str, timeout: float | None = None) -> Download:
        """Where the download stands once it has ended, or after `timeout` seconds."""
        self._threads[model_id].join(timeout)
        return self.all()[model_id]

    def _change(self, model_id: str, **changes: object) -> None:
        with self._lock:
            self._downloads[model_id] = replace(self._downloads[model_id], **changes)  # type: ignore[arg-type]
        self._changed()
