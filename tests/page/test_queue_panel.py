"""The queue panel and its stream: what a page hears, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.messages import AudioRequest, Progress, Telemetry
from studio.page import queue
from studio.queue.standing import Standing
from studio.settings import Settings
from studio.studio import Studio

NAMES = {"espeak": "eSpeak NG"}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(Settings(data_dir=tmp_path / "data", device="cpu"), warm_up=False)
    yield studio
    studio.close()


def standing(number: int, owner: str = "ada", status: str = "queued", words: str = "words") -> Standing:
    position = number if status == "queued" else 0
    return Standing(f"job{number}", owner, "audio", "espeak", words, status, position, None, 0.0)  # type: ignore[arg-type]


def silent(job_id: str) -> Progress | None:
    return None


def test_a_page_hears_how_things_stand_and_then_what_changes(studio: Studio) -> None:
    studio.start()

    async def heard() -> list[str]:
        stream = queue.events(studio, "ada", pace=0.0)
        said = [await anext(stream)]
        await asyncio.to_thread(studio.submit, AudioRequest(prompt="A secret of mine."), "ada")
        while "A secret of mine." not in said[-1]:
            said.append(await anext(stream))
        while "Nothing runs or waits." not in said[-1]:
            said.append(await anext(stream))
        await stream.aclose()  # type: ignore[attr-defined]
        return said

    said = asyncio.run(heard())
    assert "Nothing runs or waits." in said[0]
    told = [one for one in said if not one.startswith(":")]
    assert all(one != before for before, one in pairwise(told))


def test_a_line_that_does_not_change_is_not_told_again(studio: Studio) -> None:
    """What wakes a page need not concern it: it hears a sign of life and nothing else."""

    async def heard() -> tuple[str, str]:
        stream = queue.events(studio, "ada", pace=0.0)
        first = await anext(stream)
        studio.watchers.tell("someone")
        second = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return first, second

    first, second = asyncio.run(heard())
    assert first.startswith("data:")
    assert second == ": alive\n\n"


def test_ones_own_jobs_can_be_stopped_and_those_behind_another_moved_up() -> None:
    line = [standing(1, status="in_progress"), standing(2), standing(3, "bob").someone_elses, standing(4)]
    shown = queue.panel(line, [], "ada", NAMES, silent)
    assert shown.count('data-do="cancel"') == 3
    assert shown.count('data-do="move-up"') == 1
    assert shown.index('data-do="move-up"') > shown.index("Someone else’s")
    assert "job3" not in shown


def test_a_job_that_a_stop_ended_is_offered_in_the_panel(tmp_path: Path) -> None:
    """As the next start finds it: the state of the page told nothing but an error while one was there."""
    first = Studio(Settings(data_dir=tmp_path, device="cpu"), warm_up=False)
    job = first.submit(AudioRequest(prompt="Half said.", model="espeak"), "ada")
    assert first.store.claim("audio") is not None
    first.engine.dispose()  # and the process is gone
    again = Studio(Settings(data_dir=tmp_path, device="cpu"), warm_up=False)
    again.start()
    shown = queue.state(again, "ada")
    again.close()
    assert "Half said." in shown["html"]
    assert f'data-job="{job.id}"' in shown["html"]
    assert 'data-do="put-back"' in shown["html"]


def test_a_page_hears_when_what_memory_holds_changed(studio: Studio) -> None:
    """So that the Models tab asks for it then, and not every two seconds whether anything moved or not."""
    station = studio.pool.stations[0]
    station.receiver = studio.feeder.filing

    async def heard() -> tuple[str, str]:
        stream = queue.events(studio, "ada", pace=0.0)
        before = await anext(stream)
        await asyncio.to_thread(station._on_event, Telemetry({"committed_bytes": 5}))
        after = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return before, after

    before, after = (json.loads(told.removeprefix("data:"))["models"] for told in asyncio.run(heard()))
    assert before != after


def test_words_of_people_are_escaped_in_the_panel() -> None:
    shown = queue.panel([standing(1, words='<img src=x onerror="alert(1)">')], [], "ada", NAMES, silent)
    assert "<img" not in shown
    assert "&lt;img src=x" in shown


def test_the_masthead_says_what_runs_and_how_the_engine_is() -> None:
    line = [standing(1, status="in_progress"), standing(2)]
    assert queue.summary("ready", line) == "1 running, 1 waiting"
    assert queue.summary("ready", []) == "Ready"
    assert queue.summary("ready", [], interrupted=2) == "2 interrupted"
    assert queue.summary("lost", line) == "Engine lost, restarting…"
