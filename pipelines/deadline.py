"""A bound on Python code that someone else wrote, such as a chat template: it ends in time, or is ended.

It is ended between two steps of the interpreter, so a single long step inside a library is waited for.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Overrun(BaseException):
    """The time is up. No Exception, so that nothing on the way takes it for an error of its own and goes on."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise Overrun in this thread when the block has not ended by then."""
    thread, lock = threading.get_ident(), threading.Lock()
    is_over = was_raised = False

    def end() -> None:
        nonlocal was_raised
        with lock:
            if not is_over:
                was_raised = True
                _raise_in(thread, Overrun)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            is_over = True
        timer.cancel()
        if was_raised:
            _raise_in(thread, None)  # one that has not arrived yet must not arrive later


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    what = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
