"""Host memory in a few large chunks, and the lane by which bytes go from there to a device.

An arena knows sizes and places, nothing of modules or tensors: `apart.py` fills it from a loaded module, and a reader can fill
it straight from a file (`memoryview(arena.piece(i).numpy())`). Large chunks because a device takes one copy of 128 MiB many
times faster than a thousand small ones; page-aligned and of exact size because they are page-locked where they lie.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

CHUNK_BYTES = 128 << 20
ALIGN = 512
"""Every piece starts at a multiple, as the allocators of devices do it; kernels pick the same path for the same alignment."""
SAMPLES = 4096


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece lies: chunk number, first byte in it, bytes."""

    chunk: int
    offset: int
    nbytes: int


class PageLock(Protocol):
    """What keeps host memory where it is, so that a device fetches it by itself; the device module knows how."""

    def lock(self, address: int, nbytes: int) -> bool:
        """Whether it could be done; if not, nothing has changed."""

    def unlock(self, address: int) -> None: ...


class Arena:
    """Pieces of the given sizes, one behind the other in chunks; none straddles two.

    sizes: bytes of each piece. chunk_bytes: how large a chunk may grow; a piece that is larger has one of its own. breaks:
    numbers of pieces before which a new chunk begins. page_lock: None where there is no such thing. places: of each piece.
    chunks: uint8 tensors; their memory is zero and takes no room until it is written. It goes back to the system with the last
    tensor that looks at it, whatever the C library would like to keep.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        chunk_bytes: int = CHUNK_BYTES,
        breaks: Iterable[int] = (),
        page_lock: PageLock | None = None,
    ) -> None:
        self.places: list[Place] = []
        filled: list[int] = []
        new_chunk_at = {0, *breaks}
        for number, nbytes in enumerate(sizes):
            if number in new_chunk_at or filled[-1] + aligned(nbytes) > chunk_bytes:
                filled.append(0)
            self.places.append(Place(len(filled) - 1, filled[-1], nbytes))
            filled[-1] += aligned(nbytes)
        self.chunks = [_host_memory(nbytes) for nbytes in filled]
        self.nbytes = sum(filled)
        self._locked: list[int] = []  # addresses
        self._page_lock = page_lock
        if page_lock is not None:
            weakref.finalize(self, _unlock, page_lock, self._locked, self.chunks)

    def piece(self, number: int) -> torch.Tensor:
        """(nbytes,) uint8, the memory of one piece."""
        place = self.places[number]
        return self.chunks[place.chunk][place.offset : place.offset + place.nbytes]

    # ---- page-locking ---------------------------------------------------------------------------------------------

    @property
    def pinned_bytes(self) -> int:
        return sum(chunk.nbytes for chunk in self.chunks[: len(self._locked)])

    def pin(self) -> None:
        """Page-lock the chunks where they lie, so that the device fetches them itself and beside other work.

        Exact sizes: `Tensor.pin_memory` would copy and round up to a power of two. What the system refuses stays as it was.
        """
        if self._page_lock is None:
            return
        for chunk in self.chunks[len(self._locked) :]:
            if not self._page_lock.lock(chunk.data_ptr(), chunk.nbytes):
                break
            self._locked.append(chunk.data_ptr())

    def unpin(self) -> None:
        """Undo `pin`; nothing may be on its way from here to the device."""
        if self._page_lock is not None:
            _unlock(self._page_lock, self._locked, self.chunks)


def differ(copy: torch.Tensor, master: torch.Tensor) -> bool:
    """Whether a device's copy of a chunk was written to: compared in 4,096 words spread over it, for a few microseconds."""
    words = copy.view(torch.int64)
    step = (
        max(1, len(words) // SAMPLES) | 1
    )  # odd: matrices have even rows, and every column should have its turn
    return not torch.equal(words[::step].cpu(), master.view(torch.int64)[::step])


class Lane:
    """The way from host memory to a device: a stream beside the computing where there are streams, an ordinary copy elsewhere."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream: torch.Stream | None = (
            torch.Stream(device=device) if device.type in ("cuda", "xpu") else None
        )
        self._last: torch.Event | None = None

    def allocate(self, nbytes: int) -> torch.Tensor:
        """(nbytes,) uint8 on the device, as one allocation; raises what the device raises when memory runs out."""
        if self.device.type == "cpu":
            return _host_memory(nbytes)
        memory = torch.empty(nbytes, dtype=torch.uint8, device=self.device)
        if self._stream is not None:
            self._stream.wait_stream(
                torch.accelerator.current_stream(self.device)
            )  # who had the memory before
            memory.record_stream(self._stream)
        return memory

    def copy(
        self, target: torch.Tensor, source: torch.Tensor, after: Iterable[torch.Event | None] = ()
    ) -> torch.Event | None:
        """Copy host bytes to the device once the events in `after` have passed; the event to wait for (None: it is done)."""
        if self._stream is None:
            target.copy_(source)
            return None
        for event in after:
            self._stream.wait_event(event)
        with self._stream:
            target.copy_(source, non_blocking=True)
        self._last = self._stream.record_event()
        return self._last

    def mark(self) -> torch.Event | None:
        """An event behind everything the calling thread has asked the device to do."""
        return None if self._stream is None else torch.accelerator.current_stream(self.device).record_event()

    def wait(self, event: torch.Event | None) -> None:
        """Let what the calling thread asks for next begin after the event; the thread itself does not wait."""
        if event is not None:
            torch.accelerator.current_stream(self.device).wait_event(event)

    def finish(self) -> None:
        """Return when nothing is on its way any more; other streams of the device are not waited for."""
        if self._last is not None:
            self._last.synchronize()
            self._last = None


def trim_host_memory() -> None:
    """glibc keeps freed memory (180 MB after 40 loads, measured); ask for it back. Takes ~16 ms, so never on a hit."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _host_memory(nbytes: int) -> torch.Tensor:
    if not nbytes:
        return torch.empty(0, dtype=torch.uint8)
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, nbytes, **private)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.uint8)


def _unlock(page_lock: PageLock, addresses: list[int], chunks: list[torch.Tensor]) -> None:
    """chunks: only so that the memory is still there."""
    while addresses:
        page_lock.unlock(addresses.pop())
