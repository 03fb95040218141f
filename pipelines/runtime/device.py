"""The one place that asks torch about a device: how much memory, which dtype, how to seed it.

`TorchDevice` is the `Device` the memory manager lends on: CUDA, ROCm, XPU, Apple's MPS, or the CPU with a byte budget.
Containers are believed: on the CPU the limit of the cgroup counts, not the size of the machine.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil
import torch

from pipelines.errors import GB, InvalidRequest
from pipelines.memory.parts import Held
from pipelines.memory.weights.apart import NoWeights, hold_apart
from pipelines.memory.weights.arena import trim_host_memory
from pipelines.memory.weights.mapped import hold_unified
from pipelines.runtime.peak import PeakSampler

log = logging.getLogger(__name__)

CUDA_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation, hipErrorOutOfMemory
OUT_OF_MEMORY = re.compile(
    "out of memory"  # CUDA, HIP, MPS, XPU, the driver
    "|can't allocate memory"  # torch's CPU allocator
    "|not enough memory"  # the same on Windows
    "|could not (create|execute) a primitive$"  # oneDNN, seen when nothing was left for its scratch space
    "|bad.alloc"  # C++
    "|alloc_failed"  # cuBLAS, cuDNN
    "|out_of_(device|host)_memory"  # Level Zero, through XPU
    "|failed to allocate",
    re.IGNORECASE | re.MULTILINE,
)


class TorchDevice:
    """A torch device with a byte budget.

    name: "auto" (the fastest there is), "cpu", "cuda", "cuda:1", "mps", "xpu". budget_bytes: the most models may use, None or 0
    for all of it. reserve_bytes: what is always left to other programs; None for a tenth, at most 1 GB.
    host_budget_bytes: RAM for copies of models that left the device, None or 0 for six tenths of it.
    unified: treat host and device memory as one; None to find out. Raises InvalidRequest when there is no such device.
    """

    def __init__(
        self,
        name: str = "auto",
        budget_bytes: int | None = None,
        reserve_bytes: int | None = None,
        host_budget_bytes: int | None = None,
        unified: bool | None = None,
    ) -> None:
        self.handle = _find(name)
        self.kind: str = self.handle.type
        self.name = str(self.handle)
        self.unified = _is_unified(self.handle) if unified is None else unified
        self.streams = not self.unified
        self._cap = budget_bytes or None
        self._host_cap = host_budget_bytes or None
        total = self.total_bytes()
        self._reserve = min(GB, total // 10) if reserve_bytes is None else reserve_bytes
        self._own_at_start = _own_host_bytes()
        self._used_at_start: int | None = None
        self._sampler = {"cpu": _host_sampler, "mps": _mps_sampler}.get(self.kind, lambda: None)()

    # ---- memory ---------------------------------------------------------------------------------------------------

    def total_bytes(self) -> int:
        """Memory of the device, as large as this process may ever see it."""
        if self.kind == "cpu":
            return _host_limits()[0]
        if self.kind == "mps":
            return int(torch.mps.recommended_max_memory())
        return int(torch.accelerator.get_memory_info(self.handle)[1])

    def free_bytes(self) -> int:
        """Memory nobody uses now; what this process has cached counts as used."""
        if self.kind == "cpu":
            return _host_limits()[1]
        if self.kind == "mps":
            return max(0, self.total_bytes() - int(torch.mps.driver_allocated_memory()))
        return int(torch.accelerator.get_memory_info(self.handle)[0])

    def most_bytes(self) -> int:
        most = max(0, self.total_bytes() - self._reserve)
        return most if self._cap is None else min(self._cap, most)

    def budget_bytes(self) -> int:
        """What models may use now: free memory and what this process already holds, less the reserve, at most the budget."""
        available = self.free_bytes() + self._own_bytes() - self._reserve
        return max(0, min(self.most_bytes(), available))

    def host_budget_bytes(self) -> int:
        return self._host_cap or int(0.6 * _host_limits()[0])

    def pinned_budget_bytes(self) -> int:
        """Four tenths of host memory may be page-locked for a CUDA device, nothing elsewhere."""
        return int(0.4 * _host_limits()[0]) if self.kind == "cuda" and not self.unified else 0

    def _own_bytes(self) -> int:
        """Bytes of the device that models of this process hold, cached ones included."""
        if self.kind == "cpu":
            return max(0, _own_host_bytes() - self._own_at_start)
        if self.kind == "mps":
            return int(torch.mps.driver_allocated_memory())
        return int(torch.accelerator.memory_reserved(self.handle))

    def hold(self, thing: object) -> Held:
        if not isinstance(thing, torch.nn.Module):
            return NoWeights()
        if self.unified:
            return hold_unified(thing, self.handle)
        return hold_apart(thing, self.handle, CudaPageLock() if self.kind == "cuda" else None)

    def settle(self) -> None:
        """Give back what the C library keeps of a CPU's work (0.4 GB after a picture); a GPU's cache is kept for the next."""
        if self.kind == "cpu":
            trim_host_memory()

    def empty_cache(self) -> None:
        """Hand freed memory back: the driver's cache, and what the C library keeps of freed host memory."""
        if self.kind != "cpu":
            torch.accelerator.empty_cache()
        trim_host_memory()

    def is_out_of_memory(self, error: BaseException) -> bool:
        return is_out_of_memory(error)

    def start_peak(self) -> None:
        """Begin to watch how many bytes the work takes, in the whole process. Costs the CPU 1 ms, a driver some microseconds."""
        if self._sampler is not None:
            if self.kind == "cpu":
                trim_host_memory()  # or what an earlier run gave back would be taken again unseen
            self._sampler.start()
        else:
            torch.accelerator.reset_peak_memory_stats(self.handle)
            self._used_at_start = int(torch.accelerator.memory_allocated(self.handle))

    def peak_bytes(self) -> int | None:
        """The most bytes in use since `start_peak`, beyond those in use then; None when that was never called.

        torch counts them on CUDA, ROCm and XPU; elsewhere somebody looks twenty times a second and may miss the very top.
        """
        if self._sampler is not None:
            return self._sampler.stop()
        if self._used_at_start is None:
            return None
        return max(0, int(torch.accelerator.max_memory_allocated(self.handle)) - self._used_at_start)

    # ---- numbers and seeds ----------------------------------------------------------------------------------------

    def dtype(self) -> torch.dtype:
        """The dtype models run in here. float32 on the CPU, where half precision was measured ~60 times slower."""
        if self.kind == "cpu":
            return torch.float32
        if self.kind == "mps":
            return torch.float16
        if self.kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.float16
        return torch.bfloat16

    def describe(self) -> str:
        """What people call it: "NVIDIA GeForce RTX 4090", "CPU, 8 threads"."""
        if self.kind in ("cuda", "xpu"):
            return str(getattr(torch, self.kind).get_device_name(self.handle))
        if self.kind == "mps":
            return "Apple GPU"
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'s' if threads != 1 else ''}"

    def synchronize(self) -> None:
        """Wait until the device has done what it was given; for measuring time."""
        if self.kind != "cpu":
            torch.accelerator.synchronize(self.handle)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host says that memory ran out; each backend and library has words of its own for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, torch.AcceleratorError) and getattr(error, "error_code", None) == CUDA_OUT_OF_MEMORY:
        return True
    return isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error)) is not None


