"""A module where host and device memory are one: its weights can be let go and fetched again, the module itself stays.

A skeleton keeps everything but the weights: objects, configuration, hooks. Weights that lie in a mapped file as they are used are
mapped again, which moves no bytes; those that were converted (float16 on disk, float32 here) are read and converted again, after
it was seen once, bit for bit, that this gives the same numbers. What has no source on disk is kept if it is little; if it is
much, the module cannot come back and is loaded anew.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from pipelines.errors import ModelUnavailable
from pipelines.memory.parts import Held
from pipelines.memory.weights.apart import MovedByItself
from pipelines.memory.weights.file_reader import Reader, Stored, stored_of
from pipelines.memory.weights.seats import PLAIN, held_tensors
from pipelines.memory.weights.sources import Weight, find_sources, stamp_of, weights_of

log = logging.getLogger(__name__)

KEPT_SHARE = 50
"""At most one fiftieth of a module may stay when it leaves: buffers and tables computed when it was made."""
BATCH_BYTES = 64 << 20
"""Read between two looks whether to stop."""


def hold_unified(module: nn.Module, device: torch.device) -> Held:
    """A module in host memory, to be lent where the device's memory is the host's."""
    tensors = [tensor for *_, tensor in held_tensors(module)]
    plain = all(type(tensor) in PLAIN and tensor.layout is torch.strided for tensor in tensors)
    if device.type != "cpu" or not plain:
        return MovedByItself(module, device, returns=False)
    return Mapped(module, stored_of(module))


class _Changed(Exception):
    """A weight file is not what it was."""


class Mapped:
    """All parameters and buffers of a module on the CPU, each distinct tensor once, tied ones still tied; see `Held`.

    stored: where its weights lie on disk, for those that were converted; what is mapped is found without. Making one reads
    converted weights once more, to compare them (1 s of one core for 860 million numbers).
    """

    host_bytes = 0
    pinned_bytes = 0

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(self, module: nn.Module, stored: Sequence[Stored] = ()) -> None:
        self._weights = weights_of(module)
        find_sources(self._weights, stored)
        self._stamps = {file: stamp_of(file) for file in self._files(self._weights)}
        self._bytes = sum(weight.nbytes for weight in self._weights)
        self.nbytes: int | None = self._bytes
        self._kept_bytes = sum(weight.nbytes for weight in self._weights if weight.source is None)
        self.returns = None not in self._stamps.values() and self._kept_bytes * KEPT_SHARE <= self._bytes
        if not self.returns and self._bytes > BATCH_BYTES:
            name, kept = type(module).__name__, self._kept_bytes / self._bytes
            log.info("%.0f %% of a %s do not lie in a file; it is loaded anew each time", 100 * kept, name)

    # ---- Held -----------------------------------------------------------------------------------------------------

    @property
    def least_bytes(self) -> int:
        return self._bytes

    @property
    def device_bytes(self) -> int:
        """All that is here; 0 once everything that can leave has left."""
        away = sum(weight.nbytes for weight in self._weights if not weight.is_here)
        return 0 if away and away + self._kept_bytes >= self._bytes else self._bytes - away

    @torch.inference_mode(False)
    @torch.no_grad()
    def upload(self, nbytes: int | None = None, check: Callable[[], None] = lambda: None) -> None:
        """Map and read what is missing. Raises ModelUnavailable when a file is no longer what it was: then it never returns.

        Mapped weights are also fetched from the disk here if the system does not hold them, so that work need not wait for it.
        """
        missing = [weight for weight in self._weights if not weight.is_here]
        try:
            for file in self._files(missing):
                if stamp_of(file) != self._stamps[file]:
                    raise _Changed(f"{file} is not the file that was loaded.")
            with Reader() as reader:
                self._map([weight for weight in missing if weight.is_mapped], check)
                self._read([weight for weight in missing if not weight.is_mapped], reader, check)
                for file in self._files([weight for weight in self._weights if weight.is_mapped]):
                    with contextlib.suppress(FileNotFoundError):  # what is mapped stays good
                        reader.warm(file, check)
        except (_Changed, EOFError, OSError) as error:
            self._let_go(0)
            self.returns = False
            raise ModelUnavailable(
                "The weights of a model changed on disk, or vanished, since it was loaded.",
                detail=str(error),
                hint="Run it once more to load what is there now; if that fails, download the model again.",
            ) from error

    def unload(self, nbytes: int = 0) -> None:
        if self.returns:
            self._let_go(nbytes)

    def pin_host(self) -> None: ...

    def unpin_host(self) -> None: ...

    # ---- there and back -------------------------------------------------------------------------------------------

    @torch.inference_mode(False)
    @torch.no_grad()
    def _let_go(self, nbytes: int) -> None:
        left, block = self.device_bytes, None
        for weight in reversed([weight for weight in self._weights if weight.is_here]):
            if left <= nbytes and (block is None or weight.block is not block):
                block = None
            elif weight.source is not None:
                weight.let_go()
                left, block = left - weight.nbytes, weight.block

    def _map(self, weights: Sequence[Weight], check: Callable[[], None]) -> None:
        whole: dict[Path, torch.UntypedStorage] = {}
        for weight in weights:
            check()
            source = weight.source
            assert source is not None
            stamp = self._stamps[source.file]
            if source.file not in whole and stamp is not None:
                whole[source.file] = _mapped(source.file, stamp.nbytes)
            memory = whole[source.file][source.offset : source.offset + source.nbytes]
            weight.point(torch.empty(0, dtype=weight.dtype).set_(memory, 0, weight.shape, weight.stride))

    def _read(self, weights: Sequence[Weight], reader: Reader, check: Callable[[], None]) -> None:
        for batch in _batches(weights):
            check()
            ends = list(itertools.accumulate(_aligned(weight.nbytes) for weight in batch))
            memory = torch.empty(ends[-1], dtype=torch.uint8)  # asking for huge pages: 8 s of compaction once
            places = [
                memory[end - _aligned(weight.nbytes) :][: weight.nbytes].view(weight.dtype).view(weight.shape)
                for weight, end in zip(batch, ends, strict=True)
            ]
            reader.fill([(w.source, p) for w, p in zip(batch, places, strict=True) if w.source is not None])
            block = object()
            for weight, place in zip(batch, places, strict=True):
                weight.point(place, block)

    @staticmethod
    def _files(weights: Sequence[Weight]) -> list[Path]:
        return list(dict.fromkeys(weight.source.file for weight in weights if weight.source is not None))


def _aligned(nbytes: int) -> int:
    return -(-nbytes // 64) * 64  # what the allocator gives each tensor, and fast kernels like


def _batches(weights: Sequence[Weight]) -> Iterator[list[Weight]]:
    batch: list[Weight] = []
    for weight in weights:
        if batch and sum(other.nbytes for other in batch) + weight.nbytes > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(weight)
    if batch:
        yield batch


def _mapped(file: Path, nbytes: int) -> torch.UntypedStorage:
    """The whole file as private memory; changes to it stay here, as with the libraries that opened it first."""
    try:
        return torch.UntypedStorage.from_file(str(file), False, nbytes)
    except RuntimeError as error:
        raise _Changed(f"{file} could not be mapped: {str(error).splitlines()[0]}") from error
