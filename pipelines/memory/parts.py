"""The words of the memory manager: what is lent, what a device must be able to do, and the answer of a dry run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pipelines.errors import OutOfMemory

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Component:
    """The smallest thing shared and moved. Equal keys mean the same weights: loaded once, lent to all.

    key: what the weights are (class, dtype, digest), whoever asks for them. load: opens it on the CPU; an nn.Module, or any
    object without tensors (a tokenizer), which weighs nothing. nbytes: weight bytes as held; an estimate, corrected when the
    real thing is seen.
    model: the model id it is borrowed for, by which people name, pin and unload it; empty: what stands before the first `:` of
    the key. passes: how often the work runs through it (a UNet once a step, a VAE once): when not all fits, what runs most
    often stays on the device and the rest is streamed.
    """

    key: str
    load: Callable[[], object]
    nbytes: int = 0
    model: str = ""
    passes: int = 1

    @property
    def owner(self) -> str:
        return self.model or self.key.split(":")[0]


@dataclass(frozen=True)
class LeasePlan:
    """What a lease would do, without doing it.

    fits: it can be lent, if need be after others finish. need_bytes: components and working set together. free_bytes: what
    nobody has been promised now. evicts: keys that would leave now. reason: one sentence for a person. how: "streamed" when
    the keys in `streamed` are larger than the room and pass through it piece by piece. load_seconds: expected until everything
    is on the device.
    """

    fits: bool
    need_bytes: int
    free_bytes: int
    evicts: tuple[str, ...] = ()
    reason: str = ""
    how: Literal["full", "streamed"] = "full"
    streamed: tuple[str, ...] = ()
    load_seconds: float = 0.0


class WontFit(OutOfMemory):
    """It cannot fit on this device at all, however long one waits."""


class Held(Protocol):
    """One loaded thing and its way onto the device and off again. One thread at a time touches it (pinning may run beside)."""

    nbytes: int | None
    """Real bytes of its tensors; None when it is not a module and the estimate has to do."""
    least_bytes: int
    """The fewest device bytes it works with, the rest streamed through a ring; all of them when it cannot be streamed."""
    returns: bool
    """Whether `upload` brings it back after `unload`. If not, it is dropped and loaded anew."""

    @property
    def device_bytes(self) -> int:
        """Bytes it takes on the device now."""

    @property
    def host_bytes(self) -> int:
        """Bytes it takes in host memory beside the device (none of its own where memory is unified)."""

    @property
    def pinned_bytes(self) -> int:
        """Those of its host bytes that are page-locked."""

    def upload(self, nbytes: int | None = None, check: Callable[[], None] = ...) -> None:
        """Make it usable on the device, with at most `nbytes` there (at least `least_bytes`); None for all of it.

        check: called between chunks; what it raises ends the upload there. What had arrived stays valid and counts in
        `device_bytes`. Raises whatever the device raises when memory runs out.
        """

    def unload(self, nbytes: int = 0) -> None:
        """Give the device's bytes back until at most `nbytes` are held, and stay usable in host memory; moves nothing."""

    def pin_host(self) -> None:
        """Page-lock the host copy, so that it is brought in faster; nothing happens where there is no such thing."""

    def unpin_host(self) -> None: ...


class Device(Protocol):
    """The one place weights are lent on. Methods may ask the driver: the manager never calls them while it holds its lock."""

    name: str
    """What people call it: `cuda:0`, `cpu`."""
    handle: torch.device
    """What pipelines move tensors to."""
    unified: bool
    """Host and device memory are one: there is no second copy."""
    streams: bool
    """What is larger than the device can pass through it in pieces."""

    def most_bytes(self) -> int:
        """The most that can ever be promised here."""

    def budget_bytes(self) -> int:
        """The most that can be promised now, with what other programs hold taken off."""

    def host_budget_bytes(self) -> int:
        """The most host memory the copies of evicted components may take (not asked when unified)."""

    def pinned_budget_bytes(self) -> int:
        """The most host memory that may be page-locked; 0 where there is no such thing."""

    def hold(self, thing: object) -> Held: ...

    def dtype(self) -> torch.dtype:
        """What models run in here."""

    def empty_cache(self) -> None:
        """Hand freed memory back to the system."""

    def settle(self) -> None:
        """Hand back what finished work has left with the allocator, where that is not wanted for the next."""

    def is_out_of_memory(self, error: BaseException) -> bool: ...

    def start_peak(self) -> None:
        """Begin to watch how many bytes the work takes."""

    def peak_bytes(self) -> int | None:
        """The most bytes in use since `start_peak`, beyond those in use then; None when the device cannot tell."""
