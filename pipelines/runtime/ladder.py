"""When the device runs out of memory in the middle of the work: do it again, with less memory each time.

The rungs, in order: (1) let go of what the failed attempt still holds, and again; (2) again without the idle models; (3) in the
pipeline's own thriftier ways (decoded in tiles, guidance apart); (4) with its weights streamed from host memory. Then it is given
up, with the numbers and what was tried. Two rungs are missing on purpose: weights of lower precision are another model, and
nobody has allowed one; the CPU may take hours, so it is offered and not chosen.

Every attempt starts from the same seed, so the picture, the words and the sound are those of an undisturbed run; what was done
differently is noted on the result. Work that runs here may be repeated: it keeps nothing before it returns.
"""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from pipelines.errors import OutOfMemory, first_line, readable_bytes
from pipelines.memory import Component, Lease, LeasePlan, MemoryManager
from pipelines.memory.learned import work_label
from pipelines.runtime.context import Context

T = TypeVar("T")
log = logging.getLogger(__name__)

AGAIN = "The device ran out of memory once, so this was made a second time."
ALONE = "The device was short of memory, so other models were put away and this was made again."
STREAMED = "The device was short of memory, so the model's weights passed through it piece by piece."
_Rung = tuple[str, str]
"""What was tried, in words for the log and the error; and for the person, if it did it."""


@dataclass(frozen=True)
class Way:
    """A way to do a piece of work. working_bytes: what it takes beside the weights.

    name: what it does to save memory, empty for the usual way; note: a sentence about it for the person; work: its label, for
    what is learned about it.
    """

    working_bytes: int
    name: str = ""
    note: str = ""
    work: str = ""


def way_up_to(operation: str, components: Sequence[Component], working_bytes: int) -> list[Way]:
    """The one way to do work whose length is known only when it is done: an answer, a spoken text. working_bytes: at most."""
    work = work_label(operation, components, up_to=max(1, working_bytes >> 20))
    return [Way(working_bytes, work=work)]


def ways_of(working: int | Sequence[Way]) -> tuple[Way, ...]:
    """What a pipeline's `plan` says of its work, as ways; a number is the only one."""
    return (Way(working),) if isinstance(working, int) else tuple(working)


def choose(
    memory: MemoryManager, components: Sequence[Component], ways: Sequence[Way]
) -> tuple[Way, LeasePlan]:
    """The first way that fits beside all the weights, else the first that fits with weights streamed, else the last."""
    plans = []
    for way in ways:
        plan = memory.plan(components, way.working_bytes, work=way.work)
        if plan.fits and plan.how == "full":
            return way, plan
        plans.append((way, plan))
    return next(((way, plan) for way, plan in plans if plan.fits), plans[-1])


class _Spent(OutOfMemory):
    """A part of the work has tried all it can; the whole may still stream its weights."""

    def __init__(self, said: str, tried: list[str]) -> None:
        super().__init__("A part of the work ran out of memory.", detail=said)
        self.tried = tried


