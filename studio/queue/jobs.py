"""The queue, persisted: jobs wait here, are claimed one at a time, and stay as history.

Each modality is a line of its own, so that a chat never stands behind a long video; who comes next within a line is decided in
`affinity.py`. Who runs jobs and what they make is `studio.py` and the library.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Row

from pipelines.errors import InvalidRequest, Problem, StudioError, TooManyWaiting, WorkerLost
from pipelines.messages import REQUESTS, BaseRequest, TextRequest, parse_request
from studio.database import storable
from studio.queue.affinity import Cost, Line, Turn, Waiting, free
from studio.queue.pace import work_beforehand

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
ACTIVE: tuple[Status, ...] = ("queued", "in_progress")

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
"""Where a job stands among its owner's: as they came, until one is moved up."""
WORDS = 80
"""So many characters of a prompt are shown in a line."""


AFRESH: dict[str, Any] = {
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
    request: Any
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


class JobStore:
    """Jobs in the database. Every change is one statement, so several threads and processes may use one store each."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self.engine, self.clock = engine, clock

    # ---- asking ----

    def get(self, job_id: str) -> Job:
        """The job; raises UnknownJob."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise UnknownJob(job_id)
        return _job(row)

    def recent(self, owner: str | None = None, active_only: bool = False, limit: int = 50) -> list[Job]:
        """Newest first."""
        query = sa.select(jobs).order_by(jobs.c.number.desc()).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if active_only:
            query = query.where(jobs.c.status.in_(ACTIVE))
        with self.engine.connect() as connection:
            return [_job(row) for row in connection.execute(query)]

    def summaries(
        self, owner: str | None = None, active_only: bool = False, limit: int = 50
    ) -> list[JobSummary]:
        """Newest first, without their bulk: a request and what was written may be long, and are not read here."""
        query = sa.select(*_SHORT).order_by(jobs.c.number.desc()).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if active_only:
            query = query.where(jobs.c.status.in_(ACTIVE))
        with self.engine.connect() as connection:
            return [_summary(row) for row in connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """How many jobs wait and how many run."""
        query = sa.select(jobs.c.status, sa.func.count()).where(jobs.c.status.in_(ACTIVE))
        with self.engine.connect() as connection:
            found = Counter({row[0]: row[1] for row in connection.execute(query.group_by(jobs.c.status))})
        return {"queued": found["queued"], "running": found["in_progress"]}

    def totals(self) -> dict[str, int]:
        """How many jobs there ever were, by status."""
        query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def line(self, modality: str, cost: Cost = free) -> list[str]:
        """Ids of the waiting jobs of that modality, in the order they will start as things are."""
        with self.engine.connect() as connection:
            return _line(connection, modality).order(cost)

    def waiting(self) -> list[str]:
        """Modalities somebody waits for, the oldest job first."""
        query = sa.select(jobs.c.modality).where(jobs.c.status == "queued").group_by(jobs.c.modality)
        with self.engine.connect() as connection:
            return list(connection.execute(query.order_by(sa.func.min(jobs.c.number))).scalars())

    def active(self) -> list[Row[Any]]:
        """Who runs or waits, in no order that means something; only the columns a line shows, for a request may be long."""
        shown = (jobs.c.id, jobs.c.owner, jobs.c.modality, jobs.c.model, jobs.c.words, jobs.c.work)
        query = sa.select(*shown, jobs.c.status, jobs.c.created_at).where(jobs.c.status.in_(ACTIVE))
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def stamp(self) -> tuple[Any, ...]:
        """Changes whenever a job comes, starts or ends, in whichever process; cheap."""
        query = sa.select(jobs.c.status, sa.func.count(), sa.func.max(jobs.c.number))
        query = query.where(jobs.c.status.in_(ACTIVE)).group_by(jobs.c.status)
        with self.engine.connect() as connection:
            return tuple(tuple(row) for row in connection.execute(query))

    def interrupted(self, owner: str | None = None, limit: int = 50) -> list[JobSummary]:
        """Jobs that a crash or a stop ended and nobody put back yet, newest first."""
        query = sa.select(*_SHORT).where(jobs.c.interrupted).order_by(jobs.c.number.desc()).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        with self.engine.connect() as connection:
            return [_summary(row) for row in connection.execute(query)]

    def running(self) -> dict[str, str]:
        """Job id → modality, of those that run."""
        query = sa.select(jobs.c.id, jobs.c.modality).where(jobs.c.status == "in_progress")
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def cancel_asked(self) -> list[str]:
        """Running jobs someone asked to stop, perhaps from another process."""
        query = sa.select(jobs.c.id).where(jobs.c.status == "in_progress", jobs.c.cancel_asked)
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def paces(self, model: str, limit: int = 8) -> list[dict[str, float]]:
        """What the last completed jobs of that model took, by stage, newest first."""
        query = (
            sa.select(jobs.c.pace)
            .where(jobs.c.model == model, jobs.c.pace.is_not(None))
            .order_by(jobs.c.number.desc())
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [dict(pace) for pace in connection.execute(query).scalars()]

    # ---- changing ----

    def add(self, request: BaseRequest, owner: str, most: int = 0) -> Job:
        """Put a request into the queue; raises TooManyWaiting when its owner has `most` jobs there already (0: no limit)."""
        job = Job(secrets.token_hex(16), owner, request, "queued", self.clock())
        row = {
            "id": job.id,
            "owner": owner,
            "modality": request.model_dump()["modality"],
            "model": request.model,
            "request": request.model_dump(mode="json"),
            "status": "queued",
            "created_at": job.created_at,
            "words": _words(request.prompt),
            "work": work_beforehand(request),
            # what a column takes by itself in an INSERT of values, but not in one from a SELECT
            "cancel_asked": False,
            "overtaken": 0,
            "asset_ids": [],
            "text": "",
            "interrupted": False,
            "put_back": 0,
        }
        with self.engine.begin() as connection:
            added = connection.execute(_insert_unless(row, owner, most))
        if added.rowcount != 1:
            raise TooManyWaiting(
                f"{most} of your jobs are waiting already, and that is the most.",
                detail="This one was not added.",
                hint="Wait until some are done, or stop some; --max-waiting changes the number.",
            )
        return job

    def claim(self, modality: str, only: Sequence[str] | None = None, cost: Cost = free) -> Job | None:
        """Mark the next job of that modality as running and return it; None when nobody waits.

        only: leave every other job in the queue. A job whose request no longer reads as one fails in the same step, with the reason.
        """
        while True:
            with self.engine.connect() as connection:
                line = _line(connection, modality, only)
            if not line:
                return None
            choice = line.next(cost)
            with self.engine.begin() as connection:
                row = connection.execute(
                    jobs.update()
                    # it may have been cancelled meanwhile
                    .where(jobs.c.id == choice.job.id, jobs.c.status == "queued")
                    .values(
                        status="in_progress",
                        started_at=self.clock(),
                        turn=sa.select(sa.func.coalesce(sa.func.max(jobs.c.turn), 0) + 1).scalar_subquery(),
                        round=choice.round,
                    )
                    .returning(*jobs.c)
                ).one_or_none()
                if row is None:
                    continue
                try:
                    request = parse_request(row.request)
                except ValidationError as error:
                    closed = self._closing("failed", _outdated(error).problem())
                    connection.execute(jobs.update().where(jobs.c.id == row.id).values(**closed))
                    continue
                if choice.overtakes:
                    passed = jobs.update().where(jobs.c.id.in_(choice.overtakes))
                    connection.execute(passed.values(overtaken=jobs.c.overtaken + 1))
            return dataclasses.replace(_job(row), request=request)

    def unclaim(self, job_id: str) -> None:
        """Return a claimed job that was not begun to the queue."""
        with self.engine.begin() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status == "in_progress")
                .values(status="queued", started_at=None, turn=None, round=None)
            )

    def move_up(self, job_id: str, owner: str) -> bool:
        """Put a waiting job before the others of its owner; False when it is not theirs or does not wait.

        The places of the owner's jobs are only dealt out anew among them, so that nobody else waits longer.
        """
        with self.engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            modality = sa.select(jobs.c.modality).where(jobs.c.id == job_id).scalar_subquery()
            theirs = (jobs.c.owner == owner, jobs.c.status == "queued", jobs.c.modality == modality)
            rows = connection.execute(sa.select(jobs.c.id, PLACE).where(*theirs).order_by(PLACE)).all()
            ids, places = [row[0] for row in rows], [row[1] for row in rows]
            if job_id not in ids:
                return False
            last = ids.index(job_id)
            for other, place in zip([job_id, *ids[:last]], places[: last + 1], strict=True):
                connection.execute(jobs.update().where(jobs.c.id == other).values(place=place))
        return True

    def put_back(self, job_id: str) -> bool:
        """Queue again a job that a crash or a stop ended, behind its owner's others; False when it was not.

        What it made before stays in the library; the job lists what its next run makes.
        """
        return self._start_over(jobs.c.id == job_id, jobs.c.interrupted)

    def let_be(self, job_id: str) -> None:
        """Leave an interrupted job as it ended, and offer it no more."""
        with self.engine.begin() as connection:
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(interrupted=False))

    def add_asset(self, job_id: str, asset_id: str) -> None:
        with self.engine.begin() as connection:
            made = connection.execute(sa.select(jobs.c.asset_ids).where(jobs.c.id == job_id)).scalar() or []
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(asset_ids=[*made, asset_id]))

    def keep_assets(self, job_id: str, made: Sequence[str]) -> None:
        """Have a job that is over list those too, which were found in the library after a crash."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            mine = (jobs.c.id == job_id, jobs.c.status.not_in(ACTIVE))
            listed = connection.execute(sa.select(jobs.c.asset_ids).where(*mine)).scalar()
            if listed is not None and not set(made) <= set(listed):
                both = list(dict.fromkeys([*listed, *made]))
                connection.execute(jobs.update().where(*mine).values(asset_ids=both))

    def finish(
        self,
        job_id: str,
        status: Status,
        *,
        problem: Problem | None = None,
        text: str = "",
        pace: Mapping[str, float] | None = None,
        assets: Sequence[str] | None = None,
    ) -> bool:
        """Close a job that is not over yet; whether this call was the one that closed it.

        assets: all it made, None to leave those that were told one by one.
        """
        made = {} if assets is None else {"asset_ids": list(assets)}
        values = (
            self._closing(status, problem)
            | made
            | {"text": storable(text), "pace": dict(pace) if pace else None}
        )
        with self.engine.begin() as connection:
            is_open = (jobs.c.id == job_id, jobs.c.status.in_(ACTIVE))
            changed = connection.execute(jobs.update().where(*is_open).values(**values))
        return changed.rowcount == 1

    def start_over(self, job_id: str) -> bool:
        """Queue a running job again whose worker or studio is gone; False when that happened to it before."""
        return self._start_over(jobs.c.id == job_id, jobs.c.status == "in_progress", jobs.c.put_back == 0)

    def cancel_queued(self, job_id: str) -> bool:
        """Take a waiting job out of the queue, in one UPDATE; False when it was not waiting."""
        with self.engine.begin() as connection:
            changed = connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status == "queued")
                .values(status="cancelled", finished_at=self.clock(), cancel_asked=True)
            )
        return changed.rowcount == 1

    def ask_cancel(self, job_id: str) -> None:
        """Leave word that a running job should stop, for whichever process runs it."""
        with self.engine.begin() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status == "in_progress")
                .values(cancel_asked=True)
            )

    def recover(self, *, again: bool = False) -> list[str]:
        """Close what a studio that is gone left running; returns the ids. Waiting jobs stay where they are.

        again: queue it again instead, when that did not happen to it before.
        """
        query = sa.select(jobs.c.id, jobs.c.text).where(jobs.c.status == "in_progress")
        with self.engine.connect() as connection:
            found = connection.execute(query).all()
        for job_id, text in found:
            if not (again and self.start_over(job_id)):
                self.finish(job_id, "failed", problem=CLOSED.problem(), text=text)
        return [job_id for job_id, _ in found]

    # ---- behind the scenes ----

    def _closing(self, status: Status, problem: Problem | None) -> dict[str, Any]:
        """The columns that an end sets."""
        return {
            "status": status,
            "finished_at": self.clock(),
            "interrupted": problem is not None and problem.kind == WorkerLost.kind,
            "problem": dataclasses.asdict(problem) if problem else None,
        }

    def _start_over(self, *conditions: sa.ColumnElement[bool]) -> bool:
        newest = sa.select(sa.func.max(jobs.c.number) + 1).scalar_subquery()
        afresh = AFRESH | {"put_back": jobs.c.put_back + 1, "place": newest}
        with self.engine.begin() as connection:
            return connection.execute(jobs.update().where(*conditions).values(**afresh)).rowcount == 1


def _insert_unless(row: dict[str, Any], owner: str, most: int) -> sa.Insert:
    """One statement, so that many at once cannot slip in together."""
    values = sa.select(*(sa.literal(value, jobs.c[name].type) for name, value in row.items()))
    if most:
        waiting = sa.select(sa.func.count()).where(jobs.c.owner == owner, jobs.c.status == "queued")
        values = values.where(waiting.scalar_subquery() < most)
    return jobs.insert().from_select(list(row), values, include_defaults=False)


def _line(connection: Connection, modality: str, only: Sequence[str] | None = None) -> Line:
    """Who waits for that modality, and the last turn of each of them."""
    mine = jobs.c.modality == modality
    rows = connection.execute(
        sa.select(jobs.c.id, jobs.c.owner, jobs.c.model, jobs.c.overtaken)
        .where(mine, jobs.c.status == "queued")
        .order_by(PLACE, jobs.c.number)
    ).all()
    waiting = [Waiting(*row) for row in rows if only is None or row.id in only]
    latest = connection.execute(
        sa.select(jobs.c.round).where(mine, jobs.c.turn.is_not(None)).order_by(jobs.c.turn.desc()).limit(1)
    ).scalar()
    owners = {job.owner for job in waiting}
    if len(owners) < 2:  # nobody to be fair to: a round of its own for each job
        return Line(waiting, {owner: Turn(latest or 0) for owner in owners}, latest or 0)
    turns = connection.execute(
        sa.select(jobs.c.owner, sa.func.max(jobs.c.round), sa.func.max(jobs.c.turn))
        .where(mine, jobs.c.owner.in_(owners), jobs.c.turn.is_not(None))
        .group_by(jobs.c.owner)
    ).all()
    return Line(waiting, {owner: Turn(round or 0, turn) for owner, round, turn in turns}, latest or 0)


SHORT_TEXT = 200
_SHORT = (
    *(jobs.c[name] for name in ("id", "modality", "model", "words", "status", "created_at", "started_at")),
    *(jobs.c[name] for name in ("finished_at", "asset_ids", "problem")),
    # as bytes: an old row may hold half a character, which the driver cannot read as text
    sa.cast(sa.func.substr(jobs.c.text, 1, SHORT_TEXT), sa.LargeBinary).label("text"),
)


def _summary(row: Row[Any]) -> JobSummary:
    problem = Problem(**row.problem) if row.problem else None
    text = bytes(row.text or b"").decode("utf-8", "replace")
    shown = (row.id, row.modality, row.model, row.words, row.status, row.created_at)
    return JobSummary(*shown, row.started_at, row.finished_at, tuple(row.asset_ids), problem, text)


def summary_of(job: Job) -> JobSummary:
    """The same of a job at hand."""
    shown = (job.id, job.request.modality, job.request.model, _words(job.request.prompt), job.status)
    times = (job.created_at, job.started_at, job.finished_at)
    return JobSummary(*shown, *times, job.asset_ids, job.problem, job.text[:SHORT_TEXT])


def _words(prompt: str) -> str:
    """The start of a prompt on one line, of characters a database can keep."""
    return storable(" ".join(prompt[: 4 * WORDS].split())[:WORDS].rstrip())


def _job(row: Row[Any]) -> Job:
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


def _request(stored: dict[str, Any]) -> Any:
    """The request as stored; of one written by another version, what still means something (history only: `claim` reads anew)."""
    try:
        return parse_request(stored)
    except ValidationError:
        kind = REQUESTS.get(stored.get("modality"), TextRequest)  # type: ignore[arg-type]
        known = {name: value for name, value in stored.items() if name in kind.model_fields}
    try:
        return kind.model_validate(known)
    except ValidationError as error:
        bad = {entry["loc"][0] for entry in error.errors() if entry["loc"]}
        return kind.model_construct(**{name: value for name, value in known.items() if name not in bad})


def _outdated(error: ValidationError) -> StudioError:
    fields = ", ".join(str(entry["loc"][-1] if entry["loc"] else entry["msg"]) for entry in error.errors())
    return InvalidRequest(
        "This job was queued by another version of the studio and cannot be run as it was written.",
        detail=f"What no longer fits: {fields}.",
        hint="Open it on its tab, look it over and start it again.",
    )
