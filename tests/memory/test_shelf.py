"""Tokenizers: one thread's at a time, and no more of them than a process has room for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipelines.memory.manager import MemoryManager
from pipelines.memory.shelf import Shelf
from tests.memory.made_up import MadeUpDevice


class Opened:
    """Makes things and remembers which."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, key: str) -> Callable[[], object]:
        def make() -> object:
            self.keys.append(key)
            return object()

        return make


def elsewhere(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_two_threads_never_have_the_same_one_and_one_of_them_is_kept() -> None:
    shelf, opened = Shelf(), Opened()
    mine = shelf.take("x", opened("x"), 1)
    theirs: list[object] = []
    elsewhere(lambda: (theirs.append(shelf.take("x", opened("x"), 1)), shelf.put_back()))
    assert theirs[0] is not mine
    assert shelf.take("x", opened("x"), 1) is mine
    shelf.put_back()
    assert shelf.nbytes == 1
    elsewhere(lambda: shelf.take("x", opened("x"), 1))
    assert opened.keys == ["x", "x"]


def test_what_lies_unused_is_bounded_and_the_oldest_leaves() -> None:
    shelf, opened = Shelf(most_bytes=2), Opened()
    for key in ("a", "b", "a", "c"):  # a was used again: b is the oldest
        shelf.take(key, opened(key), 1)
        shelf.put_back()
    for key in ("a", "c", "b"):
        shelf.take(key, opened(key), 1)
    assert opened.keys == ["a", "b", "c", "b"]


def test_the_memory_manager_counts_them_and_lets_them_go_with_the_models() -> None:
    now = [0.0]
    shelf, opened = Shelf(clock=lambda: now[0]), Opened()
    manager = MemoryManager(
        MadeUpDevice(1000), keep_alive_seconds=10, clock=lambda: now[0], shelf=shelf, prefetch=False
    )
    shelf.take("a", opened("a"), 100)
    assert manager.snapshot()["shelf_bytes"] == 100
    shelf.put_back()
    manager.sweep()
    assert manager.snapshot()["shelf_bytes"] == 100
    now[0] = 50.0
    manager.sweep()
    assert manager.snapshot()["shelf_bytes"] == 0


def test_work_that_runs_out_of_memory_has_the_unused_ones_closed() -> None:
    shelf, opened = Shelf(), Opened()
    manager = MemoryManager(MadeUpDevice(1000), shelf=shelf, prefetch=False)
    shelf.take("a", opened("a"), 100)
    manager.release_idle()
    assert shelf.nbytes == 100  # somebody works with it
    shelf.put_back()
    manager.release_idle()
    assert shelf.nbytes == 0
