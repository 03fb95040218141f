"""A loaded thing's way onto a device apart from host memory, and off again.

The master copy of all weights lies in an arena in host memory. Upload copies its chunks and points the module's tensors at the
copies; unload points them back, so it moves no bytes. With less room than the whole, some chunks stay on the device and the rest
passes through a ring (`streaming.py`).

Nothing done on the device changes a master: what was written into a device copy (a fused LoRA) is gone once the component has
left. Tensors added since (an adapter) travel along and are kept.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from pipelines.memory.parts import Held
from pipelines.memory.weights.additions import Additions
from pipelines.memory.weights.arena import CHUNK_BYTES, Arena, Lane, PageLock, differ, trim_host_memory
from pipelines.memory.weights.seats import PLAIN, Group, Piece, Unseatable, find_groups, held_tensors
from pipelines.memory.weights.streaming import SLOTS, Block, Ring, find_blocks


def _go_on() -> None: ...


def hold_apart(module: nn.Module, device: torch.device, page_lock: PageLock | None = None) -> Held:
    """A module in host memory, to be lent on a device with memory of its own."""
    try:
        return Weights(module, device, page_lock=page_lock)
    except Unseatable:
        return MovedByItself(module, device)


class NoWeights:
    """Something without tensors of its own (a tokenizer): it weighs what was said and never moves."""

    nbytes: int | None = None
    least_bytes = device_bytes = host_bytes = pinned_bytes = 0
    returns = False

    def upload(self, nbytes: int | None = None, check: Callable[[], None] = _go_on) -> None: ...

    def unload(self, nbytes: int = 0) -> None: ...

    def pin_host(self) -> None: ...

    def unpin_host(self) -> None: ...


class MovedByItself:
    """A module that is moved by its own `.to`: some of its tensors have insides that only it knows (bitsandbytes, GGUF).

    Leaving the device copies the weights back, and it cannot be streamed. returns: False where host and device memory are one;
    it then stays where it is until it is dropped.
    """

    pinned_bytes = 0

    def __init__(self, module: nn.Module, device: torch.device, returns: bool = True) -> None:
        self._module, self._device, self.returns = module, device, returns
        distinct = {_identity(tensor): tensor.nbytes for *_, tensor in held_tensors(module)}
        self._bytes = sum(distinct.values())
        self.nbytes: int | None = self._bytes
        self.least_bytes = self._bytes
        self.device_bytes = 0 if returns else self._bytes
        self.host_bytes = self._bytes if returns else 0

    def upload(self, nbytes: int | None = None, check: Callable[[], None] = _go_on) -> None:
        check()
        self._module.to(self._device)
        self.device_bytes, self.host_bytes = self._bytes, 0

    def unload(self, nbytes: int = 0) -> None:
        if self.returns:
            self._module.to("cpu")
            self.device_bytes, self.host_bytes = 0, self._bytes

    def pin_host(self) -> None: ...

    def unpin_host(self) -> None: ...


class Weights:
    """All parameters and buffers of a module, each distinct tensor once, tied ones still tied; see `Held`.

    module: in host memory; its tensors become views of the arena, chunk by chunk, so that at most one chunk is held twice.
    chunk_bytes: most bytes per chunk, unless one tensor or block is larger. nbytes: bytes on the device when all of it is there,
    with up to 511 of alignment per tensor. Raises Unseatable for tensors that only their module can move.

    Chunks that are not needed by blocks first, then those of the blocks, spread evenly over the module: what stays on the device
    is interleaved with what is streamed, so that copying goes on while the resident blocks compute.
    """

    returns = True

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(
        self,
        module: nn.Module,
        device: torch.device,
        chunk_bytes: int = CHUNK_BYTES,
        page_lock: PageLock | None = None,
    ) -> None:
        self._module, self._device = module, device
        self._lane = Lane(device)
        groups = find_groups(module)
        blocks, stay, in_block = _divide(module, groups)
        pieces = [Piece(part) for part in _parcels(stay, chunk_bytes)]
        first_block = len(pieces)
        pieces += [Piece(in_block[block]) for block in blocks]
        del groups, stay, in_block
        self._arena = Arena([piece.nbytes for piece in pieces], chunk_bytes, [first_block], page_lock)
        self._pieces: list[list[tuple[Piece, int]]] = [[] for _ in self._arena.chunks]  # and their offsets
        self._blocks: dict[int, list[Block]] = {}  # by chunk
        self._host_looks = []
        for number, piece in enumerate(pieces):
            place = self._arena.places[number]
            if place.chunk and not place.offset:
                trim_host_memory()  # else the C library keeps what was let go, and the model is there twice
            piece.fill(self._arena.piece(number))
            look = piece.look(self._arena.chunks[place.chunk], place.offset)
            piece.point(look)
            self._host_looks.append((piece, look))
            self._pieces[place.chunk].append((piece, place.offset))
            if number >= first_block:
                block = Block(blocks[number - first_block], piece, self._arena.piece(number))
                self._blocks.setdefault(place.chunk, []).append(block)
        self._order = [n for n in range(len(self._arena.chunks)) if n not in self._blocks]
        self._order += _spread(sorted(self._blocks))
        self._there: dict[int, torch.Tensor] = {}
        self._ring: Ring | None = None
        self._own = {id(t) for piece in pieces for seat in piece.seats for t in seat.tensors}
        self._additions = Additions(module, device)
        self._wrapped = [wrapped for piece in pieces for wrapped in piece.wrapped]
        self.nbytes: int | None = self._arena.nbytes

    # ---- bytes ----------------------------------------------------------------------------------------------------

    @property
    def least_bytes(self) -> int:
        staying = sum(self._arena.chunks[n].nbytes for n in self._order if n not in self._blocks)
        least = staying + self._ring_bytes + self._additions.nbytes
        return least if self._blocks and least < (self.nbytes or 0) else self.nbytes or 0

    @property
    def device_bytes(self) -> int:
        ring = self._ring.nbytes if self._ring is not None else 0
        return sum(chunk.nbytes for chunk in self._there.values()) + ring + self._additions.device_bytes

    @property
    def host_bytes(self) -> int:
        return self._arena.nbytes + self._additions.host_bytes

    @property
    def pinned_bytes(self) -> int:
        return self._arena.pinned_bytes

    @property
    def _ring_bytes(self) -> int:
        return SLOTS * max((b.piece.nbytes for found in self._blocks.values() for b in found), default=0)

    # ---- on and off -----------------------------------------------------------------------------------------------

    @torch.inference_mode(False)
    @torch.no_grad()
    def upload(self, nbytes: int | None = None, check: Callable[[], None] = _go_on) -> None:
        """Bring chunks until all are there, or `nbytes` device bytes are used and the rest is streamed.

        Chunks that were there are used again, unless someone has written to one of them: then all are copied anew. Raises
        ValueError below `least_bytes`, and what `check` or the device raises; the module is then back in host memory.
        """
        self._rest()
        self._see_added()
        chosen, is_whole = self._choose(nbytes)
        for number in [n for n in self._there if n not in chosen]:
            del self._there[number]
        if any(differ(chunk, self._arena.chunks[number]) for number, chunk in self._there.items()):
            self._there.clear()
        try:
            self._copy([number for number in chosen if number not in self._there], check)
            self._additions.carry()
            if not is_whole:
                streamed = [b for n, found in sorted(self._blocks.items()) if n not in chosen for b in found]
                self._ring = Ring(streamed, self._lane)
            for number in chosen:
                for piece, offset in self._pieces[number]:
                    piece.point(piece.look(self._there[number], offset))
            if self._ring is not None:
                self._ring.start()
        except BaseException:
            self._rest()
            raise

    @torch.inference_mode(False)
    @torch.no_grad()
    def unload(self, nbytes: int = 0) -> None:
        """Point everything back at host memory and drop chunks from the tail until at most `nbytes` are on the device."""
        self._see_added()
        self._rest()
        for number in reversed(self._order):
            if self.device_bytes <= nbytes:
                break
            self._there.pop(number, None)

    def _rest(self) -> None:
        """Host memory is what the module uses, whatever it used before; the chunks on the device stay."""
        if self._ring is not None:
            self._ring.stop()
            self._ring = None
        for piece, look in self._host_looks:
            piece.point(look)
        self._additions.bring_back()

    def _see_added(self) -> None:
        self._additions.see(self._own | {id(wrapped.current) for wrapped in self._wrapped})
        self.nbytes = self._arena.nbytes + self._additions.nbytes

    def _choose(self, nbytes: int | None) -> tuple[list[int], bool]:
        """Numbers of the chunks to have on the device, and whether that is all of them."""
        if nbytes is None or nbytes >= (self.nbytes or 0):
            return self._order, True
        if nbytes < self.least_bytes:
            raise ValueError(f"{nbytes} bytes are too few: {self.least_bytes} are needed to stream it")
        chosen = [number for number in self._order if number not in self._blocks]
        room = nbytes - self.least_bytes
        for number in self._order[len(chosen) :]:
            if self._arena.chunks[number].nbytes <= room:
                room -= self._arena.chunks[number].nbytes
                chosen.append(number)
        return chosen, False

    def _copy(self, numbers: list[int], check: Callable[[], None]) -> None:
        """Chunks to the device, two under way at a time; those that arrived stay when it ends early."""
        under_way = None
        try:
            for number in numbers:
                check()
                memory = self._lane.allocate(self._arena.chunks[number].nbytes)
                event = self._lane.copy(memory, self._arena.chunks[number])
                self._there[number] = memory
                if under_way is not None:
                    under_way.synchronize()
                under_way = event
        finally:
            self._lane.finish()

    # ---- page-locking ---------------------------------------------------------------------------------------------

    def pin_host(self) -> None:
        self._arena.pin()

    def unpin_host(self) -> None:
        self._lane.finish()
        self._arena.unpin()


def _divide(
    module: nn.Module, groups: list[Group]
) -> tuple[list[nn.Module], list[Group], dict[nn.Module, list[Group]]]:
    """(blocks that have groups of their own, groups that always stay, groups of each block)."""
    weights: dict[nn.Module, int] = {}
    for group in groups:
        if len(group.owners) == 1:
            weights[next(iter(group.owners))] = weights.get(next(iter(group.owners)), 0) + group.nbytes
    blocks = find_blocks(module, weights, sum(group.nbytes for group in groups))
    block_of = {part: block for block in blocks for part in block.modules()}
    in_block: dict[nn.Module, list[Group]] = {}
    stay: list[Group] = []
    for group in groups:
        owning = {block_of.get(owner) for owner in group.owners}
        block = owning.pop() if len(owning) == 1 else None
        (stay if block is None else in_block.setdefault(block, [])).append(group)
    return [block for block in blocks if block in in_block], stay, in_block


def _parcels(groups: list[Group], most_bytes: int) -> list[list[Group]]:
    """Neighbours joined until a chunk is full."""
    parcels: list[list[Group]] = []
    room = 0
    for group in groups:
        if not parcels or group.nbytes > room:
            parcels.append([])
            room = most_bytes
        parcels[-1].append(group)
        room -= -(-group.nbytes // 512) * 512
    return parcels


def _spread(numbers: list[int]) -> list[int]:
    """The same numbers, so that every first part of them is spread evenly over all: with their bits in reverse."""
    width = max(len(numbers) - 1, 1).bit_length()
    return [n for _, n in sorted((int(f"{i:0{width}b}"[::-1], 2), n) for i, n in enumerate(numbers))]


def _identity(tensor: torch.Tensor) -> tuple[object, ...]:
    """Equal for two tensors that are the same bytes seen the same way."""
    if type(tensor) not in PLAIN or tensor.is_meta or tensor.numel() == 0:
        return (id(tensor),)
    return (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
