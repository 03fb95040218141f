"""A module larger than the room it has: the rest of it passes through a few slots on the device, block by block.

A *block* is an element of a list of modules (a transformer layer, a resnet of a UNet), because a list only ever calls its
elements. Hooks bring a block into a slot before it runs and the one that followed it last time into the next slot, beside the
computing. Between its runs a block's tensors point at stand-ins: reading them gives NaN and writing raises, so a use that no hook
has seen is heard of. What a module reads without calling its owner (embeddings, a tied head, codebooks) is in no block and stays.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from pipelines.memory.weights.arena import Lane
from pipelines.memory.weights.seats import Look, Piece

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

SLOTS = 2
"""One computes while the other is filled."""
LARGEST_SHARE = 16
"""A block above a sixteenth of the whole is taken apart if four fifths of it are in lists of its own."""
SMALLEST_SHARE = 1024
"""What is smaller than this share of the whole stays: a hook and a copy cost more than the bytes are worth."""


def find_blocks(module: nn.Module, weights: dict[nn.Module, int], total: int) -> list[nn.Module]:
    """Modules that can come and go on their own, none inside another, in the order of registration.

    weights: bytes each module holds itself, without its children. total: bytes of all.
    """
    blocks: list[nn.Module] = []

    def bytes_in(part: nn.Module) -> int:
        return sum(weights.get(inner, 0) for inner in part.modules())

    def bytes_in_lists(part: nn.Module) -> int:
        if isinstance(part, nn.ModuleList):
            return bytes_in(part)
        return sum(bytes_in_lists(child) for child in part.children())

    def visit(part: nn.Module, in_list: bool) -> None:
        nbytes = bytes_in(part)
        if nbytes * SMALLEST_SHARE < total or isinstance(part, torch.jit.ScriptModule):
            return
        is_list = isinstance(part, nn.ModuleList | nn.Sequential)
        is_called = type(part).forward is not nn.Module.forward and not isinstance(part, nn.Sequential)
        comes_apart = nbytes * LARGEST_SHARE > total and bytes_in_lists(part) * 5 >= nbytes * 4
        if in_list and is_called and not comes_apart:
            blocks.append(part)
            return
        for child in part.children():
            visit(child, is_list)

    visit(module, False)
    return list(dict.fromkeys(blocks))


@dataclass(eq=False)
class Block:
    """source: its bytes in host memory. away: its stand-ins. inside: how many calls are in it now, of whatever thread."""

    module: nn.Module
    piece: Piece
    source: torch.Tensor
    away: Look | None = None
    inside: int = 0
    slot: Slot | None = None
    looks: dict[int, Look] = field(default_factory=dict)


@dataclass(eq=False)
class Slot:
    """Device memory for one block. ready: event behind the copy. used: event behind the work that reads it, by thread."""

    number: int
    memory: torch.Tensor
    block: Block | None = None
    ready: torch.Event | None = None
    used: dict[int, torch.Event | None] = field(default_factory=dict)
    turn: int = 0


class Ring:
    """The slots and the hooks of a module that is being streamed.

    blocks: those that come and go. Several threads may run the module: a block stays as long as any of them is in it, and when
    all slots are taken that way, one more is made until it is free again.
    """

    def __init__(self, blocks: Sequence[Block], lane: Lane, slots: int = SLOTS) -> None:
        self._blocks, self._lane = blocks, lane
        largest = max(block.piece.nbytes for block in blocks)
        self._slots = [Slot(number, lane.allocate(largest)) for number in range(slots)]
        self.nbytes = slots * largest
        self._next = dict(zip(blocks, [*blocks[1:], blocks[0]], strict=True))
        self._last: Block | None = None
        self._turn = 0
        self._lock = threading.Lock()
        self._hooks: list[RemovableHandle] = []

    def start(self) -> None:
        """Point the blocks at their stand-ins and hook them up; call it without autograd."""
        for block in self._blocks:
            block.inside, block.slot = 0, None
            block.looks.clear()
            block.away = block.away or block.piece.absent(self._lane.device)
            block.piece.point(block.away)
            # a method other than forward may call a block's insides past it, so they are hooked as well
            owners = [m for m in block.module.modules() if m is block.module or m._parameters or m._buffers]
            for part in owners:
                enter = part.register_forward_pre_hook(
                    lambda *_, block=block: self._enter(block), prepend=True
                )
                leave = part.register_forward_hook(
                    lambda *_, block=block: self._leave(block), always_call=True
                )
                self._hooks += [enter, leave]

    def stop(self) -> None:
        """Take the hooks off and let the slots go once nothing is on its way to them. The tensors still point where they did."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._lane.finish()
        for block in self._blocks:
            block.looks.clear()
            block.slot = None
        self._slots = []

    @torch.inference_mode(False)
    @torch.no_grad()
    def _enter(self, block: Block) -> None:
        with self._lock:
            if block.inside == 0:
                slot = block.slot or self._fetch(block)
                if slot.number not in block.looks:
                    block.looks[slot.number] = block.piece.look(slot.memory)
                block.piece.point(block.looks[slot.number])
            assert block.slot is not None
            block.inside += 1
            self._lane.wait(block.slot.ready)
            if self._last is not block:
                self._foresee(block)

    @torch.inference_mode(False)
    @torch.no_grad()
    def _leave(self, block: Block) -> None:
        with self._lock:
            slot = block.slot
            if block.inside == 0 or slot is None:  # it never came in
                return
            block.inside -= 1
            slot.used[threading.get_ident()] = self._lane.mark()
            if block.inside or block.away is None:
                return
            block.piece.point(block.away)
            if slot not in self._slots:  # made for the moment
                block.slot = None
                block.looks.pop(slot.number)

    def _foresee(self, block: Block) -> None:
        """Note the order, and bring what came next last time into a free slot."""
        if self._last is not None:
            self._next[self._last] = block
        self._last = block
        after = self._next[block]
        if after.slot is None and any(self._is_free(slot) for slot in self._slots):
            self._fetch(after)

    def _fetch(self, block: Block) -> Slot:
        """Start copying a block into the free slot that was filled longest ago."""
        free = [slot for slot in self._slots if self._is_free(slot)]
        slot = (
            min(free, key=lambda each: each.turn)
            if free
            else Slot(-1 - self._turn, self._lane.allocate(block.piece.nbytes))
        )
        if slot.block is not None:
            slot.block.slot = None
        used, slot.used = slot.used, {}
        slot.block = None
        slot.ready = self._lane.copy(slot.memory[: block.piece.nbytes], block.source, after=used.values())
        self._turn += 1
        slot.block, block.slot, slot.turn = block, slot, self._turn
        return slot

    @staticmethod
    def _is_free(slot: Slot) -> bool:
        return slot.block is None or slot.block.inside == 0
