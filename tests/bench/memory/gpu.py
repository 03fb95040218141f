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


def table() -> bool:
    """Print what was measured; whether the bars hold. Nothing was missed where there is no GPU."""
    if not torch.cuda.is_available():
        print("No GPU here. Not measured: " + "; ".join(PARTS) + ".\n")
        return True
    print(
        f"{torch.cuda.get_device_name()}, {torch.cuda.mem_get_info()[1] / GIB:.0f} GiB, torch {torch.__version__}\n"
    )
    checks = (_reload, _cards, _swaps, _runs_out, _prefetch, _beside_diffusers)
    held = [check() for check in checks]  # every one of them, whatever the first ones say
    return all(held)


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


def _best(task: Callable[[], Any], times: int = 5) -> float:
    return min(_seconds(task) for _ in range(times))


def _reload() -> bool:
    """Bar: 0.90 of what one pinned copy reaches, pointing included."""
    nbytes = 2 * GIB
    ceiling, plain = _copies(nbytes)
    module = Stack(nbytes).requires_grad_(False)
    held = TorchDevice("cuda").hold(module)
    speeds: dict[str, float] = {}
    for name, prepare in (("host copy as it is", lambda: None), ("host copy page-locked", held.pin_host)):
        prepare()
        times = []
        for _ in range(6):
            times.append(_seconds(held.upload))
            leaving = _seconds(held.unload)
        speeds[name] = (held.nbytes or 0) / min(times)
    other, by_module = Stack(nbytes).requires_grad_(False), []
    for _ in range(3):
        by_module.append(_seconds(lambda: other.to("cuda")))
        other.to("cpu")
    print("| bringing 2 GiB in | GiB/s | of the ceiling |\n|---|---|---|")
    for name, speed in {
        "one pinned copy (the ceiling)": ceiling,
        "one pageable copy": plain,
        "`module.to`": nbytes / min(by_module),
        **{f"ours, {name}": speed for name, speed in speeds.items()},
    }.items():
        print(f"| {name} | {speed / GIB:.1f} | {speed / ceiling:.2f} |")
    print(f"\nLeaving: {leaving * 1000:.1f} ms for {len(module.layers)} tensors, 0 bytes moved. Bar: 0.90.\n")
    return speeds["host copy page-locked"] >= 0.90 * ceiling


def _copies(nbytes: int) -> tuple[float, float]:
    """Bytes a second of one copy from page-locked memory, and from what is not."""
    target = torch.empty(nbytes, dtype=torch.uint8, device="cuda")
    speeds = []
    for pin in (True, False):
        source = torch.ones(nbytes, dtype=torch.uint8, pin_memory=pin)
        speeds.append(nbytes / _best(lambda source=source: target.copy_(source, non_blocking=True)))
    return speeds[0], speeds[1]


def _cards() -> bool:
    """Bar: no out of memory reaches a job, and the driver's cap is never hit."""
    total, good = torch.cuda.mem_get_info()[1], True
    print("| emulated card | leases | out of memory | most reserved | waits |\n|---|---|---|---|---|")
    for gb in (gb for gb in CARDS if gb * GIB < total):
        cap = gb * GIB - CONTEXT_BYTES
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.set_per_process_memory_fraction(cap / total)
        manager = MemoryManager(TorchDevice("cuda", budget_bytes=cap), prefetch=False)
        failed = _borrow_from_threads(manager, cap)
        most, counters = torch.cuda.max_memory_reserved(), manager.snapshot()["counters"]
        manager.close()
        print(
            f"| {gb} GB | {counters['leases']} | {failed} | {most / GIB:.2f} of {cap / GIB:.2f} GiB | {counters['waits']} |"
        )
        good &= failed == 0 and most <= cap
    torch.cuda.set_per_process_memory_fraction(1.0)
    print()
    return good


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


def _swaps() -> bool:
    """Bar: 0 bytes left on the device, the same numbers each time."""
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
    print(f"1,000 swaps of 256 MiB: {'the same numbers' if same else 'OTHER NUMBERS'}, {left} bytes left.\n")
    return same and left <= 0


def _runs_out() -> bool:
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
    print(
        f"Out of memory in mid-upload: {'told' if told else 'NOT TOLD'}; afterwards it {'runs' if again else 'FAILS'}.\n"
    )
    return told and again


def _prefetch() -> bool:
    """Bar: four fifths of the next load hidden behind the job that runs, which loses 3 % at most."""
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
    print(
        f"Prefetch hides {hidden:.0%} of {waits[0] * 1000:.0f} ms; the running job takes {slower:+.1%}. Bars: 80 %, 3 %.\n"
    )
    return hidden >= 0.8 and slower <= 0.03


def _beside_diffusers() -> bool:
    """Seconds for a picture of Stable Diffusion's size while a language model is used in between."""
    from tests.bench.memory import chain

    print("| picture of 20 steps, 512×512, float16 | seconds | most allocated |\n|---|---|---|")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        torch.manual_seed(0)
        chain._picture(Path(folder, "image"), scale=1)
        for name, prepare in {**_ways(), "ours": None}.items():
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            try:
                draw = (
                    _ours(Path(folder, "image"))
                    if prepare is None
                    else _theirs(Path(folder, "image"), prepare)
                )
                draw()
                told = f"{statistics.median(_seconds(draw) for _ in range(3)):.2f} s"
            except Exception as error:
                told = f"does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
            print(f"| {name} | {told} | {torch.cuda.max_memory_allocated() / GIB:.2f} GiB |", flush=True)
    print()
    return True


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
