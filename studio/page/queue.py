"""The queue as every page shows it: who runs, who waits, how far; and the one stream of updates that says so.

A page hears how things stand when it connects and after every change, and nothing in between. What the panel's buttons ask goes
to the routes under /api/jobs, so that any device can stop or move what was sent from another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipelines.messages import KINDS
from studio.api.running import event
from studio.page import pieces
from studio.queue.standing import Standing
from studio.queue.watchers import EVERYTHING
from studio.templates import Macros

if TYPE_CHECKING:
    from pipelines.messages import Progress
    from studio.queue.jobs import JobSummary
    from studio.studio import Studio

QUEUE = Macros("queue.html")

PACE_SECONDS = 0.5  # at most so often, however fast steps come
ALIVE_SECONDS = 15.0  # a line that is silent for longer may be cut by what stands between
STARTING_SECONDS = 1.0  # nobody tells when the engine is there: looked at so often until it is
STATES = {"starting": "Starting engine…", "ready": "Ready", "lost": "Engine lost, restarting…"}


async def events(studio: Studio, owner: str, pace: float = PACE_SECONDS) -> AsyncIterator[str]:
    """How things stand for that person, now and after every change, as server-sent events."""
    last = ""
    with studio.watchers.watching(EVERYTHING) as changed:
        while not studio.is_closed:
            changed.clear()
            # as text already: a long line takes a while to put into JSON
            told = await asyncio.to_thread(lambda: event(state(studio, owner)))
            yield told if told != last else ": alive\n\n"
            last = told
            wait = ALIVE_SECONDS if studio.worker_state() == "ready" else STARTING_SECONDS
            with contextlib.suppress(TimeoutError):
                # not wait_for: before Python 3.12 it forgets a cancel that comes in the same turn as the change
                async with asyncio.timeout(wait):
                    await changed.wait()
                await asyncio.sleep(pace)


def state(studio: Studio, owner: str) -> dict[str, str]:
    """The engine in a few words, the panel, and what tells that the Models tab would show something else."""
    engine, line, interrupted = studio.worker_state(), studio.line(owner), studio.interrupted(owner)
    return {
        "state": engine,
        "text": summary(engine, line, len(interrupted)),
        "detail": studio.device(),
        "models": studio.models_stamp(),
        "html": panel(line, interrupted, owner, studio.catalog.titles(), studio.progress),
    }


def summary(engine: str, line: Sequence[Standing], interrupted: int = 0) -> str:
    """What the masthead says: what runs, or how the engine is."""
    running = sum(standing.status == "in_progress" for standing in line)
    waiting = len(line) - running
    if engine != "ready":
        return STATES[engine]
    if running or waiting:
        return f"{running} running" + (f", {waiting} waiting" if waiting else "")
    return f"{interrupted} interrupted" if interrupted else STATES[engine]


@dataclass(frozen=True)
class Row:
    """One of one's own jobs as the panel shows it. share: "15.0%" of it is done, "" while that cannot be told.

    can_move: there is another of one's own before it.
    """

    job_id: str
    modality: str
    words: str
    facts: tuple[str, ...]
    waits: bool
    share: str
    can_move: bool


def panel(
    line: Sequence[Standing],
    interrupted: Sequence[JobSummary],
    owner: str,
    names: Mapping[str, str],
    progress: Callable[[str], Progress | None],
) -> Markup:
    """The whole line, one's own with what can be done, and below it what a crash or a stop ended."""
    seen: set[str] = set()
    rows = []
    for standing in line:
        own = standing.owner == owner
        if not own:
            rows.append(_others(standing))
            continue
        rows.append(_mine(_row(standing, standing.modality in seen, names, progress(standing.job_id))))
        if standing.status == "queued":
            seen.add(standing.modality)
    ended = [(job, job.words[:80] or names.get(job.model, job.model)) for job in interrupted]
    return QUEUE.panel(rows, ended)


@lru_cache(maxsize=4096)
def _others(standing: Standing) -> Markup:
    """The place someone else takes: the same for all who look, so it is written once for them."""
    return QUEUE.others(_facts(standing))


@lru_cache(maxsize=2048)
def _mine(row: Row) -> Markup:
    """One's own: from one update to the next most rows stay as they were."""
    return QUEUE.mine(row)


def _row(standing: Standing, can_move: bool, names: Mapping[str, str], progress: Progress | None) -> Row:
    words = standing.words or names.get(standing.model, standing.model)
    return Row(
        standing.job_id,
        standing.modality,
        words,
        _facts(standing, progress),
        waits=standing.status == "queued",
        share=f"{progress.step / progress.total:.1%}" if progress and progress.total else "",
        can_move=can_move,
    )


def _facts(standing: Standing, progress: Progress | None = None) -> tuple[str, ...]:
    """Where it stands in a few words."""
    left = f"about {pieces.seconds(standing.eta_seconds)} left" if standing.eta_seconds else ""
    stage = pieces.STAGES.get(progress.stage, "") if progress else ""
    count = f"{progress.step} of {progress.total}" if progress and progress.total else ""
    place = f"number {standing.position} in line" if standing.status == "queued" else stage or "Running"
    return (KINDS[standing.modality].title, place, count, left)
