"""Where a module's tensors sit: found once, then pointed at other memory in microseconds.

A *seat* is one way of looking at some bytes (offset, dtype, shape, stride) and the tensors of the module that look that way, so
tied tensors share a seat, and views into one storage keep overlapping wherever the bytes go. A *piece* is what moves together.
Subclasses made of other tensors (`__tensor_flatten__`: most quantised weights) have their insides seated and are put together
anew around them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from pipelines.memory.weights.arena import aligned

PLAIN = (torch.Tensor, nn.Parameter, nn.Buffer)
_ABSENT_BYTES = 0xFF
"""Not a number in every floating type, an index out of range in integers."""


class Unseatable(Exception):
    """A tensor whose insides only its own `.to` knows, or that is not in host memory."""


@dataclass(slots=True, eq=False)
class Seat:
    """offset: first byte, counted from the start of the piece. Everything else as the tensors have it; stride in elements."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    tensors: list[torch.Tensor] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Wrapped:
    """A subclass of other tensors. owners: the dictionaries and names it is held under. current: the one that is there now.

    build: makes one around leaves, which are numbers of seats in the piece.
    """

    owners: list[tuple[dict[str, object], str]]
    current: torch.Tensor
    build: Callable[[Sequence[torch.Tensor]], torch.Tensor]
    leaves: list[Seat]


@dataclass(slots=True, eq=False)
class Look:
    """A piece's seats and wrapped tensors as seen in one memory."""

    plain: list[torch.Tensor]
    wrapped: list[torch.Tensor]


@dataclass(slots=True, eq=False)
class Group:
    """Tensors that must stay together: they share bytes, or are the insides of one. owners: modules that hold any of them."""

    seats: list[Seat] = field(default_factory=list)
    wrapped: list[Wrapped] = field(default_factory=list)
    owners: set[nn.Module] = field(default_factory=set)
    sources: list[tuple[int, torch.Tensor]] = field(default_factory=list)
    nbytes: int = 0


class Piece:
    """Groups laid out one behind the other; nbytes with the gaps between them."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self.seats: list[Seat] = []
        self.wrapped: list[Wrapped] = []
        self.nbytes = 0
        self._sources: list[tuple[int, torch.Tensor]] = []
        for group in groups:
            for seat in group.seats:
                seat.offset += self.nbytes
            self.seats += group.seats
            self.wrapped += group.wrapped
            self._sources += [(self.nbytes + offset, source) for offset, source in group.sources]
            self.nbytes += aligned(group.nbytes)
        self._number = {id(seat): number for number, seat in enumerate(self.seats)}

    def fill(self, memory: torch.Tensor) -> None:
        """Copy the bytes the module was loaded with into `memory` (nbytes, uint8), and forget where they came from."""
        for offset, source in self._sources:
            memory[offset : offset + len(source)].copy_(source)
        self._sources = []

    def look(self, memory: torch.Tensor, offset: int = 0) -> Look:
        """The piece as it lies in `memory` (a whole allocation, uint8) from byte `offset`."""
        typed = {dtype: memory.view(dtype) for dtype in {seat.dtype for seat in self.seats}}
        return self._look(
            typed[seat.dtype].as_strided(
                seat.shape, seat.stride, (offset + seat.offset) // seat.dtype.itemsize
            )
            for seat in self.seats
        )

    def absent(self, device: torch.device) -> Look:
        """Stand-ins for what is not on the device: right device, dtype and shape, but writing raises and reading gives NaN."""
        nothing = torch.full((16,), _ABSENT_BYTES, dtype=torch.uint8, device=device)
        return self._look(nothing.view(seat.dtype)[0].expand(seat.shape) for seat in self.seats)

    def _look(self, views: Iterable[torch.Tensor]) -> Look:
        plain = list(views)
        twins = [w.build([plain[self._number[id(leaf)]] for leaf in w.leaves]) for w in self.wrapped]
        return Look(plain, twins)

    def point(self, look: Look) -> None:
        """Make the module's tensors look there. Call it without autograd."""
        for seat, view in zip(self.seats, look.plain, strict=True):
            for tensor in seat.tensors:
                tensor.data = view
        for wrapped, twin in zip(self.wrapped, look.wrapped, strict=True):
            for owner, name in wrapped.owners:
                if owner.get(name) is wrapped.current:
                    owner[name] = twin
            wrapped.current = twin


# ---- finding them ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Use:
    """A tensor of the module: who holds it under which names, and the plain tensors it is made of."""

    tensor: torch.Tensor
    owners: list[tuple[dict[str, object], str]]
    modules: set[nn.Module]
    leaves: list[torch.Tensor]
    build: Callable[[Sequence[torch.Tensor]], torch.Tensor] | None


def held_tensors(module: nn.Module) -> list[tuple[nn.Module, dict[str, object], str, torch.Tensor]]:
    """Every parameter and buffer: the module, its dictionary, the name in it, the tensor; tied ones as often as they occur."""
    return [
        (part, tensors, name, tensor)
        for part in module.modules()
        for tensors in (part._parameters, part._buffers)
        for name, tensor in tensors.items()
        if tensor is not None
    ]


def find_groups(module: nn.Module) -> list[Group]:
    """All tensors of a module in host memory, in the order of their registration; those without memory (meta) are left alone.

    Raises Unseatable when any of them has to be moved by the module itself.
    """
    uses: dict[int, _Use] = {}
    for part, owner, name, tensor in held_tensors(module):
        if tensor.is_meta:
            continue
        if id(tensor) not in uses:
            leaves, build = _unfold(tensor)
            uses[id(tensor)] = _Use(tensor, [], set(), leaves, build)
        uses[id(tensor)].owners.append((owner, name))
        uses[id(tensor)].modules.add(part)
    found = _together(list(uses.values()))
    return [_group(members) for members in found]


