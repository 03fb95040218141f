"""The queue as every page shows it: who runs, who waits, how far; and the one stream of updates that says so.

A page hears how things stand when it connects and after every change, and nothing in between. What the panel's buttons ask goes
to the routes under /api/jobs, so that any device can stop or move what was sent from another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from pipelines.messages import Progress
from studio.api.running import event
from studio.page import pieces
from studio.queue.standing import Standing
from studio.queue.watchers import EVERYTHING

if TYPE_CHECKING:
    from studio.queue.jobs import JobSummary

PACE_SECONDS = 0.5  # at most so often, however fast steps come
ALIVE_SECONDS = 15.0  # a line that is silent for longer may be cut by what stands between
STARTING_SECONDS = 1.0  # nobody tells when the engine is there: looked at so often until it is
STATES = {"starting": "Starting engine…", "ready": "Ready", "lost": "Engine lost, restarting…"}


async def events(studio: Any, owner: str, pace: float = PACE_SECONDS) -> AsyncIterator[str]:
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
                await asyncio.wait_for(changed.wait(), wait)
                await asyncio.sleep(pace)


def state(studio: Any, owner: str) -> dict[str, Any]:
    """The engine in a few words, and the panel."""
    engine, line, interrupted = studio.worker_state(), studio.line(owner), studio.interrupted(owner)
    return {
        "state": engine,
        "text": summary(engine, line, len(interrupted)),
        "detail": studio.device(),
        "html": panel(line, interrupted, owner, titles(studio), studio.progress),
    }


def titles(studio: Any) -> dict[str, str]:
    return {spec.id: spec.title for spec in studio.catalog.all()}


def summary(engine: str, line: Sequence[Standing], interrupted: int = 0) -> str:
    """What the masthead says: what runs, or how the engine is."""
    running = sum(standing.status == "in_progress" for standing in line)
    waiting = len(line) - running
    if engine != "ready":
        return STATES[engine]
    if running or waiting:
        return f"{running} running" + (f", {waiting} waiting" if waiting else "")
    return f"{interrupted} interrupted" if interrupted else STATES[engine]


def panel(
    line: Sequence[Standing],
    interrupted: Sequence[JobSummary],
    owner: str,
    names: Mapping[str, str],
    progress: Any,
) -> str:
    """The whole line, one's own with what can be done, and below it what a crash or a stop ended."""
    mine: dict[str, int] = {}
    rows = []
    for standing in line:
        own = standing.owner == owner
        before = mine.get(standing.modality, 0)
        if own and standing.status == "queued":
            mine[standing.modality] = before + 1
        rows.append(_row(standing, own, before > 0, names, progress(standing.job_id) if own else None))
    waits = f'<ol class="line">{"".join(rows)}</ol>' if rows else '<p class="none">Nothing runs or waits.</p>'
    ended = "".join(_interrupted(job, names) for job in interrupted)
    offered = f'<h2>Interrupted</h2><ol class="line">{ended}</ol>' if ended else ""
    return f"<h2>Queue</h2>{waits}{offered}"


def _row(
    standing: Standing, own: bool, can_move: bool, names: Mapping[str, str], progress: Any = None
) -> str:
    if not own:
        return _others(standing)
    waits = standing.status == "queued"
    known = bool(progress and progress.total)
    told = _told(standing, progress)
    words = standing.words or names.get(standing.model, standing.model)
    share = f' style="width:{progress.step / progress.total:.1%}"' if known else ""
    track = "" if waits else f'<span class="track{"" if known else " unknown"}"><i{share}></i></span>'
    return (
        f'<li><button type="button" class="words" data-act="watch" data-to="{escape(standing.modality)}"'
        f' data-job="{escape(standing.job_id)}" title="Show it here">{escape(words)}</button>'
        f'<span class="told">{told}</span>{track}<span class="doings">{_doings(standing, can_move)}</span></li>'
    )


@lru_cache(maxsize=4096)
def _others(standing: Standing) -> str:
    """The place someone else takes: the same for all who look, so it is written once for them."""
    told = _told(standing)
    return f'<li class="other"><span class="words">Someone else’s</span><span class="told">{told}</span></li>'


def _told(standing: Standing, progress: Progress | None = None) -> str:
    """Where it stands in a few words."""
    left = f"about {pieces.seconds(standing.eta_seconds)} left" if standing.eta_seconds else ""
    stage = pieces.STAGES.get(progress.stage, "") if progress else ""
    count = f"{progress.step} of {progress.total}" if progress and progress.total else ""
    place = f"number {standing.position} in line" if standing.status == "queued" else stage or "Running"
    return pieces.line([standing.modality.capitalize(), place, count, left])


def _doings(standing: Standing, can_move: bool) -> str:
    asked = {"job": standing.job_id, "to": standing.modality}
    up = pieces.icon_button("up", "Move up", "job", do="move-up", **asked) if can_move else ""
    stop = "Take out of the line" if standing.status == "queued" else "Stop"
    return up + pieces.icon_button("stop", stop, "job", do="cancel", **asked)


def _interrupted(job: JobSummary, names: Mapping[str, str]) -> str:
    words = job.words[:80] or names.get(job.model, job.model)
    asked = {"job": job.id, "to": job.modality}
    return (
        f'<li><span class="words">{escape(words)}</span><span class="told">{job.modality.capitalize()}</span>'
        f'<span class="actions">{pieces.button("Put back", "job", do="put-back", **asked)}'
        f"{pieces.button('Let it be', 'job', do='let-be', **asked)}</span></li>"
    )
