"""Host memory in chunks: where pieces lie, what a reader may do with them, and that it goes back to the system."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.memory.weights.arena import ALIGN, Arena, Lane, Place, differ, trim_host_memory
from pipelines.runtime.device import CudaPageLock
from pipelines.runtime.device import _own_host_bytes as own_bytes


def test_pieces_lie_aligned_one_behind_the_other_and_never_across_two_chunks() -> None:
    arena = Arena([100, 513, 2000, 1, 5000, 10], chunk_bytes=2048)
    assert arena.places == [
        Place(0, 0, 100),
        Place(0, 512, 513),
        Place(1, 0, 2000),
        Place(2, 0, 1),
        Place(3, 0, 5000),  # larger than a chunk: one of its own
        Place(4, 0, 10),
    ]
    assert [chunk.nbytes for chunk in arena.chunks] == [1536, 2048, 512, 5120, 512]
    assert arena.nbytes == 9728
    assert all(chunk.data_ptr() % ALIGN == 0 for chunk in arena.chunks)


def test_a_new_chunk_begins_where_it_is_asked_for() -> None:
    assert [place.chunk for place in Arena([1, 1, 1], breaks=[2]).places] == [0, 0, 1]
    assert Arena([]).chunks == []


def test_a_file_can_be_read_straight_into_the_pieces(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(7, 3), "b": torch.arange(1000, dtype=torch.int16)}
    save_file(tensors, tmp_path / "weights.safetensors")
    from pipelines.catalog.headers import read_header

    header = read_header(tmp_path / "weights.safetensors")
    start = os.path.getsize(tmp_path / "weights.safetensors") - sum(t.nbytes for t in tensors.values())
    arena = Arena([tensors[name].nbytes for name in header])
    with open(tmp_path / "weights.safetensors", "rb") as file:
        for number, name in enumerate(header):
            file.seek(start + sum(tensors[other].nbytes for other in list(header)[:number]))
            file.readinto(memoryview(arena.piece(number).numpy()))
            read = arena.piece(number).view(tensors[name].dtype).reshape(tensors[name].shape)
            assert torch.equal(read, tensors[name])


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="reads the memory of this process from /proc"
)
def test_its_memory_goes_back_to_the_system_with_the_last_look_at_it() -> None:
    gc.collect()  # what earlier tests left must not go back in between
    trim_host_memory()
    before = own_bytes()
    arena = Arena([1 << 20] * 48, chunk_bytes=16 << 20)
    assert own_bytes() - before < 4 << 20
    for chunk in arena.chunks:
        chunk.fill_(1)
    assert own_bytes() - before > 44 << 20
    look = arena.piece(47)
    del arena, chunk
    assert 12 << 20 < own_bytes() - before < 24 << 20
    assert look.min() == 1
    del look
    assert own_bytes() - before < 4 << 20


@pytest.mark.parametrize("where", [0, 3 << 20, (4 << 20) - 4096 * 4])
def test_one_matrix_written_to_in_a_chunk_is_noticed(where: int) -> None:
    master = torch.randint(0, 255, (16 << 20,), dtype=torch.uint8)
    copy = master.clone()
    assert not differ(copy, master)
    copy.view(torch.float32)[where : where + 4096 * 4].mul_(1.001)  # 64 kB of 16 MB
    assert differ(copy, master)


class Locks:
    """A system that locks so many bytes and no more."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.locked: dict[int, int] = {}

    def lock(self, address: int, nbytes: int) -> bool:
        if sum(self.locked.values()) + nbytes > self.most_bytes:
            return False
        self.locked[address] = nbytes
        return True

    def unlock(self, address: int) -> None:
        del self.locked[address]


def test_chunks_are_page_locked_where_they_lie_and_let_go_with_the_arena() -> None:
    system = Locks(1 << 20)
    arena = Arena([700, 600], chunk_bytes=1024, page_lock=system)
    arena.pin()
    arena.pin()
    assert system.locked == {arena.chunks[0].data_ptr(): 1024, arena.chunks[1].data_ptr(): 1024}
    assert arena.pinned_bytes == 2048
    arena.unpin()
    assert (system.locked, arena.pinned_bytes) == ({}, 0)
    arena.pin()
    del arena
    assert system.locked == {}


def test_what_the_system_will_not_lock_stays_as_it_was() -> None:
    system = Locks(1500)
    arena = Arena([700, 600], chunk_bytes=1024, page_lock=system)
    arena.pin()
    assert arena.pinned_bytes == 1024
    system.most_bytes = 3000
    arena.pin()
    assert arena.pinned_bytes == 2048


def test_without_a_device_that_needs_it_nothing_is_page_locked() -> None:
    arena = Arena([1000])
    arena.pin()
    assert arena.pinned_bytes == 0
    arena.unpin()


@pytest.mark.gpu
def test_page_locked_chunks_are_copied_beside_other_work_and_let_go_again() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    arena, lane = Arena([64 << 20], page_lock=CudaPageLock()), Lane(torch.device("cuda:0"))
    arena.chunks[0].random_()
    arena.pin()
    assert arena.pinned_bytes == 64 << 20
    memory = lane.allocate(64 << 20)
    lane.wait(lane.copy(memory, arena.chunks[0]))
    lane.finish()
    assert torch.equal(memory.cpu(), arena.chunks[0])
    arena.unpin()
    assert arena.pinned_bytes == 0
