"""What needs a GPU: reload beside the memcpy ceiling, emulated small cards, bytes left behind, prefetch, and diffusers' own ways.

Says what it did not measure where there is none. Every figure is checked against a bar, or printed beside what it compares with.
"""

from __future__ import annotations

import gc
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.errors import OutOfMemory
from pipelines.memory import Component, MemoryManager
from pipelines.runtime.device import TorchDevice
from tests.bench.report import Report

GIB, MIB = 1 << 30, 1 << 20
CARDS = (6, 8, 12, 16, 24)
CONTEXT_BYTES = 600 * MIB
"""What the driver takes of a small card before torch has a byte of it."""
PARTS = (
    "pinned-memcpy ceiling and reload as a fraction of it",
    f"emulated cards of {', '.join(map(str, CARDS))} GB",
    "1,000 swaps with 0 bytes left",
    "out of memory in mid-upload",
    "how much of the next load prefetch hides",
    "enable_model_cpu_offload, enable_group_offload and ComponentsManager beside ours",
)


SMALL: dict[str, Any] = {}


def tell(report: Report) -> None:
    """Nothing is missed where there is no GPU."""
    if not torch.cuda.is_available():
        report.say("No GPU here. Not measured: " + "; ".join(PARTS) + ".")
        return
    size = torch.cuda.mem_get_info()[1] / GIB
    report.say(f"{torch.cuda.get_device_name()}, {size:.0f} GiB, torch {torch.__version__}.")
    for check in (_reload, _cards, _swaps, _runs_out, _prefetch, _beside_diffusers):
        check(report)


