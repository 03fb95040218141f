"""One place where a worker works, on one device: starts it, gives it jobs, ends it when deaf, starts the next when it is lost.

Knows which jobs are in its worker and nothing of what they are for; who hears of them is the `Receiver`.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pipelines.catalog import ModelSpec
from pipelines.errors import StudioError, WorkerLost
from pipelines.messages import (
    BaseRequest,
    Cancel,
    Command,
    Event,
    Finished,
    Hint,
    Piece,
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
from studio.settings import Settings
from studio.workers.local import how_it_ended
from studio.workers.nearness import Nearness

log = logging.getLogger(__name__)

WorkerState = Literal["starting", "ready", "lost"]
JobEvent = Progress | TextDelta | Piece | Produced | Finished
MOST_RESTART_DELAY = 30.0
NO_WORKER = WorkerLost(
    "No worker runs just now, so this cannot be told.",
    detail="One is started again by itself.",
    hint="Try again in a moment.",
)


class Link(Protocol):
    """What a worker is to the studio, wherever it runs; `LocalWorker` is the one on this machine."""

    def send(self, command: Command) -> None:
        """Hand over a command; never blocks."""

    def kill(self) -> None: ...

    def close(self) -> None:
        """Ask it to end; returns when it has."""


class StartWorker(Protocol):
    """Makes a link: on_event gets every event, in order; on_exit the exit code, once, after the last event."""

    def __call__(
        self,
        config: WorkerConfig,
        *,
        log_file: Path,
        on_event: Callable[[Event], None],
        on_exit: Callable[[int], None],
        environment: Mapping[str, str],
    ) -> Link: ...


class Receiver(Protocol):
    """Who takes in what workers say. Called on a thread of the worker the job runs in."""

    def told(self, event: JobEvent) -> None:
        """A word about a job; returns soon."""

    def lost(self, job_ids: Sequence[str], how: str, *, stopped: bool) -> None:
        """These ended with their worker, `how` in words; returns when all they made is filed. stopped: we asked for it."""

    def moved(self) -> None:
        """A worker came, left or has room, or what models cost to bring in changed; returns at once."""

    def held(self) -> None:
        """What a worker's memory holds changed; returns at once."""


@dataclass
class _Inside:
    """A job in a worker. It leaves when the worker said that it is over and when that was written."""

    modality: str
    cancel_asked_at: float | None = None
    is_over: bool = False
    is_filed: bool = False


