"""How long a job still takes: from its own steps once they can be timed, before that from an earlier job of the same model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.messages import Progress

WORK = ("width", "height", "num_inference_steps", "num_images", "seconds", "keyframes_per_second")
"""Request fields that time grows with, in proportion."""
SIZES = (*WORK, "max_tokens", "init_image", "mask_image", "strength", "fps")
"""Request fields that change how much memory or time it takes."""
UNTOLD = ("queued", "load")
"""Stages whose length says nothing about the next job: a loaded model stays."""


def work(request: Any) -> float:
    """How much a request asks for, comparable between requests for one model."""
    amount = 1.0
    for name in WORK:
        value = getattr(request, name, None)
        if isinstance(value, int | float) and value > 0:
            amount *= value
    if getattr(request, "init_image", ""):
        amount *= max(request.strength, 0.01)  # so much of the steps is gone through
    return amount


def work_beforehand(request: Any) -> float | None:
    """`work`, or None when the request does not say how much there is to do: an answer ends when it ends, and a script takes as
    long as it is read."""
    return work(request) if hasattr(request, "num_inference_steps") else None


def seconds_for(amount: float | None, earlier: Mapping[str, float]) -> float | None:
    """How long that much work takes, from an earlier job of its model and without loading it; None when that cannot be told."""
    if amount is None:
        return None
    times = dict(earlier)
    scale = amount / (times.pop("work", 0.0) or amount)
    return sum(times.values()) * scale if times else None


def expected_seconds(request: Any, earlier: Mapping[str, float]) -> float | None:
    """How long the work of a request takes, as `seconds_for` tells."""
    return seconds_for(work_beforehand(request), earlier)


class Pace:
    """The clock of one job. earlier: `seconds_by_stage` of the last completed job of that model."""

    def __init__(self, request: Any, earlier: Mapping[str, float] | None = None) -> None:
        self._work = work(request)
        earlier = dict(earlier or {})
        scale = self._work / (earlier.pop("work", 0.0) or self._work)
        self._expected = {stage: seconds * scale for stage, seconds in earlier.items()}
        self._first: dict[str, tuple[float, int]] = {}
        self._last: dict[str, tuple[float, int, int]] = {}

    def observe(self, progress: Progress, now: float) -> None:
        if progress.stage in UNTOLD:
            return
        self._first.setdefault(progress.stage, (now, progress.step))
        self._last[progress.stage] = (now, progress.step, progress.total)

    def eta_seconds(self, now: float) -> float | None:
        """Seconds until the job ends, as far as can be told; None when nothing is known yet."""
        known = [self._remaining(stage, now) for stage in {*self._last, *self._expected}]
        told = [seconds for seconds in known if seconds is not None]
        return sum(told) if told else None

    def seconds_by_stage(self, now: float) -> dict[str, float]:
        """What this job teaches the next one; `work` is how much it was."""
        times: dict[str, float] = {"work": self._work}
        starts = sorted((first[0], stage) for stage, first in self._first.items())
        for (start, stage), end in zip(starts, [*(start for start, _ in starts[1:]), now], strict=False):
            times[stage] = max(end, self._last[stage][0]) - start
        return times

    def _remaining(self, stage: str, now: float) -> float | None:
        if stage not in self._last:
            return self._expected[stage]
        start, first = self._first[stage]
        latest, step, total = self._last[stage]
        if step > first and total:
            return max(0.0, (latest - start) / (step - first) * (total - step) - (now - latest))
        if stage in self._expected:
            return max(0.0, self._expected[stage] - (now - start))
        return None
