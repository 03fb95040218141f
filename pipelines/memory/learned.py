"""What work really takes beside the weights: measured, kept by device, and promised the next time instead of a guess.

Work has a label that names the operation, its size and the weights it runs through (`work_label`); a measurement counts for the
same label only. Measured alone it replaces the guess; beside other work it says no more than an upper bound.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from pipelines.disk import write_whole
from pipelines.memory.parts import Component

log = logging.getLogger(__name__)

MARGIN = 1.1
"""What is promised above the largest of the last peaks."""
LAST = 8
"""So many runs alone are looked at; older ones are forgotten."""
OVERRUN, MOST_OVERRUN = 1.25, 2.0
"""How much is added when work ran out of memory, and how much in all: it may have been another program's doing."""
MOST_LABELS = 500
BOUND = "<="


def work_label(operation: str, components: Sequence[Component], *shape: object, up_to: int = 0) -> str:
    """The name of an operation on these weights at this size: "image 512x768 guided 9f31c2ab".

    shape: whatever its memory depends on, exactly. up_to: for work whose length is known only when it is done (the tokens of an
    answer): the most it may be, taken to the next power of two. What one such run took does not lower the guess for the next.
    """
    keys = "\n".join(sorted({component.key for component in components}))
    weights = hashlib.sha256(keys.encode()).hexdigest()[:8]
    bound = [f"{BOUND}{1 << (up_to - 1).bit_length()}"] if up_to else []
    return " ".join([operation, *map(str, shape), *bound, weights])


@dataclass
class _Seen:
    """What is known of one label, in bytes. peaks: of the last runs alone; beside: an upper bound, until one has run alone."""

    peaks: deque[int] = field(default_factory=lambda: deque(maxlen=LAST))
    beside: int = 0
    overrun: int = 0
    runs_since: int = 0
    prior: int = 0

    def estimate(self, is_bound: bool) -> int:
        if self.peaks:
            measured = int(MARGIN * max(self.peaks))
            expected = max(measured, self.prior) if is_bound else measured
        else:
            expected = max(self.prior, self.beside)
        return max(expected, self.overrun)


class WorkingSets:
    """Measured working sets of one device; safe to use from many threads.

    path: the folder they are kept in, a file for each device; None to keep them in memory only. device: the name people know it
    by: another card in the same slot begins anew. A file that cannot be read counts as none.
    """

    def __init__(
        self, path: Path | None, device: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        name = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
        self.file = path / f"working-sets-{name}.json" if path is not None else None
        self._device = device
        self._clock = clock
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._seen: dict[str, _Seen] = self._read()
        self._changed = False
        self._saved_at = clock()

    def estimate(self, work: str, prior: int) -> int:
        """Bytes to promise for this work: `prior` until it was measured, then a little more than it ever took lately."""
        with self._lock:
            seen = self._of(work)
            seen.prior = prior
            return seen.estimate(BOUND in work)

    def observe(self, work: str, peak_bytes: int, alone: bool) -> None:
        """The work took `peak_bytes`. alone: nothing ran beside it; otherwise it can raise what nobody measured alone yet."""
        with self._lock:
            seen = self._of(work)
            if alone:
                seen.peaks.append(max(0, peak_bytes))
                seen.beside = 0
                seen.runs_since += 1
                if seen.runs_since > LAST:
                    seen.overrun = 0
            else:
                seen.beside = max(seen.beside, peak_bytes)
            self._changed = True

    def overrun(self, work: str) -> None:
        """The work ran out of memory with what was promised: promise a quarter more for its next runs.

        Not kept beyond a restart, and twice the best known figure at most, so that a device that was full for other reasons does
        not shut the work out for good.
        """
        with self._lock:
            seen = self._of(work)
            best_known = max(seen.prior, *seen.peaks, 0)
            seen.overrun = int(
                min(OVERRUN * seen.estimate(BOUND in work), max(MOST_OVERRUN * best_known, seen.overrun))
            )
            seen.runs_since = 0

    def save(self, at_most_every: float = 0.0) -> None:
        """Write what is new, unless it was written less than so many seconds ago. A disk that refuses is only logged."""
        if self.file is None or not self._saving.acquire(blocking=False):
            return
        try:
            with self._lock:
                if not self._changed or self._clock() - self._saved_at < at_most_every:
                    return
                self._changed, self._saved_at = False, self._clock()
                works = {
                    work: {"peaks": list(seen.peaks), "beside": seen.beside}
                    for work, seen in self._seen.items()
                    if seen.peaks or seen.beside
                }
            _write(self.file, json.dumps({"device": self._device, "works": works}, indent=1))
        finally:
            self._saving.release()

    def _of(self, work: str) -> _Seen:
        """What is known of it, moved to the end: those not used for longest are forgotten first."""
        seen = self._seen.pop(work, None) or _Seen()
        self._seen[work] = seen
        while len(self._seen) > MOST_LABELS:
            del self._seen[next(iter(self._seen))]
        return seen

    def _read(self) -> dict[str, _Seen]:
        if self.file is None or not self.file.is_file():
            return {}
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))["works"]
            return {str(work): _seen(values) for work, values in list(kept.items())[-MOST_LABELS:]}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("%s cannot be read (%s); measuring anew", self.file.name, error)
            return {}


class _Written(TypedDict):
    """One label in the file, if nobody wrote anything else there."""

    peaks: list[int]
    beside: int


def _seen(values: _Written) -> _Seen:
    numbers = [*values["peaks"], values["beside"]]
    if not all(type(number) is int and 0 <= number < 1 << 60 for number in numbers):
        raise ValueError("it holds other things than bytes")
    return _Seen(deque(values["peaks"], maxlen=LAST), values["beside"])


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        log.warning("%s was not kept: %s", file.name, error)
