"""What a thread opened for itself does not pile up."""

from __future__ import annotations

import threading

from pipelines.loading.kept import MOST, kept


def test_a_thread_keeps_the_last_few_it_used_and_lets_the_oldest_go() -> None:
    made: list[int] = []

    def use(key: int) -> int:
        return kept("test", key, lambda: made.append(key) or key)  # type: ignore[func-returns-value]

    for key in range(MOST):
        use(key)
    use(0)  # used again: not the oldest any more
    use(MOST)
    assert made == list(range(MOST + 1))
    use(0)
    assert made == list(range(MOST + 1))
    use(1)
    assert made == [*range(MOST + 1), 1]


def test_each_thread_and_each_kind_has_its_own() -> None:
    made: list[str] = []
    kept("tokenizer", "x", lambda: made.append("here"))
    other = threading.Thread(target=lambda: kept("tokenizer", "x", lambda: made.append("there")))
    other.start()
    other.join()
    kept("config", "x", lambda: made.append("of another kind"))
    assert made == ["here", "there", "of another kind"]
