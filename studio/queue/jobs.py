"""What a job is: a request that waits, runs or is over, as a person sees it. Where jobs are kept is `store.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import InvalidRequest, Problem, WorkerLost
from pipelines.messages import BaseRequest
from studio.database import storable

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
ACTIVE: tuple[Status, ...] = ("queued", "in_progress")

WORDS = 80
"""So many characters of a prompt are shown in a line."""
SHORT_TEXT = 200
"""And so many of what a job wrote, in a list."""

CLOSED = WorkerLost(
    "The studio was closed while this job was running.",
    detail="What it had already made is in the library.",
    hint="Try again.",
)


class UnknownJob(InvalidRequest):
    """There is no job of that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}.", field="job_id", hint="Look at the list of jobs.")


@dataclass(frozen=True)
class Job:
    """A request in the queue, or what became of it. Times are seconds since 1970; text is what the job wrote so far."""

    id: str
    owner: str
    request: BaseRequest
    status: Status
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    asset_ids: tuple[str, ...] = ()
    problem: Problem | None = None
    text: str = ""

    @property
    def is_over(self) -> bool:
        return self.status not in ACTIVE


@dataclass(frozen=True)
class JobSummary:
    """A job as a list shows it. words, text: how its prompt and what it wrote begin."""

    id: str
    modality: str
    model: str
    words: str
    status: Status
    created_at: float
    started_at: float | None
    finished_at: float | None
    asset_ids: tuple[str, ...]
    problem: Problem | None
    text: str


def summary_of(job: Job) -> JobSummary:
    """The same of a job at hand."""
    shown = (job.id, job.request.modality, job.request.model, words_of(job.request.prompt), job.status)
    times = (job.created_at, job.started_at, job.finished_at)
    return JobSummary(*shown, *times, job.asset_ids, job.problem, job.text[:SHORT_TEXT])


def words_of(prompt: str) -> str:
    """The start of a prompt on one line, of characters a database can keep."""
    return storable(" ".join(prompt[: 4 * WORDS].split())[:WORDS].rstrip())
