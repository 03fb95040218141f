"""The clock of a job: estimates from its own steps, and from an earlier job before there are any."""

from __future__ import annotations

import threading

import pytest

from pipelines.catalog import ModelSpec, Source
from pipelines.messages import ImageRequest, Progress, TextRequest
from studio.queue.jobs import Job
from studio.queue.live import Live, Running
from studio.queue.pace import Pace, seconds_for, work


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
    twice = Pace(ImageRequest(prompt="y", width=512, height=512, num_inference_steps=20), [taught])
    assert twice.eta_seconds(0) == pytest.approx(41)
    twice.observe(step(0, 20), now=100)
    assert twice.eta_seconds(101) == pytest.approx(40)


def test_a_job_without_steps_teaches_nothing_and_breaks_nothing() -> None:
    """It once did: the job stayed open for ever."""
    assert Pace(ImageRequest(prompt="x", width=64, height=64, num_inference_steps=1)).seconds_by_stage(5) == {
        "work": 4096
    }


def test_own_steps_count_more_than_memory() -> None:
    pace = Pace(ImageRequest(prompt="x"), [{"work": float(512 * 512 * 30), "denoise": 1e6}])
    pace.observe(step(0), now=0)
    pace.observe(step(5), now=5)
    assert pace.eta_seconds(5) == pytest.approx(5)


def test_how_long_an_answer_takes_is_not_told_from_earlier_answers() -> None:
    """It was told while it ran, though nobody could tell it while it waited: an answer ends when it ends."""
    pace = Pace(TextRequest(prompt="Hello."), [took(work(TextRequest(prompt="Hello.")), generate=40.0)] * 3)
    assert pace.eta_seconds(0) is None


def took(work: float, **stages: float) -> dict[str, float]:
    return {"work": work, **stages}


def test_one_odd_job_does_not_spoil_the_forecast() -> None:
    """It once was twenty times off: the last job alone was believed, and its first steps had warmed up the machine."""
    usual = [took(100.0, denoise=10.0, save=0.5) for _ in range(4)]
    assert seconds_for(100.0, [took(100.0, denoise=200.0, save=0.5), *usual]) == pytest.approx(10.5)


def test_two_jobs_outvote_the_first_one() -> None:
    warm = took(100.0, denoise=1.0)
    assert seconds_for(100.0, [warm, warm, took(100.0, denoise=30.0)]) == pytest.approx(1)


def test_jobs_that_disagree_tell_nothing() -> None:
    assert seconds_for(100.0, [took(100.0, denoise=200.0), took(100.0, denoise=10.0)]) is None


def test_a_job_of_quite_another_size_tells_nothing() -> None:
    """What a tiny picture takes says nothing of a large clip."""
    assert seconds_for(6400.0, [took(100.0, denoise=1.0)]) is None
    assert seconds_for(1600.0, [took(100.0, denoise=1.0)]) == pytest.approx(16)
    assert seconds_for(1.0, [took(100.0, denoise=1.0, save=1.0)]) == pytest.approx(
        1.01
    )  # less work is never longer


def test_a_job_of_nearly_that_size_tells_more_than_others() -> None:
    assert seconds_for(200.0, [took(2000.0, denoise=300.0), took(100.0, denoise=1.0)]) == pytest.approx(2)


def test_what_does_not_grow_with_the_work_is_not_scaled() -> None:
    assert seconds_for(400.0, [took(100.0, encode=3.0, denoise=1.0)]) == pytest.approx(7)


def test_what_a_job_took_is_told_when_nobody_changes_its_clock() -> None:
    """Its steps come on the worker's thread, its end is written on another, and both see the same clock."""
    request, told, running = (
        ImageRequest(prompt="x", width=64, height=64, num_inference_steps=1),
        [],
        Running(),
    )
    spec = ModelSpec("painter", "Painter", ("image",), "diffusers", Source())
    running.add(Live(Job("job", "ada", request, "in_progress", 0.0), spec, Pace(request)))
    asking = threading.Thread(target=lambda: told.append(running.took("job", 12.0)))
    with running.changing("job") as live:
        assert live is not None
        asking.start()
        asking.join(0.05)
        assert told == []
        live.pace.observe(step(0, 1), now=10)
    asking.join()
    assert told == [{"work": 4096.0, "denoise": 2.0}]
    assert running.took("another", 12.0) is None
