"""The clock of a job: estimates from its own steps, and from an earlier job before there are any."""

from __future__ import annotations

import pytest

from pipelines.messages import ImageRequest, Progress
from studio.pace import Pace


def step(number: int, total: int = 10, stage: str = "denoise") -> Progress:
    return Progress("job", stage, number, total)


def test_nothing_is_known_before_the_first_step() -> None:
    assert Pace(ImageRequest(prompt="x")).eta_seconds(0) is None


def test_seconds_per_step_are_measured_and_time_passes_between_steps() -> None:
    pace = Pace(ImageRequest(prompt="x"))
    for number in range(4):
        pace.observe(step(number), now=100 + 2 * number)
    assert pace.eta_seconds(106) == pytest.approx(14)
    assert pace.eta_seconds(107) == pytest.approx(13)
    assert pace.eta_seconds(1000) == 0


def test_an_earlier_job_tells_how_long_this_one_takes_scaled_by_its_size() -> None:
    first = Pace(ImageRequest(prompt="x", width=512, height=512, num_inference_steps=10))
    first.observe(Progress("job", "load", 0, 3), now=0)  # loading says nothing about the next job
    first.observe(step(0), now=10)
    first.observe(step(10), now=30)
    first.observe(Progress("job", "save"), now=30)
    taught = first.seconds_by_stage(now=31)
    assert taught == {"work": 512 * 512 * 10, "denoise": 20, "save": 1}
    twice = Pace(ImageRequest(prompt="y", width=512, height=512, num_inference_steps=20), taught)
    assert twice.eta_seconds(0) == pytest.approx(42)
    twice.observe(step(0, 20), now=100)
    assert twice.eta_seconds(101) == pytest.approx(41)


def test_a_job_without_steps_teaches_nothing_and_breaks_nothing() -> None:
    """It once did: the job stayed open for ever."""
    assert Pace(ImageRequest(prompt="x", width=64, height=64, num_inference_steps=1)).seconds_by_stage(5) == {
        "work": 4096
    }


def test_own_steps_count_more_than_memory() -> None:
    pace = Pace(ImageRequest(prompt="x"), {"work": 1.0, "denoise": 1e6})
    pace.observe(step(0), now=0)
    pace.observe(step(5), now=5)
    assert pace.eta_seconds(5) == pytest.approx(5)
