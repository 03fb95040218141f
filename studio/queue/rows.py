"""The table of jobs, and what its rows mean: jobs whole or in short, also those that another version of the studio wrote."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy import Row

from pipelines.errors import InvalidRequest, Problem, StudioError
from pipelines.messages import MODALITIES, BaseRequest, TextRequest, parse_request, request_class
from studio.queue.jobs import SHORT_TEXT, Job, JobSummary

jobs = sa.Table(
    "jobs",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("id", sa.String),
    sa.Column("owner", sa.String),
    sa.Column("modality", sa.String),
    sa.Column("model", sa.String),
    sa.Column("request", sa.JSON),
    sa.Column("status", sa.String),
    sa.Column("cancel_asked", sa.Boolean, default=False),
    sa.Column("turn", sa.Integer),
    sa.Column("round", sa.Integer),
    sa.Column("overtaken", sa.Integer, default=0),
    sa.Column("created_at", sa.Float),
    sa.Column("started_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    sa.Column("asset_ids", sa.JSON, default=list),
    sa.Column("text", sa.Text, default=""),
    sa.Column("problem", sa.JSON(none_as_null=True)),
    sa.Column("pace", sa.JSON(none_as_null=True)),
    sa.Column("words", sa.String, default=""),
    sa.Column("work", sa.Float),
    sa.Column("place", sa.Integer),
    sa.Column("interrupted", sa.Boolean, default=False),
    sa.Column("put_back", sa.Integer, default=0),
)
PLACE = sa.func.coalesce(jobs.c.place, jobs.c.number)
"""Where a job stands among its owner's: as they came, until one is moved up or put back. Rows of older versions may have none."""

AFRESH: dict[str, object] = {
    "status": "queued",
    "interrupted": False,
    "cancel_asked": False,
    "started_at": None,
    "finished_at": None,
    "turn": None,
    "round": None,
    "overtaken": 0,
    "problem": None,
    "text": "",
    "asset_ids": [],
}
"""The columns of a job that starts over."""


SHORT = (
    *(jobs.c[name] for name in ("id", "modality", "model", "words", "status", "created_at", "started_at")),
    *(jobs.c[name] for name in ("finished_at", "asset_ids", "problem")),
    # as bytes: an old row may hold half a character, which the driver cannot read as text
    sa.cast(sa.func.substr(jobs.c.text, 1, SHORT_TEXT), sa.LargeBinary).label("text"),
)
"""The columns of a summary."""


def job_in(row: Row[tuple[object, ...]]) -> Job:
    return Job(
        id=row.id,
        owner=row.owner,
        request=_request(row.request),
        status=row.status,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        asset_ids=tuple(row.asset_ids),
        problem=Problem(**row.problem) if row.problem else None,
        text=row.text,
    )


def _request(stored: Mapping[str, object]) -> BaseRequest:
    """The request as stored; of one written by another version, what still means something (history only: `claim` reads anew)."""
    try:
        return parse_request(stored)
    except ValidationError:
        kind = request_class(stored) if stored.get("modality") in MODALITIES else TextRequest
        known = {name: value for name, value in stored.items() if name in kind.model_fields}
    try:
        return kind.model_validate(known)
    except ValidationError as error:
        bad = {entry["loc"][0] for entry in error.errors() if entry["loc"]}
        return kind.model_construct(None, **{name: value for name, value in known.items() if name not in bad})


def outdated(error: ValidationError) -> StudioError:
    fields = ", ".join(str(entry["loc"][-1] if entry["loc"] else entry["msg"]) for entry in error.errors())
    return InvalidRequest(
        "This job was queued by another version of the studio and cannot be run as it was written.",
        detail=f"What no longer fits: {fields}.",
        hint="Open it on its tab, look it over and start it again.",
    )


def summary_in(row: Row[tuple[object, ...]]) -> JobSummary:
    problem = Problem(**row.problem) if row.problem else None
    text = bytes(row.text or b"").decode("utf-8", "replace")
    shown = (row.id, row.modality, row.model, row.words, row.status, row.created_at)
    return JobSummary(*shown, row.started_at, row.finished_at, tuple(row.asset_ids), problem, text)
