"""Weights straight from a file: a few threads read it mebibyte by mebibyte and put the numbers where they belong, converted.

Knows where tensors lie in files, nothing of the files' format; `remember_stored` is how whoever opened a module leaves that with
it. Measured on 2 busy cores, 1.7 GB of float16 to float32: 1.6 s of processor time beside 2.7 s for `from_pretrained`; from a
cold disk 2.5 to 3.2 s beside 7.3 to 9.1 s. What needs no conversion is better mapped: 0.2 s for 3.4 GB.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, cast

import numpy as np
import torch

CHUNK_BYTES = 1 << 20  # fits the cache of a core; 4 and 16 MiB were slower
GRAIN = 32_768
"""Numbers converted in one go: up to here torch works in the calling thread and wakes no team of its own."""
MAX_THREADS = 8
_ATTRIBUTE = "weights_stored_in"


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor in a file: `numel` numbers one behind the other, from byte `offset` on."""

    name: str
    file: Path
    offset: int
    dtype: torch.dtype
    numel: int

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize


Pair = tuple[Stored, torch.Tensor]
"""A stored tensor and one in host memory with as many numbers, contiguous, of any plain dtype."""


def remember_stored(module: torch.nn.Module, stored: Iterable[Stored]) -> None:
    """Leave with a module where its weights lie on disk."""
    setattr(module, _ATTRIBUTE, tuple(stored))


def stored_of(module: torch.nn.Module) -> tuple[Stored, ...]:
    """Where a module's weights lie on disk, as far as whoever opened it said."""
    return cast(tuple[Stored, ...], getattr(module, _ATTRIBUTE, ()))


class Reader:
    """Threads that read; a context manager. Errors of the file (OSError, EOFError) rise from the call that met them."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads or min(MAX_THREADS, os.cpu_count() or 1), "reader")
        self._own = threading.local()
        self._open: list[IO[bytes]] = []

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for file in self._open:
            file.close()

    def fill(self, pairs: Sequence[Pair]) -> None:
        """Read each stored tensor into its place, converted to the dtype of that."""
        for _ in self._pool.map(lambda run: self._fill(*run), _runs(pairs)):
            pass

    def same(self, pairs: Sequence[Pair]) -> list[bool]:
        """For each pair, whether converting the stored tensor gives exactly the bits of the other."""
        found = [True] * len(pairs)
        for number, is_same in self._pool.map(lambda run: (run[3], self._same(*run)), _runs(pairs)):
            found[number] &= is_same
        return found

    def warm(self, file: Path, check: Callable[[], None]) -> None:
        """Have the system read what it does not hold of the file, so that using its mapping does not wait for the disk.

        check: called every 64 MiB; may raise to stop. Where the system cannot tell what it holds, nothing is read.
        """
        if not hasattr(os, "RWF_NOWAIT"):
            return
        starts = range(0, file.stat().st_size, CHUNK_BYTES)
        for first in range(0, len(starts), 64):
            check()
            list(self._pool.map(lambda start: self._warm(file, start), starts[first : first + 64]))

    # ---- in the threads -------------------------------------------------------------------------------------------

    def _fill(self, stored: Stored, place: torch.Tensor, first: int, _number: int) -> None:
        if stored.dtype == place.dtype:
            self._read(stored, first, place)
            return
        numbers = self._scratch(stored.dtype)[: place.numel()]
        self._read(stored, first, numbers)
        for start in range(0, len(numbers), GRAIN):
            place[start : start + GRAIN].copy_(numbers[start : start + GRAIN])

    def _same(self, stored: Stored, place: torch.Tensor, first: int, number: int) -> bool:
        numbers = torch.empty_like(place)
        self._fill(stored, numbers, first, number)
        return np.array_equal(_bits(numbers), _bits(place))  # torch.equal takes five times longer

    def _read(self, stored: Stored, first: int, place: torch.Tensor) -> None:
        file, room, done = self._file(stored.file), memoryview(place.view(torch.uint8).numpy()), 0
        file.seek(stored.offset + first * stored.dtype.itemsize)
        while done < len(room):
            count = cast(int, file.readinto(room[done:]))  # type: ignore[attr-defined]
            if not count:
                raise EOFError(f"{stored.file.name} ends before {stored.name}")
            done += count

    def _warm(self, file: Path, start: int) -> None:
        number = self._file(file).fileno()
        try:
            os.preadv(number, [bytearray(1)], start, os.RWF_NOWAIT)
        except BlockingIOError:
            os.preadv(number, [memoryview(self._scratch(torch.uint8).numpy())], start)
        except OSError:
            pass  # a file system that cannot tell

    def _scratch(self, dtype: torch.dtype) -> torch.Tensor:
        if "scratch" not in self._own.__dict__:
            self._own.scratch = torch.empty(CHUNK_BYTES, dtype=torch.uint8)
        return cast(torch.Tensor, self._own.scratch).view(dtype)

    def _file(self, path: Path) -> IO[bytes]:
        files: dict[Path, IO[bytes]] = self._own.__dict__.setdefault("files", {})
        if path not in files:
            files[path] = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with the reader
            self._open.append(files[path])
        return files[path]


def _bits(numbers: torch.Tensor) -> np.ndarray:
    """The same memory as whole numbers, which are equal when the bits are."""
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return numbers.view(whole[numbers.dtype.itemsize]).numpy()


def _runs(pairs: Sequence[Pair]) -> Iterator[tuple[Stored, torch.Tensor, int, int]]:
    """Pieces of at most a chunk: the stored tensor, a flat part of its place, the number it begins with, which pair it is of."""
    for number, (stored, place) in enumerate(pairs):
        flat, step = place.view(-1), CHUNK_BYTES // stored.dtype.itemsize
        for first in range(0, stored.numel, step):
            yield stored, flat[first : first + step], first, number