class Stack(nn.Module):
    """Square layers in half precision, `nbytes` in all."""

    def __init__(self, nbytes: int, width: int = 2048) -> None:
        super().__init__()
        count = max(1, nbytes // (2 * width * width))
        self.layers = nn.ModuleList(
            nn.Linear(width, width, bias=False, dtype=torch.float16) for _ in range(count)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.nn.functional.layer_norm(layer(x), x.shape[-1:])
        return x


def _component(key: str, nbytes: int) -> Component:
    def load() -> nn.Module:
        torch.manual_seed(len(key))
        return Stack(nbytes).requires_grad_(False).eval()

    return Component(key, load, nbytes)


def _seconds(task: Callable[[], Any]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    task()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def _reload(report: Report) -> None:
    """Milliseconds to bring 2 GiB in. Bar: one pinned copy takes 0.90 of our time, pointing included."""
    nbytes = 2 * GIB
    target = torch.empty(nbytes, dtype=torch.uint8, device="cuda")
    ceiling = _copies(target, pin=True)
    pageable = _copies(target, pin=False)
    del target
    module = Stack(nbytes).requires_grad_(False)
    held = TorchDevice("cuda").hold(module)
    ours: dict[str, list[float]] = {}
    leaving: list[float] = []
    for name, prepare in (("host copy as it is", lambda: None), ("host copy page-locked", held.pin_host)):
        prepare()
        for _ in range(6):
            ours.setdefault(name, []).append(_seconds(held.upload) * 1000)
            leaving.append(_seconds(held.unload) * 1000)
    other, by_module = Stack(nbytes).requires_grad_(False), []
    for _ in range(3):
        by_module.append(_seconds(lambda: other.to("cuda")) * 1000)
        other.to("cpu")
    report.figure("2 GiB in: one pinned copy (baseline)", ceiling, unit="ms")
    report.figure("2 GiB in: one pageable copy", pageable, ceiling, unit="ms")
    report.figure("2 GiB in: `module.to`", by_module, ceiling, unit="ms")
    for name, times in ours.items():
        report.figure(f"2 GiB in: ours, {name}", times, ceiling, unit="ms")
    report.figure(f"leaving, {len(module.layers)} tensors, 0 bytes moved", leaving, ceiling, unit="ms")
    share = min(ceiling) / min(ours["host copy page-locked"])
    report.bar("reload, of the pinned copy's speed", "0.90", f"{share:.2f}", share >= 0.90)


def _copies(target: torch.Tensor, *, pin: bool) -> list[float]:
    """Milliseconds of a copy from page-locked memory, or from what is not."""
    source = torch.ones(target.nbytes, dtype=torch.uint8, pin_memory=pin)
    return [_seconds(lambda: target.copy_(source, non_blocking=True)) * 1000 for _ in range(5)]


def _cards(report: Report) -> None:
    """Bars: no out of memory reaches a job, and the driver's cap is never hit."""
    total = torch.cuda.mem_get_info()[1]
    for gb in (gb for gb in CARDS if gb * GIB < total):
        cap = gb * GIB - CONTEXT_BYTES
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.set_per_process_memory_fraction(cap / total)
        manager = MemoryManager(TorchDevice("cuda", budget_bytes=cap), prefetch=False)
        failed = _borrow_from_threads(manager, cap)
        most, counters = torch.cuda.max_memory_reserved(), manager.snapshot()["counters"]
        manager.close()
        leases = f"{counters['leases']} leases, {counters['waits']} waits"
        report.bar(f"{gb} GB card: out of memory in {leases}", "0", str(failed), failed == 0)
        allowed, measured = f"{cap / GIB:.2f} GiB", f"{most / GIB:.2f} GiB"
        report.bar(f"{gb} GB card: most reserved", allowed, measured, most <= cap)
    torch.cuda.set_per_process_memory_fraction(1.0)


def _borrow_from_threads(manager: MemoryManager, cap: int, threads: int = 4, turns: int = 25) -> int:
    """How many leases ran out of memory, each with work that really allocates what it said."""
    shares = (0.15, 0.25, 0.4, 0.55, 1.3)
    parts = [_component(f"part {share}", int(share * cap)) for share in shares]
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(turns):
            working = int(draw.uniform(0.02, 0.2) * cap)
            try:
                with manager.lease([draw.choice(parts)], working):
                    torch.ones(working // 512 * 512, dtype=torch.uint8, device=manager.device.handle)
                    manager.device.synchronize()
            except Exception as error:
                failures.append(error)

    running = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return len(failures)


def _swaps(report: Report) -> None:
    """Bars: 0 bytes left on the device, the same numbers each time."""
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    parts = [_component("one", 256 * MIB), _component("two!", 256 * MIB)]
    manager = MemoryManager(TorchDevice("cuda", budget_bytes=400 * MIB), prefetch=False)
    x = torch.randn(1, 2048, dtype=torch.float16, device="cuda")
    first: dict[str, torch.Tensor] = {}
    same = True
    with torch.no_grad():
        for swap in range(1_000):
            part = parts[swap % 2]
            with manager.lease([part]) as lease:
                made = lease[part](x).cpu()
            same &= torch.equal(first.setdefault(part.key, made), made)
    manager.close()
    del x, lease
    gc.collect()
    left = torch.cuda.memory_allocated() - before
    report.bar("1,000 swaps of 256 MiB: numbers", "the same", "the same" if same else "OTHER", same)
    report.bar("1,000 swaps of 256 MiB: bytes left", "0", str(left), left <= 0)


def _runs_out(report: Report) -> None:
    """The driver's cap falls below what the ledger believes: the job is told, and the next one runs."""
    total = torch.cuda.mem_get_info()[1]
    manager = MemoryManager(TorchDevice("cuda", budget_bytes=4 * GIB), prefetch=False)
    part = _component("large", 2 * GIB)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + GIB) / total)
    told = False
    try:
        with manager.lease([part]):
            pass
    except OutOfMemory:
        told = True
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    with manager.lease([part]) as lease:
        again = next(lease[part].parameters()).is_cuda
    manager.close()
    report.bar("out of memory in mid-upload", "told", "told" if told else "NOT TOLD", told)
    report.bar("afterwards", "runs", "runs" if again else "FAILS", again)


def _prefetch(report: Report) -> None:
    """Bars: four fifths of the next load hidden behind the job that runs, which loses 3 % at most."""
    one, two = _component("runs now", GIB), _component("runs next", 4 * GIB)
    manager = MemoryManager(TorchDevice("cuda"))
    x = torch.randn(4096, 2048, dtype=torch.float16, device="cuda")

    def compute(lease: Any) -> None:
        with torch.no_grad():
            for _ in range(40):
                lease[one](x)

    for part in (one, two):  # into host memory
        with manager.lease([part]):
            pass
    waits, computing = [], []
    for announced in (False, True):
        manager.release_idle()
        with manager.lease([one]) as lease:
            compute(lease)
            manager.hint([two] if announced else [])
            computing.append(_seconds(lambda held=lease: compute(held)))
        started = time.perf_counter()
        with manager.lease([two]):
            torch.cuda.synchronize()
            waits.append(time.perf_counter() - started)
    manager.close()
    hidden, slower = 1 - waits[1] / waits[0], computing[1] / computing[0] - 1
    announced = f"of {waits[0] * 1000:.0f} ms hidden by prefetch"
    report.bar(announced, "80 %", f"{hidden:.0%}", hidden >= 0.8)
    report.bar("the running job takes more", "3 %", f"{slower:+.1%}", slower <= 0.03)


def _beside_diffusers(report: Report) -> None:
    """Seconds for a picture of Stable Diffusion's size while a language model is used in between."""
    from tests.bench.memory import chain

    rows = ["| picture of 20 steps, 512×512, float16 | seconds | most allocated |\n|---|---|---|"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        torch.manual_seed(0)
        chain._picture(Path(folder, "image"), scale=1)
        for name, prepare in {**_ways(), "ours": None}.items():
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            told = _tried(Path(folder, "image"), prepare)
            rows.append(f"| {name} | {told} | {torch.cuda.max_memory_allocated() / GIB:.2f} GiB |")
    report.say("\n".join(rows))


def _tried(folder: Path, prepare: Callable[[Any], Any] | None) -> str:
    try:
        draw = _ours(folder) if prepare is None else _theirs(folder, prepare)
        draw()
        return f"{statistics.median(_seconds(draw) for _ in range(3)):.2f} s"
    except Exception as error:
        return f"does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}"


def _theirs(folder: Path, prepare: Callable[[Any], Any]) -> Callable[[], Any]:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float16, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    prepare(pipe)
    return lambda: pipe("a red house", num_inference_steps=20)


def _ours(folder: Path) -> Callable[[], Any]:
    """Everything leaves the device after each picture, as with the others."""
    from pipelines.catalog import ModelSpec, Source
    from pipelines.diffusion.image import ImagePipeline
    from pipelines.messages import ImageRequest
    from pipelines.runtime.context import Context

    spec = ModelSpec("bench/image", "Image", ("image",), "diffusers", Source(path=str(folder)))
    manager = MemoryManager(TorchDevice("cuda"), prefetch=False)
    context = Context("bench", spec, manager, lambda event: None, lambda: False, folder)
    request = ImageRequest(
        prompt="a red house", model=spec.id, width=512, height=512, num_inference_steps=20, seed=1
    )

    def draw() -> None:
        list(ImagePipeline().generate(request, context))
        manager.release_idle()

    return draw


def _ways() -> dict[str, Callable[[Any], Any]]:
    def automatic(pipe: Any) -> None:
        from diffusers import ComponentsManager

        manager = ComponentsManager()
        for name in ("text_encoder", "unet", "vae"):
            manager.add(name, getattr(pipe, name))
        manager.enable_auto_cpu_offload(device="cuda")

    return {
        "all on the device": lambda pipe: pipe.to("cuda"),
        "`enable_model_cpu_offload`": lambda pipe: pipe.enable_model_cpu_offload(),
        "`enable_group_offload`, with a stream": lambda pipe: pipe.enable_group_offload(
            onload_device=torch.device("cuda"), offload_type="leaf_level", use_stream=True
        ),
        "`ComponentsManager`, automatic": automatic,
    }