class CudaPageLock:
    """Page-locks host memory for CUDA and ROCm devices where it lies."""

    def lock(self, address: int, nbytes: int) -> bool:
        try:
            code = int(torch.cuda.cudart().cudaHostRegister(address, nbytes, 0))
        except RuntimeError as error:
            log.info("host memory could not be page-locked: %s", error)
            return False
        if code:
            log.info("host memory could not be page-locked (CUDA error %d)", code)
            with contextlib.suppress(RuntimeError):
                torch.zeros(1, device="cuda")  # takes the error off the thread; a kernel would report it
        return not code

    def unlock(self, address: int) -> None:
        torch.cuda.cudart().cudaHostUnregister(address)


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU: the same seed draws the same numbers whatever the device."""
    return torch.Generator("cpu").manual_seed(seed)


def _find(name: str) -> torch.device:
    wanted = name.strip().lower() or "auto"
    if wanted == "auto":
        return torch.accelerator.current_accelerator() or torch.device("cpu")
    present = [f"{kind}:{i}" for kind in ("cuda", "xpu") for i in range(getattr(torch, kind).device_count())]
    present += ["mps"] if torch.backends.mps.is_available() else []
    present += ["cpu"]
    for candidate in present:
        if wanted in (candidate, candidate.split(":")[0]):
            return torch.device(candidate)
    raise InvalidRequest(
        f"This machine has no device {name!r}.",
        field="device",
        detail=f"It has {', '.join(present)}.",
        hint="Start with --device auto, or install the torch build for this device.",
    )


def _is_unified(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))
    return device.type in ("cpu", "mps")


@cache
def _host_sampler() -> PeakSampler:
    """One for the process: it watches the process."""
    return PeakSampler(_own_host_bytes)


@cache
def _mps_sampler() -> PeakSampler:
    return PeakSampler(lambda: int(torch.mps.driver_allocated_memory()))


def _own_host_bytes() -> int:
    """Private memory of this process; pages of mapped files are not counted, the system can take them back."""
    status = Path("/proc/self/status")
    if not status.exists():
        return int(psutil.Process().memory_info().rss)
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return sum(int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssShmem") if name in fields)


def _host_limits() -> tuple[int, int]:
    """(total, available) bytes of host memory for this process, the narrowest of machine and cgroups."""
    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    for limit, used in _cgroup_limits():
        if limit < total:
            total = limit
        available = min(available, max(0, limit - used))
    return total, available


def _cgroup_limits(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[tuple[int, int]]:
    """(limit, used) of each cgroup above this process that has a memory limit, versions 2 and 1."""
    try:
        lines = [line.strip().split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers == "":
            base, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        folder = base / path.strip("/")
        while True:
            if (found := _read_cgroup(folder, *names)) is not None:
                yield found
            if folder == base or base not in folder.parents:
                break
            folder = folder.parent


def _read_cgroup(folder: Path, limit: str, used: str, reclaimable: str) -> tuple[int, int] | None:
    try:
        most = (folder / limit).read_text().strip()
        if most == "max" or int(most) >= 1 << 60:
            return None
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(most), max(0, int((folder / used).read_text()) - int(stat.get(reclaimable, 0)))
    except (OSError, ValueError):
        return None
