"""A thousand swaps of real modules on the CPU: the same bits, tied weights tied, and memory that does not grow."""

from __future__ import annotations

import gc
import hashlib
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch
from torch import nn

from pipelines.memory import Component, MemoryManager
from pipelines.runtime.device import TorchDevice
from tests.bench.report import Report

SWAPS, MIB = 1_000, 1 << 20
SMALL = {"swaps": 160, "width": 32}
MOST_GROWTH = 16 * MIB


class Tied(nn.Module):
    """A language model's shape: the head is the embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(4000, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(12))
        self.head = nn.Linear(width, 4000, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


def tell(report: Report, swaps: int = SWAPS, width: int = 256) -> None:
    """For each kind of memory what a swap takes, beside reading the module from its file; and that nothing changes or grows."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        done = [
            _swap(name, unified, Path(folder), swaps, width)
            for name, unified in (("device of its own", False), ("one memory", True))
        ]
        anew = [_ms(lambda: _open(Path(folder, "one.safetensors"), width)) for _ in range(9)]
        report.figure(f"a module {width} wide from its file anew (baseline)", anew, unit="ms")
    for each in done:
        report.figure(f"a swap, {each.name}", each.times, anew, unit="ms")
    for each in done:
        each.tell(report, swaps)


@dataclass
class Swapped:
    """times: milliseconds. resident: bytes of this process, every 20 swaps."""

    name: str
    loads: int = 0
    is_same: bool = True
    is_tied: bool = True
    times: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def tell(self, report: Report, swaps: int) -> None:
        settled = self.resident[5:]  # the first hundred fill caches that everyone fills once
        growth = (settled[-1] - settled[0]) / MIB
        slope, margin = _slope([value / 1024 / 20 for value in settled])  # a step of the series is 20 swaps
        name = f"{self.name}, {swaps:,} swaps"
        report.bar(f"{name}: bits", "identical", "identical" if self.is_same else "CHANGED", self.is_same)
        report.bar(f"{name}: tied weights", "tied", "tied" if self.is_tied else "NO LONGER", self.is_tied)
        allowed, grown = (
            f"{MOST_GROWTH // MIB} MiB",
            f"{growth:+.1f} MiB, {slope:+.3f} ± {margin:.3f} KiB a swap",
        )
        report.bar(
            f"{name}: memory, first to last, and its slope", allowed, grown, growth * MIB <= MOST_GROWTH
        )
        report.bar(f"{name}: loads", "2", str(self.loads), self.loads == 2)


def _swap(name: str, unified: bool, folder: Path, swaps: int, width: int) -> Swapped:
    done = Swapped(name)

    def component(key: str, seed: int) -> Component:
        file = folder / f"{key}.safetensors"
        torch.manual_seed(seed)
        made = Tied(width).requires_grad_(False)
        if not file.exists():
            _save(made, file)

        def load() -> nn.Module:
            done.loads += 1
            return _open(file, width)

        nbytes = sum(tensor.nbytes for tensor in made.parameters())
        return Component(key, load, nbytes)

    parts = [component("one", 1), component("two", 2)]
    room = max(part.nbytes for part in parts) * 7 // 6
    device = TorchDevice("cpu", budget_bytes=room, reserve_bytes=0, unified=unified)
    manager = MemoryManager(device, prefetch=False)
    before: dict[str, str] = {}
    words = torch.arange(8)
    with torch.no_grad():
        for swap in range(swaps):
            part = parts[swap % 2]
            started = time.perf_counter()
            with manager.lease([part]) as lease:
                module = lease[part]
                done.times.append((time.perf_counter() - started) * 1000)
                digest = _digest(module) + hashlib.sha256(module(words).numpy().tobytes()).hexdigest()
                done.is_same &= before.setdefault(part.key, digest) == digest
                done.is_tied &= module.head.weight.data_ptr() == module.embed.weight.data_ptr()
                assert manager.snapshot()["committed_bytes"] <= room
            del module
            if swap % 20 == 19:
                gc.collect()
                done.resident.append(psutil.Process().memory_info().rss)
    manager.close()
    return done


def _save(module: nn.Module, file: Path) -> None:
    from safetensors.torch import save_model

    save_model(module, str(file))


def _open(file: Path, width: int) -> nn.Module:
    """As libraries do: tensors of the mapped file become the parameters."""
    from safetensors.torch import load_file

    with torch.device("meta"):
        module = Tied(width)
    weights = load_file(file)
    name = next(key for key in ("embed.weight", "head.weight") if key in weights)
    weights["embed.weight"] = weights["head.weight"] = weights[name]
    module.load_state_dict(weights, assign=True)
    module.head.weight = module.embed.weight
    return module.requires_grad_(False).eval()


def _ms(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return (time.perf_counter() - started) * 1000


def _digest(module: nn.Module) -> str:
    found = hashlib.sha256()
    for tensor in module.state_dict().values():
        found.update(tensor.contiguous().view(torch.uint8).numpy())
    return found.hexdigest()


def _slope(values: list[float]) -> tuple[float, float]:
    """Least squares slope per step and the half width of its 95 % confidence interval."""
    steps = list(range(len(values)))
    fit = statistics.linear_regression(steps, values)
    errors = [value - fit.slope * step - fit.intercept for step, value in zip(steps, values, strict=True)]
    middle = statistics.mean(steps)
    spread = sum((step - middle) ** 2 for step in steps)
    deviation = math.sqrt(sum(error**2 for error in errors) / (len(values) - 2) / spread)
    return fit.slope, 2.0 * deviation
