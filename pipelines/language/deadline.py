"""A bound on Python code that someone else wrote, such as a chat template: it ends in time, or is ended.

It is ended between two steps of the interpreter, so a single long step inside a library is waited for.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MOST_STEPS = 10_000  # it arrives at the first; where it never comes, something inside took it


class Overrun(BaseException):
    """The time is up. No Exception, so that nothing on the way takes it for an error of its own and goes on."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise Overrun in this thread when the block has not ended by then."""
    thread, lock = threading.get_ident(), threading.Lock()
    is_over = was_raised = has_arrived = False

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
    except Overrun:
        has_arrived = True
        raise
    finally:
        with lock:
            is_over = True
        timer.cancel()
        if was_raised and not has_arrived:
            _await_overrun()


def _await_overrun() -> None:
    """Take in one that has not arrived yet, so that it does not arrive later.

    It cannot be called back: told to, CPython 3.11 goes on looking for it at every step, and loops for ever once it is traced.
    """
    with suppress(Overrun):
        for _ in range(MOST_STEPS):
            pass


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))
