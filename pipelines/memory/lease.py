"""Lease: borrowed components, for the length of a `with` block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.memory.ledger import Entry
from pipelines.memory.parts import Component

if TYPE_CHECKING:
    import torch


class Lender(Protocol):
    """What a lease asks of the manager that made it."""

    def acquire(self, lease: Lease) -> None: ...

    def release(self, lease: Lease) -> None: ...

    def abandon(self, lease: Lease) -> None: ...


@dataclass(frozen=True, eq=False)
class Grant:
    """What a thread holds by one lease. It does not know the lease: a forgotten lease must be seen to die."""

    entries: tuple[Entry, ...]
    working_bytes: int
    charged: int
    """Working bytes promised for it; less than asked when merged into an outer lease."""
    epoch: int = 0
    """How many things had begun on the device when it was granted: whether its work was measured alone."""


class Lease:
    """Borrowed components: `with manager.lease([...]) as lease:`; `lease[key]` is the live object on `lease.device`.

    Nothing is borrowed before the block and nothing after it; in between nobody evicts them.
    """

    def __init__(
        self,
        lender: Lender,
        device: torch.device,
        components: Sequence[Component],
        working_bytes: int,
        job: str,
        is_cancelled: Callable[[], bool] | None,
        on_load: Callable[[str, int, int], None] | None,
        work: str = "",
        stream: bool = False,
    ) -> None:
        self.grant: Grant | None = None  # while lent
        self.own: list[Grant] = []  # all grants of the thread that took it
        self.components = tuple({component.key: component for component in components}.values())
        self.working_bytes = max(0, int(working_bytes))
        self.job = job
        self.work = work
        self.stream = stream
        self.device = device
        self.is_cancelled = is_cancelled or (lambda: False)
        self.on_load = on_load or (lambda key, done, total: None)
        self.entries: tuple[Entry, ...] = ()
        self._lender = lender

    def __enter__(self) -> Lease:
        self._lender.acquire(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lender.release(self)
        self.entries = ()

    @property
    def streamed(self) -> tuple[str, ...]:
        """Keys of those that are larger than the room they were given, and pass through the device piece by piece."""
        return tuple(entry.key for entry in self.entries if entry.is_streamed)

    def __getitem__(self, which: str | Component) -> Any:
        """The live object; KeyError when it is not part of this lease, or the lease is over."""
        key = which if isinstance(which, str) else which.key
        for entry in self.entries:
            if entry.key == key:
                return entry.thing
        raise KeyError(f"{key} is not part of this lease")

    def __del__(self) -> None:
        if self.grant is not None:  # its thread died inside the block
            self._lender.abandon(self)
