"""What a studio does beside its work: list what a crash left in the library, and sweep what nobody needs any more.

Nothing here is ever in anyone's way: each task is tried by itself, and what fails is logged and tried again the next time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from studio.folder.scratch import sweep_dead
from studio.library import Library
from studio.queue.store import JobStore

log = logging.getLogger(__name__)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
FIRST_WAITS = (75.0,)
"""Seconds until the second look: what was being written at the first is settled by then."""
LEFT_OVER = (".*.part", "cache/.*.part")
"""Names in the data folder of small files that are being written; one that is an hour old is of a process that is gone."""


class Housekeeping:
    """Looks after one data folder from `start` to `close`. clock: seconds since 1970, as files tell them."""

    def __init__(self, data_dir: Path, store: JobStore, library: Library, clock: Callable[[], float]) -> None:
        self.data_dir, self.store, self.library, self.clock = data_dir, store, library, clock
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work_until_closed, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def adopt(self) -> None:
        """List files without a row, each on the job that made it."""
        for asset in self.library.adopt():
            log.info("%s was left by a crash and is listed now", asset.file)
            if asset.job_id:
                self.store.keep_assets(asset.job_id, [asset.id])

    def sweep(self) -> None:
        """Remove what is of no use to anyone: a day after it was brought to the page, an hour after it was left half done."""
        now = self.clock()
        for folder in old(
            (self.data_dir / "tmp").glob("*"), now - MINUTE
        ):  # a younger one may not have its lock yet
            sweep_dead(folder)
        self.library.store.sweep(now - HOUR)
        for pattern in LEFT_OVER:
            for file in old(self.data_dir.glob(pattern), now - HOUR):
                file.unlink(missing_ok=True)
        self._sweep_uploads(now)

    def _sweep_uploads(self, now: float) -> None:
        """What the page keeps of uploads between two questions."""
        inside = sorted((self.data_dir / "gradio").glob("**/*"), reverse=True)  # files before their folders
        for path in old(iter(inside), now - DAY):
            if not path.is_dir() or path.is_symlink():
                path.unlink(missing_ok=True)
            elif not any(path.iterdir()):
                path.rmdir()

    def _work_until_closed(self) -> None:
        self._try(self.sweep)
        self._try(self.adopt)
        for seconds in FIRST_WAITS:
            if self._closed.wait(seconds):
                return
            self._try(self.adopt)
        while not self._closed.wait(HOUR):
            self._try(self.sweep)

    def _try(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:
            log.exception("housekeeping stumbled and goes on")


def old(paths: Iterator[Path], before: float) -> Iterator[Path]:
    """Those nobody has touched since then."""
    for path in paths:
        try:
            about = path.lstat()
        except OSError:  # gone meanwhile
            continue
        if about.st_mtime < before:
            yield path
