"""A thousand swaps of real modules on the CPU: the same bits, tied weights tied, and memory that does not grow."""

from __future__ import annotations

import gc
import hashlib
import math
import statistics
import tempfile
from pathlib import Path

import psutil
import torch
from torch import nn

from pipelines.memory import Component, MemoryManager
from pipelines.runtime.device import TorchDevice

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


def table(swaps: int = SWAPS, width: int = 256) -> bool:
    """Print one row per kind of memory; whether the bars hold."""
    torch.set_num_threads(1)
    print(
        f"| {swaps:,} swaps of two modules {width} wide, room for one | bits | tied | first to last | slope, 95 % | loads |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        apart = _swap("device of its own", False, Path(folder), swaps, width)
        return _swap("one memory", True, Path(folder), swaps, width) and apart


def _swap(name: str, unified: bool, folder: Path, swaps: int, width: int) -> bool:
    loads = 0

    def component(key: str, seed: int) -> Component:
        file = folder / f"{key}.safetensors"
        torch.manual_seed(seed)
        made = Tied(width).requires_grad_(False)
        if not file.exists():
            _save(made, file)

        def load() -> nn.Module:
            nonlocal loads
            loads += 1
            return _open(file, width)

        nbytes = sum(tensor.nbytes for tensor in made.parameters())
        return Component(key, load, nbytes)

    parts = [component("one", 1), component("two", 2)]
    room = max(part.nbytes for part in parts) + 2 * MIB
    device = TorchDevice("cpu", budget_bytes=room, reserve_bytes=0, unified=unified)
    manager = MemoryManager(device, prefetch=False)
    before: dict[str, str] = {}
    resident: list[int] = []
    same = tied = True
    words = torch.arange(8)
    with torch.no_grad():
        for swap in range(swaps):
            part = parts[swap % 2]
            with manager.lease([part]) as lease:
                module = lease[part]
                digest = _digest(module) + hashlib.sha256(module(words).numpy().tobytes()).hexdigest()
                same &= before.setdefault(part.key, digest) == digest
                tied &= module.head.weight.data_ptr() == module.embed.weight.data_ptr()
                assert manager.snapshot()["committed_bytes"] <= room
            del module
            if swap % 20 == 19:
                gc.collect()
                resident.append(psutil.Process().memory_info().rss)
    manager.close()
    settled = resident[5:]  # the first hundred fill caches that everyone fills once
    growth = settled[-1] - settled[0]
    slope, margin = _slope([float(value) for value in settled])
    kib = 1024 * 20  # a step of the series is 20 swaps
    print(
        f"| {name} | {'identical' if same else 'CHANGED'} | {'still' if tied else 'NO LONGER'} | {growth / MIB:+.1f} MiB "
        f"| {slope / kib:+.3f} ± {margin / kib:.3f} KiB a swap | {loads} |"
    )
    return same and tied and growth <= MOST_GROWTH


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
