"""Runs the queue: claims jobs, sends them to the worker, files what comes back, and starts a lost worker again.

Three threads meet here: the feeder's own (claims, restarts, deaf workers), the worker's events, and one that files what was
made. A job that runs lives in `Live` until its end is written; a restart may forget it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.exc import SQLAlchemyError

from pipelines.catalog import Catalog, ModelSpec
from pipelines.errors import Problem, StudioError, WorkerLost
from pipelines.messages import (
    Cancel,
    Command,
    Event,
    Finished,
    Hint,
    Plan,
    Planned,
    Produced,
    Progress,
    Ready,
    Run,
    Telemetry,
    TextDelta,
    WorkerConfig,
)
from studio.library import Library, LibraryError
from studio.queue.affinity import Nearness
from studio.queue.checks import explained, find_inputs, read_input
from studio.queue.endings import End, Endings
from studio.queue.jobs import CLOSED, Job, JobStore, Status
from studio.queue.pace import Pace
from studio.queue.standing import Standings
from studio.queue.watchers import Watchers
from studio.settings import Settings
from studio.workers.local import LocalWorker, how_it_ended

log = logging.getLogger(__name__)

WorkerState = Literal["starting", "ready", "lost"]
TICK_SECONDS = 1.0
"""How often to look for what another process wrote into the queue."""
HINTED = 3
"""So many jobs of each line are announced to the worker."""
MOST_RESTART_DELAY = 30.0
LOST_SIGHT = WorkerLost(
    "The studio lost sight of this job.",
    detail="It was taken out of the queue, and something went wrong before it was begun.",
    hint="Try again.",
)
NO_WORKER = WorkerLost(
    "No worker runs just now, so this cannot be told.",
    detail="One is started again by itself.",
    hint="Try again in a moment.",
)


@dataclass
class Live:
    """A running job: what is known beyond its row."""

    row: Job
    spec: ModelSpec
    pace: Pace
    progress: Progress | None = None
    text: str = ""
    assets: tuple[str, ...] = ()
    parents: tuple[tuple[str, str], ...] = ()
    cancel_asked_at: float | None = None
    problem: Problem | None = None  # found on our side while the worker went on

    @property
    def job(self) -> Job:
        """The job as it is now."""
        return dataclasses.replace(self.row, text=self.text, asset_ids=self.assets)


@dataclass
class _Restarts:
    """How long to wait before the next try when workers end before they said anything."""

    in_a_row: int = 0
    due: float = 0.0


class Feeder:
    """Feeds one worker from the queue. own: when not None, the ids of the only jobs to run.

    timer: seconds that only grow. cancel_grace_seconds: a worker that has not obeyed a cancel by then is ended.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        catalog: Catalog,
        library: Library,
        watchers: Watchers,
        *,
        own: list[str] | None,
        timer: Callable[[], float],
        warm_up: bool,
        cancel_grace_seconds: float,
        start_worker: Callable[..., LocalWorker],
    ) -> None:
        self.settings, self.store, self.catalog, self.library = settings, store, catalog, library
        self.watchers, self.own, self.timer, self.warm_up = watchers, own, timer, warm_up
        self.cancel_grace_seconds = cancel_grace_seconds
        self._again = settings.interrupted == "once"
        self.spool: Path = settings.data_dir / "spool"
        self.state: WorkerState = "starting"
        self.ready: Ready | None = None
        self.snapshot: dict[str, Any] = {}
        self.worker: LocalWorker | None = None
        self.is_running = False
        self._start_worker = start_worker
        self._lock = threading.RLock()
        self._live: dict[str, Live] = {}
        self._questions: dict[str, Future[Planned]] = {}
        self._filing = ThreadPoolExecutor(
            1, thread_name_prefix="filing"
        )  # one thread, so a job's events stay in order
        self._started, self._ended = 0, 0  # workers so far
        self._restarts = _Restarts()
        self._hinted: tuple[str, ...] = ()
        self._nearness = Nearness()
        self.endings = Endings(store, again=self._again)
        self.standings = Standings(store, self.cost, self.seconds_left, watchers.tell)
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._feed_until_closed, name="feeder", daemon=True)

    # ---- the front ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the worker and feed it; close what a studio that is gone left running. Returns at once."""
        self.is_running = True
        self._spawn()
        try:
            for job_id in self.store.recover(again=self._again):
                self.store.keep_assets(job_id, self.library.made_by(job_id))
                self.watchers.tell(job_id)
        except SQLAlchemyError:
            log.exception("what was left running cannot be closed yet; it will be")  # `_close_orphans` does
        self.standings.start()
        self._thread.start()

    def close(self) -> None:
        """Stop the worker; running jobs end, waiting ones stay in the queue."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.worker is not None:
            self.worker.close()
        self._filing.shutdown()
        self.endings.retry()
        if self.is_running:
            shutil.rmtree(self.spool, ignore_errors=True)
        self.standings.close()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def live(self, job_id: str) -> Live | None:
        """The job if it runs here, as it is now."""
        with self._lock:
            live = self._live.get(job_id)
            return dataclasses.replace(live) if live is not None else None

    def cancel(self, job_id: str) -> None:
        """Have the worker stop a running job."""
        with self._lock:
            live = self._live.get(job_id)
            if live is None or live.cancel_asked_at is not None:
                return
            live.cancel_asked_at = self.timer()
        self.send(Cancel(job_id))

    def send(self, command: Command) -> None:
        if (worker := self.worker) is not None:
            worker.send(command)

    def ask(self, plan: Plan) -> Future[Planned]:
        """The worker's answer, in time; its `query_id` is done with when the answer is there."""
        answer: Future[Planned] = Future()
        self._questions[plan.query_id] = answer
        answer.add_done_callback(lambda _: self._questions.pop(plan.query_id, None))
        if self.worker is None:
            self._answer(plan.query_id, NO_WORKER)
        self.send(plan)
        return answer

    def cost(self, model: str) -> float:
        """Seconds until that model could work; nothing for one that is gone, whose jobs say so when their turn comes."""
        try:
            return self._nearness.seconds(self.catalog.get(model))
        except (StudioError, OSError):  # a folder of models may not be readable
            return 0.0

    def seconds_left(self, job_id: str) -> float | None:
        """Until a job that runs here ends; None when that cannot be told."""
        with self._lock:
            live = self._live.get(job_id)
            return live.pace.eta_seconds(self.timer()) if live is not None else None

    # ---- feeding (its own thread) ----------------------------------------------------------------------------------

    def _feed_until_closed(self) -> None:
        while not self._closing:
            try:
                self._restart_if_due()
                self.standings.look_around()
                for job_id in self.store.cancel_asked():
                    self.cancel(job_id)
                self._end_deaf_worker()
                for end in self.endings.retry():
                    self._forget(end)
                self._close_orphans()
                self._feed()
            except Exception:
                log.exception("the queue stumbled and goes on")
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()

    def _feed(self) -> None:
        with self._lock:
            worker = self.worker
            busy = {live.row.request.modality for live in self._live.values()}
        busy |= {end.modality for end in self.endings.unwritten().values()}
        if worker is None:
            return
        for modality in self.store.waiting():
            if modality in busy:
                continue
            job = self.store.claim(modality, self.own, self.cost)
            if job is not None:
                self._begin(job, worker)
                self.standings.changed()
        self._hint()

    def _begin(self, job: Job, worker: LocalWorker) -> None:
        """Send a claimed job to the worker, or close it with the reason why that cannot be."""
        try:
            spec = self.catalog.get(job.request.model)
            inputs = find_inputs(self.library, job.request, job.owner)
            media = {asset.id: read_input(self.library, asset) for asset in inputs.values()}
            live = Live(job, spec, Pace(job.request, self.store.paces(job.request.model)))
        except Exception as error:
            if not isinstance(error, StudioError | LibraryError | OSError):
                log.exception("job %s cannot be begun", job.id)
            self._end(End(job.id, job.request.modality, "failed", explained(error)))
            return
        live.parents = tuple((asset.id, role) for role, asset in inputs.items())
        with self._lock:
            lost = self.worker is not worker
            if not lost:
                self._live[job.id] = live
        if lost:  # since the job was claimed
            self.store.unclaim(job.id)
            return
        worker.send(Run(job.id, job.request, spec, media))
        self.watchers.tell(job.id)

    def _hint(self) -> None:
        """Tell the worker what comes next when that changed, so that it keeps what is wanted soon and fetches it early."""
        lines = [self.store.line(modality, self.cost)[:HINTED] for modality in self.store.waiting()]
        upcoming = [job_id for job_id in chain.from_iterable(zip_longest(*lines)) if job_id is not None]
        if (hinted := tuple(upcoming)) == self._hinted:
            return
        self._hinted = hinted
        pairs = []
        for job_id in upcoming:
            request = self.store.get(job_id).request
            with contextlib.suppress(StudioError):  # the model went away; its job says so when its turn comes
                pairs.append((request, self.catalog.get(request.model)))
        self.send(Hint(tuple(pairs)))

    def _close_orphans(self) -> None:
        """End jobs that are marked as running and are nowhere: whatever stumbled, nobody waits for ever."""
        with self._lock:  # before the rows are read: one that ends in between was here
            here = {*self._live, *self.endings.unwritten()}
        running = {row.id: row for row in self.store.active() if row.status == "in_progress"}
        for job_id in running.keys() - here:
            log.warning("job %s was lost sight of", job_id)
            self._end(End(job_id, running[job_id].modality, "failed", LOST_SIGHT.problem()))

    def _end_deaf_worker(self) -> None:
        with self._lock:
            asked = [live.cancel_asked_at for live in self._live.values() if live.cancel_asked_at is not None]
            worker = self.worker
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
            cache=str(self.settings.data_dir / "cache"),
        )
        self.state, self.ready, self.snapshot, self._hinted = "starting", None, {}, ()
        # no worker is alive and all it made is filed: what lies here was left by one that was killed
        shutil.rmtree(self.spool, ignore_errors=True)
        with contextlib.suppress(
            OSError
        ):  # a full disk: the worker tries again, and says so when a job needs it
            self.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._nearness.tell({})
        self._started += 1
        worker = self._start_worker(
            config,
            log_file=settings.data_dir / "logs" / "worker.log",
            on_event=self._on_event,
            on_exit=self._on_exit,
            environment=settings.environment() | {"TMPDIR": str(self.spool)},
        )
        with self._lock:
            if self._ended < self._started:  # it may be gone already
                self.worker = worker

    def _restart_if_due(self) -> None:
        if self._ended == self._started and self.timer() >= self._restarts.due:
            self._spawn()

    def _on_event(self, event: Event) -> None:
        self._restarts.in_a_row = 0
        match event:
            case Ready():
                self.ready, self.state = event, "ready"
            case Progress():
                with self._lock:
                    live = self._live.get(event.job_id)
                    if live is None:
                        return
                    live.pace.observe(event, self.timer())
                    preview = event.preview or (live.progress.preview if live.progress else None)
                    live.progress = dataclasses.replace(event, preview=preview)
                self.watchers.tell(event.job_id)
            case TextDelta():
                with self._lock:
                    live = self._live.get(event.job_id)
                    if live is None:
                        return
                    live.text += event.text
                self.watchers.tell(event.job_id)
            case Produced():
                self._filing.submit(self._in_order, self._file, event)
            case Finished():
                self._filing.submit(self._in_order, self._finish, event)
            case Planned():
                self._answer(event.query_id, event)
            case Telemetry():
                self.snapshot = event.snapshot
                if self._nearness.tell(event.snapshot):  # another job may be the nearest now
                    self.standings.changed()
                    self._wake.set()

    def _how(self, code: int) -> str:
        return how_it_ended(code, by_us=getattr(self.worker, "was_killed", False))

    def _on_exit(self, code: int) -> None:
        if not self._closing:
            log.warning("%s", self._how(code))
            self.state = "lost"
        self._filing.submit(self._bury, code).result()

    # ---- what the worker made (the filing thread) --------------------------------------------------------------------

    def _in_order(self, work: Callable[[Any], None], event: Produced | Finished) -> None:
        """Do it on this thread; what goes wrong on our side ends the job, never leaves it open."""
        try:
            work(event)
        except Exception as error:
            log.exception("could not take in %s of job %s", type(event).__name__, event.job_id)
            with self._lock:
                live = self._live.get(event.job_id)
            if live is not None:
                self.send(Cancel(event.job_id))
                live.problem = explained(error)
                self._close_job(live, "failed", live.problem)

    def _file(self, event: Produced) -> None:
        """Media into the library, then its id onto the job."""
        with self._lock:
            live = self._live.get(event.job_id)
        if live is None or live.problem is not None:
            return
        artifact = event.artifact
        recipe = artifact.recipe or live.row.request
        source = live.spec.source
        facts = {**artifact.facts, "model_revision": source.revision if source.repo else ""}
        try:
            asset = self.library.add(
                artifact.data if artifact.data is not None else Path(artifact.path or ""),
                kind=artifact.kind,
                media_type=artifact.media_type,
                suffix=artifact.suffix,
                facts={key: value for key, value in facts.items() if value != ""},
                recipe=recipe.model_dump(mode="json"),
                parents=live.parents,
                owner=live.row.owner,
                job_id=live.row.id,
            )
            self.store.add_asset(live.row.id, asset.id)
        except Exception as error:
            log.exception("could not keep what job %s made", live.row.id)
            live.problem = explained(error)  # no use in making more that cannot be kept
            self.send(Cancel(live.row.id))
            return
        with self._lock:
            live.assets = (*live.assets, asset.id)
        self.watchers.tell(live.row.id)

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
        """After the worker ended: its jobs end too, what was asked of it is answered, and a new one is due."""
        try:
            self._end_jobs(code)
        finally:
            self._restarts.in_a_row += 1
            wait = (
                0.0 if self._restarts.in_a_row < 2 else min(2.0**self._restarts.in_a_row, MOST_RESTART_DELAY)
            )
            self._restarts.due = self.timer() + wait
            how = self._how(code)
            with self._lock:
                self._ended, self.worker = self._started, None
            lost = WorkerLost("The worker was lost.", detail=how, hint="Try again.")
            for query_id in list(self._questions):
                self._answer(query_id, lost)
            self._wake.set()

    def _end_jobs(self, code: int) -> None:
        """End what ran in a worker that is gone."""
        with self._lock:
            lost = list(self._live.values())
            deaf = any(live.cancel_asked_at is not None for live in lost)
        for live in lost:
            if live.cancel_asked_at is not None:
                self._close_job(live, "cancelled", None)
            elif self._closing:
                self._close_job(live, "failed", CLOSED.problem())
            else:
                what = "The worker was ended because another job did not stop." if deaf else self._how(code)
                error = WorkerLost(
                    "The worker was lost while it made this.",
                    detail=what,
                    hint="Try again; a new one is starting.",
                )
                self._close_job(live, "failed", live.problem or error.problem())

    def _close_job(self, live: Live, status: Status, problem: Problem | None) -> None:
        pace = live.pace.seconds_by_stage(self.timer()) if status == "completed" else None
        job = live.row
        self._end(End(job.id, job.request.modality, status, problem, live.text, pace, live.assets))

    def _end(self, end: End) -> None:
        if self.endings.write(end):  # else its line stands still until the disk has room
            self._forget(end)

    def _forget(self, end: End) -> None:
        """After the end of a job was written."""
        with self._lock:
            self._live.pop(end.job_id, None)
        self.standings.changed()
        self.watchers.tell(end.job_id)
        self._wake.set()

    def _answer(self, query_id: str, answer: Planned | StudioError) -> None:
        """Hand an answer to whoever asked and still waits."""
        with contextlib.suppress(KeyError, InvalidStateError):
            question = self._questions[query_id]
            if isinstance(answer, Planned):
                question.set_result(answer)
            else:
                question.set_exception(answer)
