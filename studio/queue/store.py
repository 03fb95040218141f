"""The queue, persisted: jobs wait here, are claimed one at a time, and stay as history.

Each modality is a line of its own, so that a chat never stands behind a long video; who comes next within a line is decided in
`affinity.py`. Who runs jobs and what they make is the feeder and the library.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from pydantic import ValidationError

from pipelines.errors import Problem, TooManyWaiting, WorkerLost
from pipelines.messages import BaseRequest, parse_request
from studio.database import storable
from studio.queue.affinity import Cost, free
from studio.queue.jobs import ACTIVE, CLOSED, Job, Status, words_of
from studio.queue.pace import work_beforehand
from studio.queue.records import JobRecords, line_of
from studio.queue.rows import AFRESH, PLACE, job_in, jobs, outdated


class JobStore(JobRecords):
    """Jobs in the database. Each change is one transaction, so several threads and processes may use one store each."""

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
            "words": words_of(request.prompt),
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

        only: leave every other job in the queue. A job whose request no longer reads as one fails in the same step, and says why.
        """
        while True:
            with self.engine.connect() as connection:
                line = line_of(connection, modality, only)
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
                    closed = self._closing("failed", outdated(error).problem())
                    connection.execute(jobs.update().where(jobs.c.id == row.id).values(**closed))
                    continue
                if choice.overtakes:
                    passed = jobs.update().where(jobs.c.id.in_(choice.overtakes))
                    connection.execute(passed.values(overtaken=jobs.c.overtaken + 1))
            return dataclasses.replace(job_in(row), request=request)

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
            query = sa.select(jobs.c.id, PLACE).where(*theirs).order_by(PLACE, jobs.c.number)
            rows = connection.execute(query).all()
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

    def _closing(self, status: Status, problem: Problem | None) -> dict[str, object]:
        """The columns that an end sets."""
        return {
            "status": status,
            "finished_at": self.clock(),
            "interrupted": problem is not None and problem.kind == WorkerLost.kind,
            "problem": dataclasses.asdict(problem) if problem else None,
        }

    def _start_over(self, *conditions: sa.ColumnElement[bool]) -> bool:
        afresh = AFRESH | {"put_back": jobs.c.put_back + 1, "place": _last_place()}
        with self.engine.begin() as connection:
            return connection.execute(jobs.update().where(*conditions).values(**afresh)).rowcount == 1


def _last_place() -> sa.ScalarSelect[int]:
    """The place behind everyone who waits or runs, and nobody else's: one that runs may have to wait at its place again."""
    newest = sa.select(sa.func.coalesce(sa.func.max(jobs.c.number), 0)).scalar_subquery()
    active = (
        sa.select(sa.func.coalesce(sa.func.max(PLACE), 0)).where(jobs.c.status.in_(ACTIVE)).scalar_subquery()
    )
    return sa.select(sa.func.max(newest, active) + 1).scalar_subquery()


def _insert_unless(row: dict[str, object], owner: str, most: int) -> sa.Insert:
    """One statement, so that many at once cannot slip in together."""
    values = sa.select(*(sa.literal(value, jobs.c[name].type) for name, value in row.items()), _last_place())
    if most:
        waiting = sa.select(sa.func.count()).where(jobs.c.owner == owner, jobs.c.status == "queued")
        values = values.where(waiting.scalar_subquery() < most)
    return jobs.insert().from_select([*row, "place"], values, include_defaults=False)