class Ladder:
    """A lease, and work done under it that may be repeated; a context manager. Good in the thread that enters it.

    ways: in order of preference, or the bytes of the only one. The first that fits is taken from the start, as `choose` does.
    `way` is the one in use, `lease` what is borrowed now: both may change from one attempt to the next. Entering raises what
    `Context.lease` raises.
    """

    def __init__(self, ctx: Context, components: Sequence[Component], ways: int | Sequence[Way]) -> None:
        self._ctx = ctx
        self._components = components
        self._ways = ways_of(ways)
        self._depth = 0
        self._is_streaming = False
        self._overran: set[str] = set()
        self.way = self._ways[0]
        self.lease: Lease

    def __enter__(self) -> Ladder:
        if len(self._ways) > 1:
            self.way = choose(self._ctx.memory, self._components, self._ways)[0]
        while True:
            try:
                self._borrow()
                return self
            except OutOfMemory:  # what was free a moment ago may be gone
                if self.way is self._ways[-1]:
                    raise
            self.way = self._thriftier[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lease.__exit__(kind, error, trace)

    def run(self, attempt: Callable[[Lease], T]) -> T:
        """What `attempt(lease)` returns, tried again on each rung when it runs out of memory.

        May be called inside an attempt, for a part that can be repeated by itself: then only that part is. Raises OutOfMemory
        with all that was tried, and Cancelled between two attempts.
        """
        is_part = self._depth > 0
        rungs: Iterator[_Rung] = self._rungs(is_part)
        tried: list[str] = []
        note = ""
        while True:
            self._depth += 1
            try:
                result = attempt(self.lease)
                self._note(note, is_part)
                return result
            except _Spent as error:
                rungs = self._last_rung()  # those before would fail the same
                tried, said = error.tried, error.detail
                let_go(error)
            except Exception as error:
                if not self._ctx.memory.device.is_out_of_memory(error):
                    raise
                said = first_line(error)
                let_go(error)
            finally:
                self._depth -= 1
            self._ctx.check_cancelled()
            self._tell(said)
            if (rung := next(rungs, None)) is None:
                raise _Spent(said, tried) if is_part else self._given_up(said, tried)
            gc.collect()
            self._ctx.memory.device.empty_cache()
            what, note = rung
            log.warning("job %s ran out of memory (%s); again, %s", self._ctx.job_id, said, what)
            tried.append(what)
            self._ctx.check_cancelled()

    def _rungs(self, is_part: bool) -> Iterator[_Rung]:
        """What to try next, done when it is asked for."""
        yield "with everything unused freed", AGAIN
        if self._ctx.memory.release_idle():
            yield "with the idle models put away", ALONE
        while self._thriftier:
            self.way = self._thriftier[0]
            yield self.way.name, ""
        if not is_part:
            yield from self._last_rung()

    def _last_rung(self) -> Iterator[_Rung]:
        """The weights streamed: they are borrowed anew, as little of them as they can work with."""
        if self._is_streaming or self.lease.streamed or not self._ctx.memory.device.streams:
            return
        self._is_streaming = True
        self.lease.__exit__(None, None, None)
        try:
            self._borrow()
        except OutOfMemory as error:
            log.warning("job %s: %s", self._ctx.job_id, error.problem())
            return
        if self.lease.streamed:
            yield "with its weights streamed", ""

    def _note(self, note: str, is_part: bool) -> None:
        """Have the artifact tell how it was made in the end."""
        if note:
            self._ctx.note(note)
        if not is_part:
            lasting = [self.way.note, STREAMED if self.lease.streamed else ""]
            for sentence in filter(None, lasting):
                self._ctx.note(sentence)

    @property
    def _thriftier(self) -> Sequence[Way]:
        return self._ways[self._ways.index(self.way) + 1 :]

    def _borrow(self) -> None:
        lease = self._ctx.lease(
            self._components, self.way.working_bytes, work=self.way.work, stream=self._is_streaming
        )
        lease.__enter__()
        self.lease = lease

    def _tell(self, said: str) -> None:
        """Once for each way: what was promised for it was too little."""
        if self.way.name not in self._overran:
            self._overran.add(self.way.name)
            self._ctx.memory.ran_out(self.lease, said)

    def _given_up(self, said: str, tried: Sequence[str]) -> OutOfMemory:
        device = self._ctx.memory.device
        way = self.way
        elsewhere = (
            "" if device.handle.type == "cpu" else " On the CPU it may fit, slowly: start with --device cpu."
        )
        return OutOfMemory(
            f"{device.name} ran out of memory in the middle of the work.",
            detail=f"{readable_bytes(way.working_bytes)} were set aside for it beside the model. {said} "
            f"It was tried again {', then '.join(tried)}.",
            hint=f"Try a smaller size, fewer items at once, or a smaller model.{elsewhere}",
        )


def let_go(error: BaseException) -> None:
    """Take away the frames an exception holds, and those of all it came from: their variables are the memory that is missing."""
    chain: list[BaseException] = [error]
    while chain:
        link = chain.pop()
        chain += [more for more in (link.__cause__, link.__context__) if more is not None]
        traceback.clear_frames(link.__traceback__)
        link.__traceback__ = link.__cause__ = link.__context__ = None