class Station:
    """A worker, and the next when that one is lost. timer: seconds that only grow.

    name: of its spool and its log, which no other worker may share; the only one needs none.
    cancel_grace_seconds: a worker that has not obeyed a cancel by then is ended.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        name: str = "",
        timer: Callable[[], float],
        warm_up: bool,
        cancel_grace_seconds: float,
        start_worker: StartWorker,
    ) -> None:
        self.settings, self.timer, self.warm_up = settings, timer, warm_up
        self.cancel_grace_seconds = cancel_grace_seconds
        self.name = name
        self.spool: Path = settings.data_dir / "spool" / name
        self.log_file: Path = settings.data_dir / "logs" / (f"worker-{name}.log" if name else "worker.log")
        self.state: WorkerState = "starting"
        self.ready: Ready | None = None
        self.snapshot: Mapping[str, object] = {}
        self.link: Link | None = None
        self.receiver: Receiver | None = None
        self._start_worker = start_worker
        self._lock = threading.RLock()
        self._inside: dict[str, _Inside] = {}
        self._questions: dict[str, Future[Planned]] = {}
        self._nearness = Nearness()
        self._hinted: tuple[str, ...] = ()
        self._started, self._gone, self._buried = 0, 0, 0  # workers so far
        self._ended_in_a_row, self._due = 0, 0.0
        self._closing = False

    # ---- jobs -------------------------------------------------------------------------------------------------------

    def has_room(self, modality: str) -> bool:
        """Whether a job of that modality could begin here now: a worker runs one of each."""
        with self._lock:
            taken = any(job.modality == modality for job in self._inside.values())
            return self.link is not None and not taken

    def seconds(self, spec: ModelSpec) -> float:
        """Until that model could work here."""
        return self._nearness.seconds(spec)

    def run(self, run: Run) -> bool:
        """Have the worker carry out a job; False when there is no worker any more."""
        with self._lock:  # so that a cancel never overtakes the job it is meant for
            if self.link is None:
                return False
            self._inside[run.job_id] = _Inside(run.request.modality)
            try:
                self.link.send(run)
            except Exception:
                del self._inside[run.job_id]
                raise
        return True

    def cancel(self, job_id: str) -> None:
        """Have the worker stop a job; does nothing when it is not here, or was asked before."""
        with self._lock:
            job = self._inside.get(job_id)
            if job is None or job.is_over or job.cancel_asked_at is not None:
                return
            job.cancel_asked_at = self.timer()
            self.send(Cancel(job_id))

    def filed(self, job_id: str) -> None:
        """The end of a job was written: once its worker is done with it too, there is room again."""
        with self._lock:
            if (job := self._inside.get(job_id)) is not None:
                job.is_filed = True
                self._leave(job_id, job)

    def _leave(self, job_id: str, job: _Inside) -> None:
        if job.is_over and job.is_filed:
            del self._inside[job_id]

    # ---- words ------------------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        if (link := self.link) is not None:
            link.send(command)

    def expect(
        self, job_ids: tuple[str, ...], look: Callable[[], Sequence[tuple[BaseRequest, ModelSpec]]]
    ) -> None:
        """Tell the worker what comes next when that changed. look: the (request, spec) pairs of these jobs."""
        if self.link is not None and job_ids != self._hinted:
            self._hinted = job_ids
            self.send(Hint(tuple(look())))

    def ask(self, plan: Plan) -> Future[Planned]:
        """The worker's answer, in time; its `query_id` is done with when the answer is there."""
        answer: Future[Planned] = Future()
        self._questions[plan.query_id] = answer
        answer.add_done_callback(lambda _: self._questions.pop(plan.query_id, None))
        if self.link is None:
            self._answer(plan.query_id, NO_WORKER)
        self.send(plan)
        return answer

    def _answer(self, query_id: str, answer: Planned | StudioError) -> None:
        """Hand an answer to whoever asked and still waits."""
        with contextlib.suppress(KeyError, InvalidStateError):
            question = self._questions[query_id]
            if isinstance(answer, Planned):
                question.set_result(answer)
            else:
                question.set_exception(answer)

    # ---- life -------------------------------------------------------------------------------------------------------

    def start(self, receiver: Receiver) -> None:
        """Start a worker; returns at once. What comes back goes to the receiver."""
        self.receiver = receiver
        self._spawn()

    def look_after(self) -> None:
        """Start the next worker when it is due, and end one that does not hear. Call it now and then."""
        if self._buried == self._started and self.timer() >= self._due:
            self._spawn()
        self._end_the_deaf()

    def close(self) -> None:
        """Stop the worker; returns when all it made is filed."""
        self._closing = True
        if self.link is not None:
            self.link.close()
        if self._started:
            shutil.rmtree(self.spool, ignore_errors=True)

    def _spawn(self) -> None:
        self.state, self.ready, self.snapshot, self._hinted = "starting", None, {}, ()
        # no worker is alive and all it made is filed: what lies here was left by one that was killed
        shutil.rmtree(self.spool, ignore_errors=True)
        # a full disk: the worker tries again, and says so when a job needs it
        with contextlib.suppress(OSError):
            self.spool.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.spool.mkdir(mode=0o700, exist_ok=True)
        self._nearness.tell({})
        self._started += 1
        try:
            link = self._start_worker(
                self._config(),
                log_file=self.log_file,
                on_event=self._on_event,
                on_exit=self._on_exit,
                environment=self.settings.environment() | {"TMPDIR": str(self.spool)},
            )
        except Exception as error:  # no thread to be had just now: as one that ended before it said anything
            log.exception("the worker could not be started")
            self._gone, self.state = self._started, "lost"
            self._bury(f"It could not be started: {error}.")
            return
        with self._lock:
            if self._gone < self._started:  # it may be gone already
                self.link = link

    def _config(self) -> WorkerConfig:
        settings = self.settings
        return WorkerConfig(
            spool=str(self.spool),
            device=settings.device,
            vram_budget_bytes=settings.vram_budget_bytes,
            reserve_vram_bytes=settings.reserve_vram_bytes,
            ram_budget_bytes=settings.ram_budget_bytes,
            keep_alive_seconds=settings.keep_alive_seconds,
            with_metadata=not settings.disable_metadata,
            warm_up=self.warm_up,
            cache=str(settings.data_dir / "cache"),
        )

    def _end_the_deaf(self) -> None:
        with self._lock:
            inside = [job for job in self._inside.values() if not job.is_over]
            asked = [job.cancel_asked_at for job in inside if job.cancel_asked_at is not None]
            link = self.link
        if asked and self.timer() - min(asked) >= self.cancel_grace_seconds and link is not None:
            log.warning("the worker did not hear a cancel in %.0f s; killing it", self.cancel_grace_seconds)
            link.kill()

    # ---- the worker's threads ---------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        assert self.receiver is not None
        self._ended_in_a_row = 0
        match event:
            case Ready():
                self.ready, self.state = event, "ready"
            case Planned():
                self._answer(event.query_id, event)
            case Telemetry():
                self.snapshot = event.snapshot
                self.receiver.held()
                if self._nearness.tell(event.snapshot):  # another job may be the nearest now
                    self.receiver.moved()
            case Finished():
                self._finished(event.job_id)
                self.receiver.told(event)
            case Progress() | TextDelta() | Piece() | Produced():
                self.receiver.told(event)

    def _finished(self, job_id: str) -> None:
        with self._lock:
            if (job := self._inside.get(job_id)) is None:
                return
            job.is_over = True
            self._leave(job_id, job)
            has_room = job_id not in self._inside
        if has_room and self.receiver is not None:
            self.receiver.moved()

    def _on_exit(self, code: int) -> None:
        """First nobody can give it a job any more, then its jobs end; only when all is filed the next may start."""
        assert self.receiver is not None
        how = how_it_ended(code, by_us=getattr(self.link, "was_killed", False))
        with self._lock:
            self._gone, self.link = self._started, None
            lost = tuple(self._inside)
            self._inside.clear()
        if not self._closing:
            log.warning("%s", how)
            self.state = "lost"
        try:
            self.receiver.lost(lost, how, stopped=self._closing)
        finally:
            self._bury(how)
            self.receiver.moved()

    def _bury(self, how: str) -> None:
        """What was asked of it is answered, and a new one is due: at once, or ever later if none comes to say anything."""
        self._ended_in_a_row += 1
        wait = 0.0 if self._ended_in_a_row < 2 else min(2.0**self._ended_in_a_row, MOST_RESTART_DELAY)
        self._due = self.timer() + wait
        lost = WorkerLost("The worker was lost.", detail=how, hint="Try again.")
        for query_id in list(self._questions):
            self._answer(query_id, lost)
        self._buried = self._started
