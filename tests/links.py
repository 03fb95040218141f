"""Links to a worker for tests of what stands before it: the queue, the records, the page."""

from __future__ import annotations

from typing import Any


class Idle:
    """Takes jobs and does nothing with them."""

    def __init__(self, config: Any, **link: Any) -> None:
        self.exit = link["on_exit"]

    def send(self, command: Any) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None:
        self.exit(0)
