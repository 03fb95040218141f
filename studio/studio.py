"""Studio: what tabs, API and command line talk to. Submits, watches, cancels; remembers and never makes.

The queue is the database (`queue/`), what was made is the library, the maker is another process that the pool looks after
(`workers/`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TypedDict
from zlib import crc32

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from pipelines.catalog import Catalog
from pipelines.errors import InvalidRequest, OutOfDisk, StudioError, WorkerLost
from pipelines.messages import MAX_SEED, BaseRequest, Pin, Plan, Planned, Progress, Unload
from studio.database import open_database
from studio.downloads import Downloads
from studio.folder.lock import FolderLock
from studio.housekeeping import Housekeeping
from studio.library import Library
from studio.library.folder import FolderStore
from studio.library.store import Store
from studio.planning import Forecast
from studio.queue.checks import as_invalid, find_inputs
from studio.queue.feeder import Feeder
from studio.queue.jobs import Job, JobSummary, UnknownJob, summary_of
from studio.queue.pace import expected_seconds
from studio.queue.standing import Standing, as_seen_by
from studio.queue.store import JobStore
from studio.queue.updates import Update, Updates
from studio.queue.watchers import MODELS, Watchers
from studio.settings import Settings
from studio.workers.local import LocalWorker
from studio.workers.pool import Pool
from studio.workers.residents import ON_DEVICE, budget_bytes, by_model, models_of, parts
from studio.workers.station import StartWorker, Station, WorkerState

CANCEL_GRACE_SECONDS = 10.0
"""A worker that has not obeyed a cancel by then is ended."""


class Condition(TypedDict):
    """The last word of the worker about its memory, and the state of worker and queue, as plain JSON."""

    worker: WorkerState
    device: str
    ready_seconds: float | None
    queue: dict[str, int]
    memory: Mapping[str, object]


class Studio:
    """One data folder and its worker.

    only_own: run the jobs submitted here and leave others in the queue. warm_up: let the worker load its libraries at once.
    clock: seconds since 1970, for the records; timer: seconds that only grow, for waiting. start_worker: makes the link to a
    worker, as `LocalWorker` does. files: where the library keeps its files; a folder in the data folder when left out.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        only_own: bool = False,
        warm_up: bool = True,
        cancel_grace_seconds: float = CANCEL_GRACE_SECONDS,
        start_worker: StartWorker = LocalWorker,
        files: Store | None = None,
    ) -> None:
        self.settings = settings
        data = settings.data_dir
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudioError(
                f"The data folder {data} cannot be made.",
                detail=str(error),
                hint="Choose another with --data-dir or STUDIO_DATA.",
            ) from None
        self.engine = open_database(data / "studio.db")
        self.store = JobStore(self.engine, clock)
        self.catalog: Catalog = settings.catalog()
        self.watchers = Watchers()
        self.downloads = Downloads(self.catalog, lambda: self.watchers.tell(MODELS))
        files = files or FolderStore(data / "library")
        self.library = Library(files, self.engine, sidecars=not settings.disable_metadata)
        self.folder_lock = FolderLock(data / ".lock")
        station = Station(
            settings,
            timer=timer,
            warm_up=warm_up,
            cancel_grace_seconds=cancel_grace_seconds,
            start_worker=start_worker,
        )
        self.pool = Pool([station])
        self.feeder = Feeder(
            self.store,
            self.catalog,
            self.library,
            self.watchers,
            self.pool,
            own=[] if only_own else None,
            again=settings.interrupted == "once",
            timer=timer,
        )
        self.standings = self.feeder.standings
        self.updates = Updates(self.store, self.feeder, self.watchers, lambda: self._closed)
        self.housekeeping = Housekeeping(data, self.store, self.library, clock)
        self._closed = False

    # ---- life -----------------------------------------------------------------------------------------------------

    def start(self, **note: str) -> None:
        """Take the data folder and start the worker; returns at once. Raises FolderBusy when another studio has it.

        note: what to tell others about this one (`what`, `address`).
        """
        if not self.try_start(**note):
            raise self.folder_lock.busy()

    def try_start(self, **note: str) -> bool:
        """Like `start`, but False when another studio has the data folder."""
        if self.feeder.is_running:
            return True
        about = {"what": "a studio", "address": f"http://{self.settings.bind_host}:{self.settings.port}"}
        try:
            if not self.folder_lock.acquire(**(note or about)):
                return False
        except OSError as error:
            raise StudioError(
                f"The data folder {self.settings.data_dir} cannot be written.",
                detail=str(error),
                hint="Check its free space and who may write there, or choose another with --data-dir.",
            ) from None
        self.feeder.start()
        self.housekeeping.start()
        return True

    def close(self) -> None:
        """Stop the worker and let go of the data folder. Running jobs end; waiting ones stay in the queue."""
        self._closed = True
        self.housekeeping.close()
        self.feeder.close()
        self.folder_lock.release()
        for job_id in self.watchers.watched():
            self.watchers.tell(job_id)
        self.engine.dispose()

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def submit(self, request: BaseRequest, owner: str = "local") -> Job:
        """Queue a request, completed by its model's defaults and with a seed drawn when it has none.

        Raises InvalidRequest (with the field to look at), ModelUnavailable or TooManyWaiting; then nothing was queued.
        """
        try:
            completed = self.catalog.complete(request)
        except ValidationError as error:
            raise as_invalid(error) from None
        completed.check_has_something_to_do()
        find_inputs(self.library, completed, owner)
        if completed.seed == -1:
            seed = secrets.randbelow(MAX_SEED + 2 - completed.number_of_seeds())
            completed = completed.model_copy(update={"seed": seed})
        try:
            job = self.store.add(completed, owner, self.settings.max_waiting)
        except DBAPIError as error:
            raise OutOfDisk(
                "The job could not be written into the queue.",
                detail=str(error.orig),
                hint="Free some space on the disk and try again.",
            ) from None
        if self.feeder.own is not None:
            self.feeder.own.append(job.id)
        self.feeder.moved()
        return job

    def job(self, job_id: str) -> Job:
        """The job as it is now; raises UnknownJob."""
        live = self.feeder.running.get(job_id)
        return live.job if live is not None else self.store.get(job_id)

    def jobs(self, owner: str | None = None, active_only: bool = False, limit: int = 50) -> list[Job]:
        """Newest first."""
        found = self.store.recent(owner, active_only, limit)
        return [live.job if (live := self.feeder.running.get(job.id)) else job for job in found]

    def summaries(
        self, owner: str | None = None, active_only: bool = False, limit: int = 50
    ) -> list[JobSummary]:
        """Newest first, without what may be long."""
        found = self.store.summaries(owner, active_only, limit)
        return [summary_of(live.job) if (live := self.feeder.running.get(job.id)) else job for job in found]

    def cancel(self, job_id: str) -> None:
        """Take a job out of the queue, or have the worker stop it. Does nothing when it is over; raises UnknownJob."""
        if self.feeder.cancel(job_id):  # a full disk keeps nobody from stopping what runs here
            return
        if self.store.cancel_queued(job_id):
            self.standings.changed()
            self.watchers.tell(job_id)
        elif not self.store.get(job_id).is_over:
            self.store.ask_cancel(job_id)  # whoever runs it will see that

    # ---- the line -------------------------------------------------------------------------------------------------

    def line(self, owner: str | None = None) -> list[Standing]:
        """Who runs, then who waits in the order they will run. For an owner, others' jobs are only places taken."""
        return as_seen_by(owner, list(self.standings.current().values()))

    def position(self, job_id: str) -> int:
        """0 when the job runs or is over, 1 when it is the next of its line; raises UnknownJob."""
        if (standing := self.standings.current().get(job_id)) is not None:
            return standing.position
        self.store.get(job_id)
        return 0

    def move_up(self, job_id: str, owner: str) -> None:
        """Put a waiting job before the same owner's others. Does nothing when it waits no more; raises UnknownJob."""
        if self.store.get(job_id).owner != owner:
            raise UnknownJob(job_id)
        if self.store.move_up(job_id, owner):
            self.feeder.moved()

    def interrupted(self, owner: str | None = None) -> list[JobSummary]:
        """Jobs ended by a crash or a stop that can be put back, newest first."""
        return [] if self.settings.interrupted == "never" else self.store.interrupted(owner)

    def put_back(self, job_id: str) -> Job:
        """Queue such a job again, behind the others of its owner. Raises UnknownJob, or InvalidRequest for any other job."""
        if not self.store.put_back(job_id):
            job = self.store.get(job_id)
            raise InvalidRequest(
                "This job was not interrupted, so it cannot be put back.",
                detail=f"It is {job.status.replace('_', ' ')}.",
                field="job_id",
                hint="Send its request again to make it again.",
            )
        self.feeder.moved()
        self.watchers.tell(job_id)
        return self.store.get(job_id)

    def let_be(self, job_id: str) -> None:
        """Leave an interrupted job as it ended: `interrupted` lists it no more."""
        self.store.let_be(job_id)

    def watch(self, job_id: str) -> AsyncGenerator[Update]:
        """Where the job stands now, then again after every event, until it is over. Raises UnknownJob."""
        return self.updates.of(job_id)

    # ---- models ---------------------------------------------------------------------------------------------------

    def plan(self, request: BaseRequest, timeout: float = 20.0) -> Planned:
        """Whether the request would fit now and what would leave; raises StudioError when the worker does not answer."""
        completed = self.catalog.complete(request)
        plan = Plan(secrets.token_hex(8), completed, self.catalog.spec_for(completed))
        answer = self.pool.ask(plan)
        try:
            return answer.result(timeout)
        except TimeoutError:
            answer.cancel()
            raise WorkerLost(
                "The worker has not answered in time.",
                detail=f"Waited {timeout:.0f} s; the worker is {self.pool.state}.",
                hint="Try again in a moment.",
            ) from None

    def forecast(self, request: BaseRequest, timeout: float = 20.0) -> Forecast:
        """The plan of a request with what people want to know of it; raises as `plan` does."""
        request = self.catalog.complete(request)
        planned, snapshot = self.plan(request, timeout), self.pool.snapshot
        titles = self.catalog.titles()
        others = [model for model in models_of(snapshot, planned.evicts) if model != request.model]
        held = by_model(parts(snapshot)).get(request.model, ())
        missing = planned.need_bytes - sum(part.nbytes for part in held if part.state in ON_DEVICE)
        return Forecast(
            planned,
            leaves=tuple(titles.get(model, model) for model in others),
            waits=not planned.evicts and missing > planned.free_bytes and self.store.counts()["running"] > 0,
            budget_bytes=budget_bytes(snapshot),
            work_seconds=expected_seconds(request, self.store.paces(request.model, request.modality)),
        )

    def unload(self, model_id: str = "") -> None:
        """Have the worker drop an idle model, or all idle ones."""
        self.pool.tell(Unload(model_id))

    def pin(self, model_id: str, pinned: bool = True) -> None:
        """Keep a model in memory once it is there, or stop keeping it."""
        self.pool.tell(Pin(model_id, pinned))

    @property
    def is_closed(self) -> bool:
        return self._closed

    def device(self) -> str:
        """What models run on, "" until the worker has said so."""
        return self.pool.ready.device if self.pool.ready else ""

    def progress(self, job_id: str) -> Progress | None:
        """The last word of a running job, None when it said nothing or does not run; never waits."""
        live = self.feeder.running.get(job_id)
        return live.progress if live else None

    def worker_state(self) -> WorkerState:
        return self.pool.state

    def models_stamp(self) -> str:
        """Another one when what memory holds or what is being downloaded changed."""
        return f"{crc32(repr((self.pool.snapshot, self.downloads.all())).encode()):08x}"

    def telemetry(self) -> Condition:
        """How things are now."""
        ready = self.pool.ready
        return {
            "worker": self.pool.state,
            "device": ready.device if ready else "",
            "ready_seconds": ready.seconds if ready else None,
            "queue": self.store.counts(),
            "memory": self.pool.snapshot,
        }
