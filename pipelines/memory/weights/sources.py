"""Where a module's weights lie on disk: by address where they are mapped, else found again among the tensors of its files.

A source is only named when fetching it gives the very bits the module holds.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from pipelines.memory.weights.file_reader import Reader, Stored

HEAD, MAX_CANDIDATES = 64, 8
SMAPS = Path("/proc/self/smaps")


@dataclass(slots=True, eq=False)
class Weight:
    """Numbers of the module, seen one way. tensors: all that see them so (tied ones); source: where they come back from.

    block: what it shares its memory with, which is free only once all of them have left; None for memory of its own.
    """

    tensors: list[torch.Tensor]
    names: list[str]
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    nbytes: int
    source: Stored | None = None
    block: object = None
    is_here: bool = True

    @property
    def is_mapped(self) -> bool:
        return self.source is not None and self.source.dtype == self.dtype

    def point(self, data: torch.Tensor, block: object = None) -> None:
        for tensor in self.tensors:
            tensor.data = data
        self.block, self.is_here = block, True

    def let_go(self) -> None:
        for tensor in self.tensors:
            tensor.data = torch.empty(0, dtype=self.dtype)
        self.is_here = False


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file is still the one it was."""

    nbytes: int
    mtime_ns: int
    inode: int


def weights_of(module: nn.Module) -> list[Weight]:
    found: dict[tuple[object, ...], Weight] = {}
    for prefix, part in module.named_modules():
        for name, tensor in (*part._parameters.items(), *part._buffers.items()):
            if tensor is None or tensor.is_meta:
                continue
            shape, stride = tuple(tensor.shape), tuple(tensor.stride())
            key = (tensor.data_ptr() if tensor.numel() else id(tensor), tensor.dtype, shape, stride)
            if key not in found:
                found[key] = Weight([], [], tensor.dtype, shape, stride, tensor.nbytes)
            if all(tensor is not other for other in found[key].tensors):
                found[key].tensors.append(tensor)
            found[key].names.append(f"{prefix}.{name}" if prefix else name)
    return list(found.values())


@dataclass(slots=True)
class _Mapping:
    """A file this process has mapped. written: some of its pages are no longer the file's."""

    first: int
    end: int
    offset: int
    inode: int
    file: Path
    written: bool = False


def find_sources(weights: Sequence[Weight], stored: Sequence[Stored]) -> None:
    """By address where a weight lies in a mapped file, else among `stored` by how it begins; never without the bits agreeing."""
    mappings = _mappings()
    doubtful: list[tuple[Weight, Stored]] = []
    for weight in weights:
        found = _lies_in(weight, mappings)
        if found is not None and not found[1]:
            weight.source = found[0]
        elif found is not None and weight.tensors[0].is_contiguous():
            doubtful.append((weight, found[0]))
    with Reader() as reader:
        _accept(doubtful, reader)
        left = [weight for weight in weights if weight.source is None]
        candidates = [(weight, iter(found)) for weight, found in _look_alikes(left, stored, reader)]
        for _ in range(MAX_CANDIDATES):
            _accept([(w, one) for w, rest in candidates for one in itertools.islice(rest, 1)], reader)
            candidates = [(w, rest) for w, rest in candidates if w.source is None]


def _look_alikes(
    weights: Sequence[Weight], stored: Sequence[Stored], reader: Reader
) -> Iterator[tuple[Weight, list[Stored]]]:
    """For each weight the stored tensors of as many numbers that begin alike; one of its own name first."""
    weights = [weight for weight in weights if weight.nbytes and weight.tensors[0].is_contiguous()]
    for dtype in {weight.dtype for weight in weights}:
        mine = [weight for weight in weights if weight.dtype == dtype]
        sizes = {weight.tensors[0].numel() for weight in mine}
        fitting = [one for one in stored if one.numel in sizes]
        heads = [torch.empty(min(one.numel, HEAD), dtype=dtype) for one in fitting]
        with contextlib.suppress(OSError, EOFError):
            reader.fill(
                [(replace(one, numel=len(head)), head) for one, head in zip(fitting, heads, strict=True)]
            )
        begins: dict[tuple[int, bytes], list[Stored]] = {}
        for one, head in zip(fitting, heads, strict=True):
            begins.setdefault((one.numel, _raw(head)), []).append(one)
        for weight in mine:
            numbers = weight.tensors[0].detach().view(-1)
            found = begins.get((numbers.numel(), _raw(numbers[:HEAD])), [])
            own = [one for one in found if one.name in weight.names]
            yield weight, own + [one for one in found if one not in own]


def _raw(numbers: torch.Tensor) -> bytes:
    return numbers.view(torch.uint8).numpy().tobytes()


def _accept(pairs: Sequence[tuple[Weight, Stored]], reader: Reader) -> None:
    try:
        same = reader.same([(one, weight.tensors[0].detach()) for weight, one in pairs])
    except (OSError, EOFError):  # replaced a moment ago: what was loaded is good all the same
        return
    for (weight, one), is_same in zip(pairs, same, strict=True):
        if is_same:
            weight.source = one


def _lies_in(weight: Weight, mappings: Sequence[_Mapping]) -> tuple[Stored, bool] | None:
    """The bytes of a mapped file a weight is, and whether they may have been written to."""
    tensor = weight.tensors[0]
    if not weight.nbytes or any(step < 0 for step in weight.stride):
        return None
    numel = 1 + sum((size - 1) * step for size, step in zip(weight.shape, weight.stride, strict=True))
    first = tensor.data_ptr()
    number = bisect.bisect_right(mappings, first, key=lambda mapping: mapping.first) - 1
    if number < 0 or first + numel * weight.dtype.itemsize > mappings[number].end:
        return None
    mapping = mappings[number]
    stamp = stamp_of(mapping.file)
    if stamp is None or stamp.inode != mapping.inode:
        return None  # deleted or replaced since
    offset = mapping.offset + first - mapping.first
    return Stored(weight.names[0], mapping.file, offset, weight.dtype, numel), mapping.written


def _mappings(smaps: Path = SMAPS) -> list[_Mapping]:
    """Files this process has mapped, by address; none where the system does not tell. The hub's cache gives them no suffix."""
    found: list[_Mapping] = []
    try:
        lines = smaps.read_text(errors="replace").splitlines()
    except OSError:
        return []
    current: _Mapping | None = None
    for line in lines:
        if head := re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ (\d+)\s*(.*)", line):
            first, end, offset = (int(head[n], 16) for n in (1, 2, 3))
            current = _Mapping(first, end, offset, int(head[4]), Path(head[5]))
            if current.inode:
                found.append(current)
        elif current is not None and line.startswith("Anonymous:"):
            current.written = line.split()[1] != "0"
    return sorted(found, key=lambda mapping: mapping.first)


def stamp_of(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)
