"""The words of the memory manager: what is lent, what a device must be able to do, and the answer of a dry run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.errors import OutOfMemory


@dataclass(frozen=True)
class Component:
    """The smallest thing shared and moved. Equal keys mean the same weights: loaded once, lent to all.

    key: a content-ish id, `<model id>:<part>:<dtype>`. load: opens it on the CPU; an nn.Module, or any object without tensors
    (a tokenizer), which weighs nothing. nbytes: weight bytes as held; an estimate, corrected when the real thing is seen.
    model: the model id it is borrowed for, by which people name, pin and unload it; empty: what stands before the first `:` of
    the key. passes: how often the work runs through it (a UNet once a step, a VAE once): when not all fits, what runs most
    often stays on the device and the rest is streamed.
    """

    key: str
    load: Callable[[], object]
    nbytes: int = 0
    model: str = ""
    passes: int = 1


@dataclass(frozen=True)
class Plan:
    """What a lease would do, without doing it.

    fits: it can be lent, if need be after others finish. need_bytes: components and working set together. free_bytes: what
    nobody has been promised now. evicts: keys that would leave now. reason: one sentence for a person.
    """

    fits: bool
    need_bytes: int
    free_bytes: int
    evicts: tuple[str, ...] = ()
    reason: str = ""


class WontFit(OutOfMemory):
    """It cannot fit on this device at all, however long one waits."""


class Held(Protocol):
    """One loaded thing and its way onto the device and off again."""

    nbytes: int | None
    """Real bytes of its tensors; None when it is not a module and the estimate has to do."""

    def upload(self) -> None:
        """Make it usable on the device; raises whatever the device raises when memory runs out."""

    def unload(self) -> None:
        """Give the device's bytes back and stay usable in host memory; moves nothing."""


class Device(Protocol):
    """The one place weights are lent on. Methods may ask the driver: the manager never calls them while it holds its lock."""

    name: str
    """What people call it: `cuda:0`, `cpu`."""
    handle: Any
    """What pipelines move tensors to; a torch.device."""
    unified: bool
    """Host and device memory are one: evicting means dropping, and coming back means loading again."""

    def most_bytes(self) -> int:
        """The most that can ever be promised here."""

    def budget_bytes(self) -> int:
        """The most that can be promised now, with what other programs hold taken off."""

    def host_budget_bytes(self) -> int:
        """The most host memory the copies of evicted components may take (not asked when unified)."""

    def hold(self, thing: object) -> Held: ...

    def dtype(self) -> Any:
        """The torch.dtype models run in here."""

    def empty_cache(self) -> None:
        """Hand freed memory back to the system."""

    def is_out_of_memory(self, error: BaseException) -> bool: ...
