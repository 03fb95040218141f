"""Studio: what tabs, API and command line talk to. Submits, watches, cancels; feeds the worker and starts it again when lost.

The queue is the database (`jobs.py`), what was made is the library, the maker is another process (`workers.py`). Kept here is
only what a restart may forget: how far the running jobs are, and who is watching.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError

from pipelines.catalog import Catalog, ModelSpec
from pipelines.errors import InvalidRequest, OutOfDisk, Problem, StudioError, WorkerLost, as_problem
from pipelines.messages import (
    MAX_SEED,
    BaseRequest,
    Cancel,
    Command,
    Event,
    Finished,
    Hint,
    Pin,
    Plan,
    Planned,
    Produced,
    Progress,
    Ready,
    Run,
    Telemetry,
    TextDelta,
    Unload,
    WorkerConfig,
)
from studio.database import open_database
from studio.jobs import Job, JobStore, Status
from studio.library import Asset, Library, LibraryError
from studio.lock import FolderLock
from studio.pace import Pace
from studio.settings import Settings
from studio.workers import LocalWorker, how_it_ended

log = logging.getLogger(__name__)

WorkerState = Literal["starting", "ready", "lost"]
TICK_SECONDS = 1.0
"""How often the feeder looks for what another process wrote into the queue."""
CANCEL_GRACE_SECONDS = 10.0
"""A worker that has not obeyed a cancel by then is ended."""
MOST_RESTART_DELAY = 30.0
CLOSED = WorkerLost(
    "The studio was closed while this job was running.",
    detail="What it had already made is in the library.",
    hint="Try again.",
)


@dataclass(frozen=True)
class Update:
    """Where a job stands. text: all it wrote so far. position: 0 while running or over, 1 for the next in its line.

    progress: the last one, with the last preview. eta_seconds: until it ends, None when that cannot be told.
    """

    job: Job
    progress: Progress | None = None
    text: str = ""
    assets: tuple[str, ...] = ()
    position: int = 0
    eta_seconds: float | None = None


@dataclass
class _Live:
    """A running job: what is known beyond its row."""

    job: Job
    spec: ModelSpec
    pace: Pace
    progress: Progress | None = None
    text: str = ""
    assets: tuple[str, ...] = ()
    parents: tuple[tuple[str, str], ...] = ()
    cancel_asked_at: float | None = None
    problem: Problem | None = None  # found on our side while the worker went on


@dataclass
class _Restarts:
    """How long to wait before the next try when workers end before they said anything."""

    in_a_row: int = 0
    due: float = 0.0


class Studio:
    """One data folder and its worker.

    only_own: run the jobs submitted here and leave others in the queue. warm_up: let the worker load its libraries at once.
    clock: seconds since 1970, for the records; timer: seconds that only grow, for waiting. start_worker: makes the link to a
    worker, as `LocalWorker` does.
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
        start_worker: Callable[..., LocalWorker] = LocalWorker,
    ) -> None:
        self.settings, self.clock, self.timer = settings, clock, timer
        self.cancel_grace_seconds, self.warm_up = cancel_grace_seconds, warm_up
        self._start_worker = start_worker
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
        self.library = Library(data / "library", self.engine)
        self.folder_lock = FolderLock(data / ".lock")
        self.spool: Path = data / "spool"
        self._own: list[str] | None = [] if only_own else None
        self._lock = threading.RLock()
        self._live: dict[str, _Live] = {}
        self._watchers: dict[str, set[Callable[[], None]]] = {}
        self._questions: dict[str, Future[Planned]] = {}
        self._filing = ThreadPoolExecutor(
            1, thread_name_prefix="filing"
        )  # one: events of a job stay in order
        self._worker: LocalWorker | None = None
        self._started, self._ended = 0, 0  # workers so far
        self._state: WorkerState = "starting"
        self._restarts = _Restarts()
        self._ready: Ready | None = None
        self._snapshot: dict[str, Any] = {}
        self._hinted: tuple[str, ...] = ()
        self._unwritten: dict[str, tuple[_Live, Status, Problem | None]] = {}
        self._wake = threading.Event()
        self._closing = False
        self._feeder: threading.Thread | None = None

    # ---- life -----------------------------------------------------------------------------------------------------

    def start(self, **note: Any) -> None:
        """Take the data folder and start the worker; returns at once. Raises FolderBusy when another studio has it.

        note: what to tell others about this one (`what`, `address`).
        """
        if not self.try_start(**note):
            raise self.folder_lock.busy()

    def try_start(self, **note: Any) -> bool:
        """Like `start`, but False when another studio has the data folder."""
        if self._feeder is not None:
            return True
        about = {"what": "a studio", "address": f"http://{self.settings.bind_host}:{self.settings.port}"}
        if not self.folder_lock.acquire(**(note or about)):
            return False
        self._spawn()
        shutil.rmtree(self.spool, ignore_errors=True)  # left by a worker that was killed
        for job_id in self.store.recover():
            self._notify(job_id)
        self._feeder = threading.Thread(target=self._feed_until_closed, name="feeder", daemon=True)
        self._feeder.start()
        return True

    def close(self) -> None:
        """Stop the worker and let go of the data folder. Running jobs end; waiting ones stay in the queue."""
        self._closing = True
        self._wake.set()
        if self._feeder is not None:
            self._feeder.join()
        if self._worker is not None:
            self._worker.close()
        self._filing.shutdown()
        self.folder_lock.release()
        with self._lock:
            watched = list(self._watchers)
        for job_id in watched:
            self._notify(job_id)
        self.engine.dispose()

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def submit(self, request: BaseRequest, owner: str = "local") -> Job:
        """Queue a request, completed by its model's defaults and with a seed drawn when it has none.

        Raises InvalidRequest (with the field to look at) or ModelUnavailable; then nothing was queued.
        """
        completed = self.catalog.complete(request)
        _check_has_something_to_do(completed)
        self._inputs(completed, owner)
        count = getattr(completed, "num_images", 1)
        if completed.seed == -1:
            seed = secrets.randbelow(MAX_SEED + 2 - count)  # every picture of a batch has a seed, counted up
            completed = completed.model_copy(update={"seed": seed})
        try:
            job = self.store.add(completed, owner)
        except DBAPIError as error:
            raise OutOfDisk(
                "The job could not be written into the queue.",
                detail=str(error.orig),
                hint="Free some space on the disk and try again.",
            ) from None
        if self._own is not None:
            self._own.append(job.id)
        self._notify_waiting()
        self._wake.set()
        return job

    def job(self, job_id: str) -> Job:
        """The job as it is now; raises UnknownJob."""
        return self._update(job_id).job

    def jobs(self, owner: str | None = None, active_only: bool = False, limit: int = 50) -> list[Job]:
        """Newest first."""
        found = self.store.recent(owner, active_only, limit)
        with self._lock:
            return [_as_it_runs(self._live[job.id]) if job.id in self._live else job for job in found]

    def cancel(self, job_id: str) -> None:
        """Take a job out of the queue, or have the worker stop it. Does nothing when it is over; raises UnknownJob."""
        if self.store.cancel_queued(job_id):
            self._notify(job_id)
            self._notify_waiting()
        elif not self.store.get(job_id).is_over:
            self.store.ask_cancel(job_id)
            self._cancel_running(job_id)

    def position(self, job_id: str) -> int:
        """0 when the job runs or is over, 1 when it is the next of its line."""
        return self._position(self.store.get(job_id))

    async def watch(self, job_id: str) -> AsyncIterator[Update]:
        """Where the job stands now, then again after every event, until it is over. Raises UnknownJob.

        Each update tells the whole state, so a late watcher misses nothing and a slow one skips what is outdated.
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        with self._lock:
            self._watchers.setdefault(job_id, set()).add(wake)
        try:
            last: Update | None = None
            while True:
                changed.clear()
                update = self._update(job_id)
                if update != last:
                    yield update
                last = update
                if update.job.is_over or self._closing:
                    return
                # what another process does is only seen by looking
                seconds = None if self._feeder is not None else TICK_SECONDS / 4
                try:
                    await asyncio.wait_for(changed.wait(), seconds)
                except TimeoutError:
                    continue
        finally:
            with self._lock:
                watchers = self._watchers.get(job_id, set())
                watchers.discard(wake)
                if not watchers:
                    self._watchers.pop(job_id, None)

    # ---- models ---------------------------------------------------------------------------------------------------

    def plan(self, request: BaseRequest, timeout: float = 20.0) -> Planned:
        """Whether the request would fit now and what would leave; raises StudioError when the worker does not answer."""
        completed = self.catalog.complete(request)
        query = secrets.token_hex(8)
        answer: Future[Planned] = Future()
        self._questions[query] = answer
        try:
            self._send(Plan(query, completed, self.catalog.get(completed.model)))
            return answer.result(timeout)
        except TimeoutError:
            raise StudioError(
                "The worker has not answered in time.",
                detail=f"Waited {timeout:.0f} s; the worker is {self._state}.",
                hint="Try again in a moment.",
            ) from None
        finally:
            self._questions.pop(query, None)

    def unload(self, model_id: str = "") -> None:
        """Have the worker drop an idle model, or all idle ones."""
        self._send(Unload(model_id))

    def pin(self, model_id: str, pinned: bool = True) -> None:
        """Keep a model in memory once it is there, or stop keeping it."""
        self._send(Pin(model_id, pinned))

    def worker_state(self) -> WorkerState:
        return self._state

    def telemetry(self) -> dict[str, Any]:
        """The last word of the worker about its memory, and the state of worker and queue, as plain JSON."""
        return {
            "worker": self._state,
            "device": self._ready.device if self._ready else "",
            "ready_seconds": self._ready.seconds if self._ready else None,
            "queue": self.store.counts(),
            "memory": self._snapshot,
        }

    # ---- feeding the worker (the feeder's thread) --------------------------------------------------------------------

    def _feed_until_closed(self) -> None:
        while not self._closing:
            try:
                self._restart_if_due()
                for job_id in self.store.cancel_asked():
                    self._cancel_running(job_id)
                self._end_deaf_worker()
                for job_id in list(self._unwritten):
                    self._close_job(*self._unwritten.pop(job_id))
                self._feed()
            except Exception:
                log.exception("the queue stumbled and goes on")
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()

    def _feed(self) -> None:
        with self._lock:
            worker = self._worker
            busy = {live.job.request.modality for live in self._live.values()}
        if worker is None:
            return
        for modality in self.store.waiting():
            if modality in busy:
                continue
            job = self.store.claim(modality, self._own)
            if job is not None:
                self._begin(job, worker)
                self._notify_waiting()
        self._hint()

    def _begin(self, job: Job, worker: LocalWorker) -> None:
        """Send a claimed job to the worker, or close it with the reason why that cannot be."""
        try:
            spec = self.catalog.get(job.request.model)
            inputs = self._inputs(job.request, job.owner)
            media = {asset.id: self._read(asset) for asset in inputs.values()}
        except (StudioError, LibraryError, OSError) as error:
            self.store.finish(job.id, "failed", problem=explained(error))
            self._notify(job.id)
            self._wake.set()
            return
        live = _Live(job, spec, Pace(job.request, self.store.pace(job.request.model)))
        live.parents = tuple((asset.id, role) for role, asset in inputs.items())
        with self._lock:
            if self._worker is not worker:  # lost since the job was claimed
                self.store.put_back(job.id)
                return
            self._live[job.id] = live
        worker.send(Run(job.id, job.request, spec, media))
        self._notify(job.id)

    def _hint(self) -> None:
        """Tell the worker what comes next, when that changed, so that it does not let go of what is wanted soon."""
        upcoming = [ids[0] for modality in self.store.waiting() if (ids := self.store.line(modality))]
        if (hinted := tuple(upcoming)) == self._hinted:
            return
        self._hinted = hinted
        pairs = []
        for job_id in upcoming:
            request = self.store.get(job_id).request
            with contextlib.suppress(StudioError):  # the model went away; its job says so when its turn comes
                pairs.append((request, self.catalog.get(request.model)))
        self._send(Hint(tuple(pairs)))

    def _cancel_running(self, job_id: str) -> None:
        with self._lock:
            live = self._live.get(job_id)
            if live is None or live.cancel_asked_at is not None:
                return
            live.cancel_asked_at = self.timer()
        self._send(Cancel(job_id))

    def _end_deaf_worker(self) -> None:
        with self._lock:
            asked = [live.cancel_asked_at for live in self._live.values() if live.cancel_asked_at is not None]
            worker = self._worker
        if asked and self.timer() - min(asked) >= self.cancel_grace_seconds and worker is not None:
            log.warning("the worker did not hear a cancel in %.0f s; killing it", self.cancel_grace_seconds)
            worker.kill()

    # ---- the worker -----------------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        settings = self.settings
        config = WorkerConfig(
            spool=str(self.spool),
            device=settings.device,
            vram_budget_bytes=settings.vram_budget_bytes,
            reserve_vram_bytes=settings.reserve_vram_bytes,
            ram_budget_bytes=settings.ram_budget_bytes,
            keep_alive_seconds=settings.keep_alive_seconds,
            with_metadata=not settings.disable_metadata,
            warm_up=self.warm_up,
        )
        self._state, self._ready, self._snapshot, self._hinted = "starting", None, {}, ()
        self._started += 1
        worker = self._start_worker(
            config,
            log_file=settings.data_dir / "logs" / "worker.log",
            on_event=self._on_event,
            on_exit=self._on_exit,
            environment=settings.environment(),
        )
        with self._lock:
            if self._ended < self._started:  # it may be gone already
                self._worker = worker

    def _restart_if_due(self) -> None:
        if self._ended == self._started and self.timer() >= self._restarts.due:
            self._spawn()

    def _send(self, command: Command) -> None:
        if (worker := self._worker) is not None:
            worker.send(command)

    def _on_event(self, event: Event) -> None:
        self._restarts.in_a_row = 0
        match event:
            case Ready():
                self._ready, self._state = event, "ready"
            case Progress():
                with self._lock:
                    live = self._live.get(event.job_id)
                    if live is None:
                        return
                    live.pace.observe(event, self.timer())
                    preview = event.preview or (live.progress.preview if live.progress else None)
                    live.progress = dataclasses.replace(event, preview=preview)
                self._notify(event.job_id)
            case TextDelta():
                with self._lock:
                    live = self._live.get(event.job_id)
                    if live is None:
                        return
                    live.text += event.text
                self._notify(event.job_id)
            case Produced():
                self._filing.submit(self._in_order, self._file, event)
            case Finished():
                self._filing.submit(self._in_order, self._finish, event)
            case Planned():
                question = self._questions.get(event.query_id)
                if question is not None and not question.done():
                    question.set_result(event)
            case Telemetry():
                self._snapshot = event.snapshot

    def _on_exit(self, code: int) -> None:
        if not self._closing:
            log.warning("%s", how_it_ended(code))
            self._state = "lost"
        self._filing.submit(self._bury, code).result()

    # ---- what the worker made (the filing thread) --------------------------------------------------------------------

    def _in_order(self, work: Callable[[Any], None], event: Produced | Finished) -> None:
        """Do it on this thread; what goes wrong on our side ends the job, never leaves it open."""
        try:
            work(event)
        except Exception as error:
            log.exception("could not take in %s of job %s", type(event).__name__, event.job_id)
            with self._lock:
                live = self._live.pop(event.job_id, None)
            if live is not None:
                self._send(Cancel(event.job_id))
                self.store.finish(event.job_id, "failed", problem=explained(error), text=live.text)
                self._notify(event.job_id)

    def _file(self, event: Produced) -> None:
        """Media into the library, then its id onto the job."""
        with self._lock:
            live = self._live.get(event.job_id)
        if live is None or live.problem is not None:
            return
        artifact = event.artifact
        recipe = artifact.recipe or live.job.request
        source = live.spec.source
        facts = {**artifact.facts, "model_revision": source.revision if source.repo else ""}
        try:
            asset = self.library.add(
                artifact.data,
                path=Path(artifact.path) if artifact.path else None,
                kind=artifact.kind,
                media_type=artifact.media_type,
                suffix=artifact.suffix,
                facts={key: value for key, value in facts.items() if value != ""},
                recipe=recipe.model_dump(mode="json"),
                parents=live.parents,
                owner=live.job.owner,
                job_id=live.job.id,
            )
            self.store.add_asset(live.job.id, asset.id)
        except Exception as error:
            log.exception("could not keep what job %s made", live.job.id)
            live.problem = explained(error)  # no use in making more that cannot be kept
            self._send(Cancel(live.job.id))
            return
        with self._lock:
            live.assets = (*live.assets, asset.id)
        self._notify(live.job.id)

    def _finish(self, event: Finished) -> None:
        with self._lock:
            live = self._live.get(event.job_id)
        if live is None:
            return
        problem = live.problem or event.problem
        if event.status == "cancelled" and live.cancel_asked_at is None and problem is None:
            problem = CLOSED.problem()  # nobody asked: the worker was told to stop
        self._close_job(live, "failed" if problem is not None else event.status, problem)

    def _bury(self, code: int) -> None:
        """After the worker ended: its jobs end too, and a new one is due."""
        with self._lock:
            lost = list(self._live.values())
            deaf = any(live.cancel_asked_at is not None for live in lost)
        for live in lost:
            if live.cancel_asked_at is not None:
                self._close_job(live, "cancelled", None)
            elif self._closing:
                self._close_job(live, "failed", CLOSED.problem())
            else:
                what = (
                    "The worker was ended because another job did not stop." if deaf else how_it_ended(code)
                )
                error = WorkerLost(
                    "The worker was lost while it made this.",
                    detail=what,
                    hint="Try again; a new one is starting.",
                )
                self._close_job(live, "failed", live.problem or error.problem())
        for question in list(self._questions.values()):
            if not question.done():
                question.set_exception(
                    WorkerLost("The worker was lost.", detail=how_it_ended(code), hint="Try again.")
                )
        self._restarts.in_a_row += 1
        wait = 0.0 if self._restarts.in_a_row < 2 else min(2.0**self._restarts.in_a_row, MOST_RESTART_DELAY)
        self._restarts.due = self.timer() + wait
        with self._lock:
            self._ended, self._worker = self._started, None
        self._wake.set()

    def _close_job(self, live: _Live, status: Status, problem: Problem | None) -> None:
        job_id = live.job.id
        pace = live.pace.seconds_by_stage(self.timer()) if status == "completed" else None
        try:
            self.store.finish(job_id, status, problem=problem, text=live.text, pace=pace)
        except DBAPIError:
            log.exception("could not write that job %s is %s; trying again", job_id, status)
            self._unwritten[job_id] = (live, status, problem)  # its line stands still until the disk has room
            return
        with self._lock:
            self._live.pop(job_id, None)
        self._notify(job_id)
        self._wake.set()

    # ---- asking ---------------------------------------------------------------------------------------------------

    def _update(self, job_id: str) -> Update:
        with self._lock:
            live = self._live.get(job_id)
            if live is not None:
                job, eta = _as_it_runs(live), live.pace.eta_seconds(self.timer())
                return Update(job, live.progress, live.text, live.assets, 0, eta)
        job = self.store.get(job_id)
        return Update(job, None, job.text, job.asset_ids, self._position(job))

    def _position(self, job: Job) -> int:
        if job.status != "queued":
            return 0
        line = self.store.line(job.request.modality)
        return line.index(job.id) + 1 if job.id in line else 0

    def _inputs(self, request: BaseRequest, owner: str) -> dict[str, Asset]:
        """Field → the asset it names; raises InvalidRequest for one that is not there, not theirs, or of another kind."""
        found = {}
        for name, spec in type(request).model_fields.items():
            extra = spec.json_schema_extra
            widget = str(extra.get("widget", "")) if isinstance(extra, dict) else ""
            asset_id = getattr(request, name)
            if not widget.startswith("asset:") or not asset_id:
                continue
            try:
                asset = self.library.get(asset_id)
            except LibraryError as error:
                raise InvalidRequest(
                    error.message, field=name, detail=error.detail, hint=error.hint
                ) from None
            if asset.owner != owner:
                raise InvalidRequest(
                    f"There is no asset {asset_id!r} in your library.",
                    field=name,
                    hint="Upload it, or pick another.",
                )
            if asset.kind != widget.removeprefix("asset:"):
                raise InvalidRequest(
                    f"{name} wants a file of kind {widget.removeprefix('asset:')}.",
                    field=name,
                    detail=f"{asset_id} is of kind {asset.kind}.",
                    hint="Pick another one.",
                )
            found[name] = asset
        return found

    def _read(self, asset: Asset) -> bytes:
        try:
            data: bytes = self.library.path(asset).read_bytes()
            return data
        except FileNotFoundError:
            raise InvalidRequest(
                "A file this job starts from is gone.",
                detail=f"It was {asset.file}.",
                hint="Upload it again.",
            ) from None

    # ---- telling --------------------------------------------------------------------------------------------------

    def _notify(self, job_id: str) -> None:
        with self._lock:
            watchers = list(self._watchers.get(job_id, ()))
        for wake in watchers:
            try:
                wake()
            except RuntimeError:  # its event loop is closed: nobody is there any more
                with self._lock:
                    self._watchers.get(job_id, set()).discard(wake)

    def _notify_waiting(self) -> None:
        """Positions changed: tell whoever watches a job that does not run."""
        with self._lock:
            waiting = [job_id for job_id in self._watchers if job_id not in self._live]
        for job_id in waiting:
            self._notify(job_id)


def _as_it_runs(live: _Live) -> Job:
    return dataclasses.replace(live.job, text=live.text, asset_ids=live.assets)


def explained(error: BaseException) -> Problem:
    """The `Problem` a person sees for any exception, the library's own among them."""
    if isinstance(error, LibraryError):
        return Problem(error.kind, error.message, error.hint, error.detail)
    return as_problem(error)


def _check_has_something_to_do(request: Any) -> None:
    if request.prompt.strip():
        return
    if request.modality != "code":
        raise InvalidRequest("The prompt is empty.", field="prompt", hint="Write what to make.")
    if request.task == "write":
        raise InvalidRequest("The prompt is empty.", field="prompt", hint="Write what the code should do.")
    if not (request.code.strip() or (request.task == "complete" and request.suffix.strip())):
        raise InvalidRequest("There is no code to work on.", field="code", hint="Paste the code.")
