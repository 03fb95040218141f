"""Gradio's queue, which is told when there is something to do instead of looking a thousand times a second.

Two loops of `gradio.queueing.Queue` sleep 1 and 10 ms between two looks, with or without a visitor, for 8 % of a core. Here the
same loops run, only that what they call `asyncio.sleep` ends when an event was pushed or has ended, or when a step was told. A
Gradio with other loops than these keeps its own queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import logging
from collections.abc import Awaitable, Callable
from types import FunctionType, SimpleNamespace

import gradio as gr
from gradio.queueing import Queue

log = logging.getLogger(__name__)
Sleep = Callable[[float], Awaitable[None]]

LOOK_SECONDS = 1.0
"""After so long the loops look by themselves: a change nobody told would cost a second, and no event."""
MOST_AT_ONCE = 1000
"""Events that run at once. A page that follows a job holds one: after Gradio's own 40 the next page would get no answer."""
KNOWN = {"start_processing": "d65be5a5cbed97d7", "start_progress_updates": "7cbbec1cf932324c"}
"""The loops this was written for, by the hash of their source: Gradio 6.31."""


def is_known(queue: type = Queue) -> bool:
    """Whether this Gradio has the loops that were read when this was written."""
    return all(fingerprint(getattr(queue, name, None)) == known for name, known in KNOWN.items())


def fingerprint(function: object) -> str:
    if not inspect.isfunction(function):
        return ""
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


class Page(gr.Blocks):  # type: ignore[misc]
    """Gradio's Blocks with that queue. `queue` is where Gradio makes its own, called while a Blocks is made."""

    def queue(self, *arguments: object, **options: object) -> Page:
        if is_known():  # Gradio's own would also make the whole web application, which mounting makes again
            self._queue = WaitingQueue(True, MOST_AT_ONCE, 1, None, self, default_concurrency_limit=None)
        else:
            log.warning("This Gradio has another queue than the studio knows; it looks around all the time.")
            super().queue(default_concurrency_limit=None, max_size=None)
            self._queue.max_thread_count = MOST_AT_ONCE
        return self


class WaitingQueue(Queue):  # type: ignore[misc]
    """Each of the two loops waits for an `asyncio.Event` that is set after whatever could give it work."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self._changed, self._stepped = asyncio.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start_processing(self) -> None:
        async def until_changed(_: float) -> None:
            await told(self._changed)

        await sleeping(Queue.start_processing, until_changed)(self)

    async def start_progress_updates(self) -> None:
        self._loop = asyncio.get_running_loop()

        async def until_stepped(pause: float) -> None:
            await told(self._stepped)
            await asyncio.sleep(pause)  # steps come fast: told at most so often, as Gradio does

        await sleeping(Queue.start_progress_updates, until_stepped)(self)

    async def push(self, *arguments: object, **options: object) -> object:
        try:
            return await super().push(*arguments, **options)
        finally:
            self._changed.set()

    async def process_events(self, *arguments: object, **options: object) -> None:
        try:
            await super().process_events(*arguments, **options)
        finally:  # a place is free
            self._changed.set()

    def set_progress(self, *arguments: object, **options: object) -> None:
        super().set_progress(*arguments, **options)
        if self._loop is not None:  # steps are told from threads
            self._loop.call_soon_threadsafe(self._stepped.set)

    def compute_analytics_summary(self, records: object) -> object:
        """Nothing: Gradio makes a pandas table of its last 10,000 events after each one, for a page of figures that is off."""
        return self.cached_event_analytics_summary


async def told(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):  # which, unlike wait_for, never forgets a cancel
            await event.wait()
    event.clear()


def sleeping(loop: FunctionType, sleep: Sleep) -> Callable[..., Awaitable[None]]:
    """That function as it is, but for the `asyncio.sleep` it calls: its code with other globals, so nothing of Gradio is
    copied and nothing of Gradio changes for anybody else."""
    other = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})
    names = {**loop.__globals__, "asyncio": other}
    return FunctionType(loop.__code__, names, loop.__name__, loop.__defaults__, loop.__closure__)