def _unfold(
    tensor: torch.Tensor,
) -> tuple[list[torch.Tensor], Callable[[Sequence[torch.Tensor]], torch.Tensor] | None]:
    """The plain tensors something is made of, and what makes it of others like them (None: it is one itself)."""
    if type(tensor) in PLAIN:
        is_ordinary = tensor.layout is torch.strided and not tensor.is_quantized
        if tensor.device.type != "cpu" or not is_ordinary or tensor.is_conj() or tensor.is_neg():
            raise Unseatable
        return [tensor], None
    if not is_traceable_wrapper_subclass(tensor):
        raise Unseatable
    names, context = tensor.__tensor_flatten__()
    leaves: list[torch.Tensor] = []
    insides: list[tuple[str, int, Callable[[Sequence[torch.Tensor]], torch.Tensor] | None]] = []
    for name in names:
        own, make = _unfold(getattr(tensor, name))
        leaves += own
        insides.append((name, len(own), make))
    kind, size, stride = type(tensor), tensor.size(), tensor.stride()
    is_parameter, requires_grad = isinstance(tensor, nn.Parameter), tensor.requires_grad

    def build(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        taken, inner = 0, {}
        for name, count, make in insides:
            own = parts[taken : taken + count]
            taken += count
            inner[name] = own[0] if make is None else make(own)
        whole = kind.__tensor_unflatten__(inner, context, size, stride)
        return nn.Parameter(whole, requires_grad=requires_grad) if is_parameter else whole

    return leaves, build


def _bytes_of(tensor: torch.Tensor) -> tuple[int, int]:
    """First address and the one behind the last that the tensor can reach."""
    if not tensor.numel():
        return tensor.data_ptr(), tensor.data_ptr()
    reach = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return tensor.data_ptr(), tensor.data_ptr() + reach * tensor.dtype.itemsize


@dataclass(slots=True, eq=False)
class _Run:
    """Bytes of host memory without a gap that tensors share. members: numbers of uses, and the leaf of each."""

    first: int
    end: int
    members: list[tuple[int, torch.Tensor]]


def _together(uses: list[_Use]) -> list[list[tuple[_Run, list[_Use]]]]:
    """Runs of shared bytes, joined where one tensor needs several; in the order of first use."""
    runs: list[_Run] = []
    empty: list[_Run] = []
    every = [(*_bytes_of(leaf), number, leaf) for number, use in enumerate(uses) for leaf in use.leaves]
    for first, end, number, leaf in sorted(every, key=lambda found: found[:3]):
        if first == end:
            empty.append(_Run(first, end, [(number, leaf)]))
        elif runs and first < runs[-1].end:
            runs[-1].end = max(runs[-1].end, end)
            runs[-1].members.append((number, leaf))
        else:
            runs.append(_Run(first, end, [(number, leaf)]))
    runs += empty
    of_use: dict[int, int] = {}  # use → number of its bundle
    bundles: dict[int, list[_Run]] = {}
    for name, run in enumerate(runs):
        bundles[name] = [run]
        for number, _ in run.members:
            if (other := of_use.get(number, name)) != name and other in bundles:
                bundles[name] += bundles.pop(other)
            for joined in bundles[name]:
                for member, _ in joined.members:
                    of_use[member] = name
    ordered = sorted(bundles.values(), key=lambda bundle: min(n for run in bundle for n, _ in run.members))
    for bundle in ordered:
        bundle.sort(key=lambda run: min(n for n, _ in run.members))
    return [[(run, [uses[n] for n, _ in run.members]) for run in bundle] for bundle in ordered]


def _group(bundle: list[tuple[_Run, list[_Use]]]) -> Group:
    group = Group()
    seat_of: dict[int, Seat] = {}  # id of a leaf → its seat
    seen: dict[int, _Use] = {}
    for run, run_uses in bundle:
        start = aligned(group.nbytes)
        known: dict[tuple[object, ...], Seat] = {}
        for (_, leaf), use in zip(run.members, run_uses, strict=True):
            offset = start + leaf.data_ptr() - run.first if leaf.numel() else start
            if offset % leaf.dtype.itemsize:
                raise Unseatable
            key = (offset, leaf.dtype, tuple(leaf.shape), leaf.stride())
            if key not in known:
                known[key] = Seat(leaf.dtype, tuple(leaf.shape), leaf.stride(), offset)
                group.seats.append(known[key])
                group.sources.append((offset, _raw(leaf)))
            seat_of[id(leaf)] = known[key]
            if use.build is None:
                known[key].tensors.append(leaf)
            group.owners |= use.modules
            seen[id(use)] = use
        group.nbytes = start + max(run.end - run.first, 1)
    for use in seen.values():
        if use.build is not None:
            seats = [seat_of[id(leaf)] for leaf in use.leaves]
            group.wrapped.append(Wrapped(use.owners, use.tensor, use.build, seats))
    return group


def _raw(leaf: torch.Tensor) -> torch.Tensor:
    """The bytes a tensor reaches, whatever its strides."""
    first, end = _bytes_of(leaf)
    storage = leaf.untyped_storage()
    raw = torch.empty(0, dtype=torch.uint8)
    return raw.set_(storage, first - storage.data_ptr() if end > first else 0, (end - first,), (1,))
