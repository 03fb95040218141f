"""The worker: commands in, events out. Owns the device and its memory manager, runs jobs, opens no database.

`Worker` knows nothing of pipes, so it can live in a process here (`process.py`) or in an actor elsewhere. Each modality
has a thread of its own, and the memory manager decides who may hold the device together. Torch is loaded in the background: a
job that needs no model never waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, cast

from pipelines.catalog.digest import digests
from pipelines.errors import Cancelled, OutOfMemory, Problem, as_problem
from pipelines.messages import (
    BaseRequest,
    Cancel,
    Command,
    Event,
    Finished,
    Hint,
    Piece,
    Pin,
    Plan,
    Planned,
    Ready,
    Run,
    Stop,
    Telemetry,
    Unload,
    WorkerConfig,
)
from pipelines.runtime.context import Context
from pipelines.worker.crossing import crossing
from pipelines.worker.registry import needs_torch, pipeline_for

if TYPE_CHECKING:
    from pipelines.catalog import ModelSpec
    from pipelines.memory import Component, MemoryManager
    from pipelines.messages import Artifact
    from pipelines.runtime.ladder import Way

log = logging.getLogger(__name__)
P = ParamSpec("P")

Snapshot = Mapping[str, object]
"""What the memory manager holds, as plain JSON."""
TICK_SECONDS = 1.0
SAME_BUDGET = 0.05
"""A budget that moved by less than this part of it is no news."""
GRACE_SECONDS = 3.0
"""How long running jobs get to end after `Stop`."""


class Worker:
    """Carries out commands. emit: takes events from any thread, and may block while the other side is slow."""

    def __init__(self, config: WorkerConfig, emit: Callable[[Event], None]) -> None:
        self.config = config
        self._emit = emit
        self._lock = threading.Lock()
        self._memory: Future[MemoryManager] | None = None
        self._cancelled: dict[str, threading.Event] = {}
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._told: Snapshot = {}
        self._tick = threading.Event()
        self._telling = threading.Lock()
        self._stopped = threading.Event()
        threading.Thread(target=self._tell_until_stopped, name="telemetry", daemon=True).start()
        if config.warm_up:
            self._start_memory()

    # ---- commands -------------------------------------------------------------------------------------------------

    def handle(self, command: Command) -> None:
        """Take one command; returns at once, whatever is running, so that a cancel is always heard."""
        match command:
            case Run():
                with self._lock:
                    self._cancelled[command.job_id] = threading.Event()
                self._on(command.request.modality, self._run, command)
            case Cancel():
                self._cancel(command.job_id)
            case Plan():
                self._on("plan", self._plan, command)
            case Hint():
                self._on("plan", self._hint, command)
            case Unload():
                self._on("plan", self._manage, lambda memory: memory.unload(command.model_id))
            case Pin():
                self._on("plan", self._manage, lambda memory: memory.pin(command.model_id, command.pinned))
            case Stop():
                self.stop()

    def stop(self) -> None:
        """Cancel what runs, give it a moment, and let go of every model."""
        with self._lock:
            running = list(self._cancelled)
        for job_id in running:
            self._cancel(job_id)
        deadline = time.monotonic() + GRACE_SECONDS
        while self._cancelled and time.monotonic() < deadline:
            self._stopped.wait(0.02)
        self._stopped.set()
        self._tick.set()
        if memory := self._memory_now():
            memory.close()

    def _cancel(self, job_id: str) -> None:
        with self._lock:
            asked = self._cancelled.get(job_id)
        if asked is not None:
            asked.set()
            if memory := self._memory_now():
                memory.wake()

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def _run(self, run: Run) -> None:
        asked = self._cancelled[run.job_id]
        try:
            self._generate(run, asked)
            over = Finished(run.job_id, "completed")
        except Cancelled:
            over = Finished(run.job_id, "cancelled")
        except BaseException as error:
            log.exception("job %s failed", run.job_id)
            over = Finished(run.job_id, "failed", as_problem(self._explained(error)))
        with self._lock:
            del self._cancelled[run.job_id]
        self._emit(over)
        self._tick.set()

    def _generate(self, run: Run, asked: threading.Event) -> None:
        spool = Path(self.config.spool)
        spool.mkdir(parents=True, exist_ok=True)
        ctx = Context(
            job_id=run.job_id,
            spec=run.spec,
            memory=cast("MemoryManager", _WhenReady(lambda: self.memory(asked.is_set))),
            emit=self._emit,
            is_cancelled=asked.is_set,
            spool=spool,
            inputs=run.inputs,
            with_metadata=self.config.with_metadata,
        )
        ctx.check_cancelled()
        if needs_torch(run.request, run.spec.loader):
            self.memory(asked.is_set)
        artifacts = pipeline_for(run.request, run.spec.loader).generate(run.request, ctx)
        with contextlib.closing(cast("Generator[Artifact]", artifacts)):  # what a pipeline holds goes with it
            for artifact in artifacts:
                for event in crossing(run.job_id, artifact):
                    self._emit(event)
                    if isinstance(event, Piece):
                        ctx.check_cancelled()

    def _explained(self, error: BaseException) -> BaseException:
        """An error of the device that says it ran out of memory, as one of ours."""
        memory = self._memory_now()
        if memory is None or not memory.device.is_out_of_memory(error):
            return error
        device = memory.device
        return OutOfMemory(
            f"{device.name} ran out of memory in the middle of the work.",
            detail=str(error).split("\n")[0][:300],
            hint="Try a smaller size, fewer items at once, or a smaller model.",
        )

    # ---- models ---------------------------------------------------------------------------------------------------

    def memory(self, is_cancelled: Callable[[], bool] = lambda: False) -> MemoryManager:
        """The memory manager; the first call has torch loaded and the device found. Raises Cancelled while it waits."""
        promise = self._start_memory()
        # not `result(timeout=…)`: its TimeoutError and one the device failed with are the same class
        while not wait([promise], timeout=0.05).done:
            if is_cancelled():
                raise Cancelled
        return promise.result()

    def _start_memory(self) -> Future[MemoryManager]:
        with self._lock:
            if self._memory is None:
                self._memory = Future()
                threading.Thread(
                    target=self._make_memory, args=(self._memory,), name="warm-up", daemon=True
                ).start()
            return self._memory

    def _make_memory(self, promise: Future[MemoryManager]) -> None:
        started, config = time.monotonic(), self.config
        try:
            from pipelines.memory import MemoryManager
            from pipelines.memory.learned import WorkingSets
            from pipelines.memory.shelf import SHELF
            from pipelines.runtime.device import TorchDevice

            if config.warm_up:
                for name in ("transformers", "diffusers"):  # here, so that two jobs never import them at once
                    import_module(name)
            device = TorchDevice(
                config.device,
                budget_bytes=config.vram_budget_bytes,
                reserve_bytes=config.reserve_vram_bytes,
                host_budget_bytes=config.ram_budget_bytes,
            )
            digests.keep_in(Path(config.cache) if config.cache else None)
            learned = WorkingSets(Path(config.cache) if config.cache else None, device.describe())
            memory = MemoryManager(
                device, keep_alive_seconds=config.keep_alive_seconds, working_sets=learned, shelf=SHELF
            )
        except BaseException as error:
            log.exception("no device")
            promise.set_exception(error)  # every job that needs a model fails with this
            return
        self._emit(Ready(device.describe(), time.monotonic() - started))
        promise.set_result(memory)
        self._tick.set()

    def _memory_now(self) -> MemoryManager | None:
        """The memory manager if it is there already."""
        promise = self._memory
        if promise is None or not promise.done() or promise.exception() is not None:
            return None
        return promise.result()

    def _needs(
        self, request: BaseRequest, spec: ModelSpec, memory: MemoryManager
    ) -> tuple[list[Component], tuple[Way, ...]]:
        """What a job will lease, in the dtype of the device, and the ways to do the work, the preferred one first."""
        from pipelines.runtime.ladder import ways_of

        components, working = pipeline_for(request, spec.loader).plan(request, spec, memory.device.dtype())
        return list(components), ways_of(working)

    def _plan(self, plan: Plan) -> None:
        try:
            from pipelines.runtime.ladder import choose

            memory = self.memory()
            way, answer = choose(memory, *self._needs(plan.request, plan.spec, memory))
            planned = Planned(
                plan.query_id,
                answer.fits,
                answer.need_bytes,
                answer.free_bytes,
                answer.evicts,
                None if answer.fits else _refusal(answer.reason),
                answer.how,
                answer.streamed,
                answer.load_seconds,
                way.name,
            )
        except BaseException as error:
            log.exception("could not plan")
            planned = Planned(plan.query_id, False, 0, 0, problem=as_problem(error))
        self._emit(planned)

    def _hint(self, hint: Hint) -> None:
        if self._memory is None:
            return  # nothing was loaded yet, so there is nothing to keep
        upcoming: dict[str, Component] = {}
        for request, spec in hint.upcoming:
            with contextlib.suppress(Exception):  # a model that cannot be read says so when its job runs
                for component in self._needs(request, spec, self.memory())[0]:
                    upcoming.setdefault(component.key, component)
        self._manage(lambda memory: memory.hint(list(upcoming.values())))

    def _manage(self, change: Callable[[MemoryManager], object]) -> None:
        try:
            change(self.memory())
        except Exception:
            log.exception("the memory manager refused")
        self._tick.set()

    # ---- telling --------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Let rested models go, and tell what the memory manager holds if that changed since it was last told."""
        if (memory := self._memory_now()) is None:
            return
        memory.sweep()
        with self._telling:  # whoever looks first tells; two that looked at once would tell the same twice
            snapshot = memory.snapshot()
            if (still := steady(without_clocks(snapshot), self._told)) != self._told:
                self._told = still
                self._emit(Telemetry(snapshot))

    def _tell_until_stopped(self) -> None:
        while not self._stopped.is_set():
            self._tick.wait(TICK_SECONDS)
            self._tick.clear()
            try:
                self.tell()
            except Exception:
                log.exception("no telemetry")

    def _on(self, thread: str, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have a thread of that name do it, after what it was given before."""
        if thread not in self._threads:  # only the thread that reads commands comes here
            self._threads[thread] = ThreadPoolExecutor(1, thread_name_prefix=thread)
        self._threads[thread].submit(self._done, lambda: work(*args, **kwargs))

    def _done(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            if memory := self._memory_now():
                memory.shelf.put_back()


class _WhenReady:
    """Stands in for the memory manager and waits for it at the first use, so that jobs without a model never do."""

    def __init__(self, memory: Callable[[], MemoryManager]) -> None:
        self._memory = memory

    def __getattr__(self, name: str) -> object:
        return getattr(self._memory(), name)


def _refusal(reason: str) -> Problem:
    """A plan's reason as an error: its three parts are a line each."""
    message, *rest = reason.split("\n")
    return OutOfMemory(message, detail=" ".join(rest[:-1]), hint=rest[-1] if rest else "").problem()


def without_clocks(snapshot: Snapshot) -> Snapshot:
    """The snapshot less the times in it, which always move."""
    told = snapshot.get("components")
    parts = [
        {key: value for key, value in part.items() if key not in ("idle_seconds", "last_used")}
        for part in (told if isinstance(told, list) else ())
    ]
    return {**snapshot, "components": parts}


def steady(snapshot: Snapshot, told: Snapshot) -> Snapshot:
    """The snapshot with the budgets of `told` where they are nearly the same.

    What main memory is free, and with it what may be used, moves every second on a computer in use.
    """
    near = {}
    for key in ("budget_bytes", "host_budget_bytes"):
        now, before = snapshot.get(key), told.get(key)
        if isinstance(now, int) and isinstance(before, int) and abs(now - before) <= before * SAME_BUDGET:
            near[key] = before
    return {**snapshot, **near}
