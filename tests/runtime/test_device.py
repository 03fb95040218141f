"""What the studio believes about the device it runs on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from pipelines.errors import GB, InvalidRequest, readable_bytes
from pipelines.runtime import device
from pipelines.runtime.device import TorchDevice, generator
from pipelines.runtime.peak import PeakSampler


def test_the_budget_is_what_was_asked_for_but_never_more_than_there_is() -> None:
    assert TorchDevice("cpu", budget_bytes=1 << 20).most_bytes() == 1 << 20
    everything = TorchDevice("cpu", budget_bytes=1 << 60, reserve_bytes=1 << 20)
    assert everything.most_bytes() == everything.total_bytes() - (1 << 20)
    assert everything.budget_bytes() <= everything.most_bytes()
    assert TorchDevice("cpu", budget_bytes=0).most_bytes() > 1 << 30


def test_memory_a_model_takes_here_still_counts_as_ours() -> None:
    """Otherwise the budget would shrink by every model that is loaded."""
    cpu = TorchDevice("cpu")
    before = cpu.free_bytes() + cpu._own_bytes()
    ballast = torch.ones(64 << 20)  # 256 MB
    after = cpu.free_bytes() + cpu._own_bytes()
    assert cpu._own_bytes() > 200 << 20
    assert abs(after - before) < 1 << 30  # others on this machine come and go
    del ballast


def test_a_device_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        TorchDevice("cuda:7")
    assert refusal.value.message == "This machine has no device 'cuda:7'."
    assert "cpu" in refusal.value.detail


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_s_limit_counts_and_not_the_machine_s(tmp_path: Path, version: int) -> None:
    own = tmp_path / "own"
    if version == 2:
        folder, names = tmp_path / "box" / "app", ("memory.max", "memory.current", "inactive_file")
        own.write_text("0::/box/app\n")
    else:
        folder = tmp_path / "memory" / "box" / "app"
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        own.write_text("9:cpu:/box/app\n4:memory:/box/app\n")
    folder.mkdir(parents=True)
    (folder.parent / names[0]).write_text("8000\n")
    (folder.parent / names[1]).write_text("3000\n")
    (folder.parent / "memory.stat").write_text(f"anon 1\n{names[2]} 1000\n")
    (folder / names[0]).write_text("max\n" if version == 2 else "9223372036854771712\n")
    assert list(device._cgroup_limits(tmp_path, own)) == [(8000, 2000)]


def test_half_precision_is_not_used_on_the_cpu() -> None:
    assert TorchDevice("cpu").dtype() is torch.float32


def test_the_same_seed_draws_the_same_numbers() -> None:
    assert torch.equal(torch.randn(8, generator=generator(7)), torch.randn(8, generator=generator(7)))
    assert not torch.equal(torch.randn(8, generator=generator(7)), torch.randn(8, generator=generator(8)))


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"
            ),
            True,
        ),
        (
            RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
            True,
        ),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution forward"), False),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5.05 GB, other allocations: 1 GB)"), True),
        (
            RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
            True,
        ),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error: Exception, is_memory: bool) -> None:
    assert TorchDevice("cpu").is_out_of_memory(error) is is_memory


def test_bytes_are_written_as_people_read_them() -> None:
    sizes = (0, 900, 9_990, 300_000, 5_000_000, 999_700_000, 10 * GB, 61 * GB, 1_500 * GB)
    assert [readable_bytes(size) for size in sizes] == [
        "0 B", "900 B", "10 kB", "300 kB", "5.0 MB", "1.0 GB", "10 GB", "61 GB", "1.5 TB",
    ]  # fmt: skip


def test_the_most_memory_the_work_took_is_told() -> None:
    cpu = TorchDevice("cpu")
    cpu.start_peak()
    ballast = torch.ones(16 << 20)  # 64 MB
    took = cpu.peak_bytes()
    assert took is not None
    assert 60 << 20 < took < 300 << 20  # other tests' threads may allocate too
    del ballast


def test_a_peak_that_is_over_when_asked_is_told_all_the_same() -> None:
    """Between the start and the question somebody looks, and only then."""
    values, looked = [100, 700, 300], threading.Event()

    def read() -> int:
        if len(values) == 1:
            looked.set()
            return values[0]
        return values.pop(0)

    sampler = PeakSampler(read, looks_a_second=1000)
    assert sampler.stop() is None
    values[:] = [100, 700, 300]
    looked.clear()
    sampler.start()
    assert looked.wait(60)
    assert sampler.stop() == 600
    sampler.start()
    assert sampler.stop() == 0
