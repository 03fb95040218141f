"""Questions to the queue: which jobs there are, who waits in which order, what earlier ones took. Nothing here changes a row."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Row

from studio.queue.affinity import Cost, Line, Turn, Waiting, free
from studio.queue.jobs import ACTIVE, Job, JobSummary, UnknownJob
from studio.queue.rows import PLACE, SHORT, job_in, jobs, summary_in


class JobRecords:
    """Jobs in the database, to be looked at. clock: seconds since 1970."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self.engine, self.clock = engine, clock

    def get(self, job_id: str) -> Job:
        """The job; raises UnknownJob."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise UnknownJob(job_id)
        return job_in(row)

    def recent(self, owner: str | None = None, active_only: bool = False, limit: int = 50) -> list[Job]:
        """Newest first."""
        return [job_in(row) for row in self._newest(sa.select(jobs), owner, active_only, limit)]

    def summaries(
        self, owner: str | None = None, active_only: bool = False, limit: int = 50
    ) -> list[JobSummary]:
        """Newest first, without their bulk: a request and what was written may be long, and are not read here."""
        return [summary_in(row) for row in self._newest(sa.select(*SHORT), owner, active_only, limit)]

    def _newest(
        self, query: sa.Select[tuple[Any, ...]], owner: str | None, active_only: bool, limit: int
    ) -> Sequence[Row[tuple[Any, ...]]]:
        query = query.order_by(jobs.c.number.desc()).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if active_only:
            query = query.where(jobs.c.status.in_(ACTIVE))
        with self.engine.connect() as connection:
            return connection.execute(query).all()

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
            return line_of(connection, modality).order(cost)

    def waiting(self) -> list[str]:
        """Modalities somebody waits for, the oldest job first."""
        query = sa.select(jobs.c.modality).where(jobs.c.status == "queued").group_by(jobs.c.modality)
        with self.engine.connect() as connection:
            return list(connection.execute(query.order_by(sa.func.min(jobs.c.number))).scalars())

    def active(self) -> list[Row[tuple[object, ...]]]:
        """Who runs or waits, in no order that means something; only the columns a line shows, for a request may be long."""
        shown = (jobs.c.id, jobs.c.owner, jobs.c.modality, jobs.c.model, jobs.c.words, jobs.c.work)
        query = sa.select(*shown, jobs.c.status, jobs.c.created_at).where(jobs.c.status.in_(ACTIVE))
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever a job comes, starts or ends, in whichever process; cheap."""
        query = sa.select(jobs.c.status, sa.func.count(), sa.func.max(jobs.c.number))
        query = query.where(jobs.c.status.in_(ACTIVE)).group_by(jobs.c.status)
        with self.engine.connect() as connection:
            return tuple(tuple(row) for row in connection.execute(query))

    def interrupted(self, owner: str | None = None, limit: int = 50) -> list[JobSummary]:
        """Jobs that a crash or a stop ended and nobody put back yet, newest first."""
        query = sa.select(*SHORT).where(jobs.c.interrupted).order_by(jobs.c.number.desc()).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        with self.engine.connect() as connection:
            return [summary_in(row) for row in connection.execute(query)]

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

    def paces(self, model: str, modality: str, limit: int = 8) -> list[dict[str, float]]:
        """What the last completed jobs of that modality by that model took, by stage, newest first: a clip has other stages."""
        query = (
            sa.select(jobs.c.pace)
            .where(jobs.c.model == model, jobs.c.modality == modality, jobs.c.pace.is_not(None))
            .order_by(jobs.c.number.desc())
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [dict(pace) for pace in connection.execute(query).scalars()]


def line_of(connection: Connection, modality: str, only: Sequence[str] | None = None) -> Line:
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
