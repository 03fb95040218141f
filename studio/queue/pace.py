"""How long a job still takes: from its own steps once they can be timed, before that from earlier ones of its model and modality.

What earlier jobs took is scaled by how much there is to do, and only told where they agree: no forecast rather than a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from statistics import median

from pipelines.messages import BaseRequest, Progress, knobs_of

UNTOLD = ("queued", "load")
"""Stages whose length says nothing about the next job: a loaded model stays."""
STEADY = ("encode", "save")
"""Stages that take as long for a large picture as for a small one."""
NEAR, FAR = 4.0, 16.0
"""Jobs up to so many times larger or smaller are asked first; of work beyond the second, none is believed to tell anything."""
SPREAD = 4.0
"""Where the middle of what they say is further apart, nothing is said."""

Earlier = Sequence[Mapping[str, float]]
"""`seconds_by_stage` of the last completed jobs of one modality by one model, newest first."""


def work(request: BaseRequest) -> float:
    """How much a request asks for, comparable between requests for one model."""
    scales = [getattr(request, name) for name, knob in knobs_of(type(request)).items() if knob.scales_time]
    return prod((value for value in scales if value > 0), start=1.0) * request.share_of_work()


def work_beforehand(request: BaseRequest) -> float | None:
    """`work`, or None when the request does not say how much there is to do: an answer ends when it ends, and a script takes as
    long as it is read."""
    return work(request) if request.says_how_much else None


def seconds_by_stage_for(amount: float, earlier: Earlier) -> dict[str, float]:
    """What each stage of that much work would take; empty when no earlier job is near enough or they disagree."""
    times = [_scaled(one, amount) for one in _near(amount, earlier)]
    totals = sorted(sum(one.values()) for one in times)
    odd = len(totals) // 3  # so many on either side may be anything: a first job that warmed up the machine
    if not totals or totals[-1 - odd] > SPREAD * totals[odd]:
        return {}
    stages = dict.fromkeys(stage for one in times for stage in one)
    return {stage: median(one[stage] for one in times if stage in one) for stage in stages}


def _near(amount: float, earlier: Earlier) -> Earlier:
    """The jobs whose size says most about that much work."""
    told = [one for one in earlier if len(one) > 1]
    apart = [max(amount / one["work"], one["work"] / amount) if one.get("work") else 1.0 for one in told]
    close = [one for one, times in zip(told, apart, strict=True) if times <= NEAR]
    return close or [one for one in told if amount <= FAR * one.get("work", amount)]


def _scaled(one: Mapping[str, float], amount: float) -> dict[str, float]:
    scale = amount / (one.get("work") or amount)
    times = {stage: seconds for stage, seconds in one.items() if stage != "work"}
    return {stage: seconds if stage in STEADY else seconds * scale for stage, seconds in times.items()}


def seconds_for(amount: float | None, earlier: Earlier) -> float | None:
    """How long that much work takes, without loading the model; None when that cannot be told."""
    times = {} if amount is None else seconds_by_stage_for(amount, earlier)
    return sum(times.values()) if times else None


def expected_seconds(request: BaseRequest, earlier: Earlier) -> float | None:
    """How long the work of a request takes, as `seconds_for` tells."""
    return seconds_for(work_beforehand(request), earlier)


class Pace:
    """The clock of one job."""

    def __init__(self, request: BaseRequest, earlier: Earlier = ()) -> None:
        self._work = work(request)
        self._expected = seconds_by_stage_for(self._work, earlier) if request.says_how_much else {}
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
