"""Who stops watching is let go at once, also when something changes in that very moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from pipelines.messages import AudioRequest
from studio.page.queue import events
from studio.queue.watchers import EVERYTHING
from studio.settings import Settings
from studio.studio import Studio

Watch = Callable[[Studio, str], AsyncGenerator[object]]


@pytest.mark.parametrize(
    "watch",
    [lambda studio, job: studio.watch(job), lambda studio, job: events(studio, "", pace=0.0)],
    ids=["a job", "the line"],
)
def test_a_watcher_that_goes_as_something_changes_is_gone(tmp_path: Path, watch: Watch) -> None:
    """In Python 3.11 `asyncio.wait_for` kept those whose cancel came a turn or two after the change: they watched for ever."""
    studio = Studio(Settings(data_dir=tmp_path, device="cpu"), warm_up=False)
    job = studio.submit(AudioRequest(prompt="Waits.", model="espeak"), owner="").id
    try:
        for turns in range(6):
            assert asyncio.run(goes(studio, job, watch, turns)), f"{turns} turns after the change"
    finally:
        studio.close()


async def goes(studio: Studio, job: str, watch: Watch, turns: int) -> bool:
    """Whether a watcher ends that is cancelled so many turns of the loop after a change."""

    async def look() -> None:
        async for _ in watch(studio, job):
            looked.set()

    looked = asyncio.Event()
    watching = asyncio.create_task(look())
    await looked.wait()
    for _ in range(3):
        await asyncio.sleep(0)  # it waits for the next change
    studio.watchers.tell(job)
    studio.watchers.tell(EVERYTHING)
    for _ in range(turns):
        await asyncio.sleep(0)
    watching.cancel()
    done, _ = await asyncio.wait([watching], timeout=5)
    return bool(done)
