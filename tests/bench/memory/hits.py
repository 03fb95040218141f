"""What a lease costs when everything is there, alone and from four threads; what leaving and coming back cost.

Four threads are judged beside four threads that take one bare `threading.Lock` around the same work, in turn with ours: what a
busy machine takes from both says nothing about us.
"""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from pipelines.memory import Component, MemoryManager
from pipelines.runtime.device import TorchDevice
from tests.memory.made_up import MadeUpDevice, Shelf

LEASES, THREADS, ROUNDS = 20_000, 4, 9
SMALL = {"leases": 400}
MOST_OF_BARE = 1.5  # median and p99 of a lease over those of the bare lock's
UNLOAD_MS_PER_1000 = 10.0


def table(leases: int = LEASES) -> bool:
    """Print both tables; whether the bars hold."""
    hits, moves = _hits(leases), _moves()
    return hits and moves


# ---- leases -----------------------------------------------------------------------------------------------------------


def _hits(leases: int) -> bool:
    device, shelf = MadeUpDevice(1000), Shelf()
    manager = MemoryManager(device, prefetch=False)
    parts = _parts(shelf)
    with manager.lease(parts, working_bytes=10):
        pass
    questions, collections = device.questions, _collections()
    print(
        f"| lease and return of {len(parts)} components, all there | p50 | p99 | p99 from–to | p50, p99 over the bare lock |"
    )
    print("|---|---|---|---|---|")
    held = True
    for threads in (1, THREADS):
        ours: list[list[float]] = []
        bare: list[list[float]] = []
        one, many = [partial(_lease, manager, parts)] * threads, _bare(threads)
        for _ in range(ROUNDS):
            bare.append(_timed(many, leases))
            ours.append(_timed(one, leases))
        who = f"{threads} thread{'s' * (threads > 1)}"
        print(_row(f"{who}, one bare lock around the same work (baseline)", bare))
        print(_row(f"{who}, the manager", ours, bare))
        held &= max(_ratios(ours, bare)) <= MOST_OF_BARE
    asked, collected = device.questions - questions, _collections() - collections
    print(f"\nMedians of {ROUNDS} rounds of {leases:,} leases, in turn. The device was asked {asked} times.")
    print(
        f"Full runs of the collector meanwhile: {collected}. Bar: {MOST_OF_BARE}× the bare lock, p50 and p99.\n"
    )
    return held and asked == 0


def _parts(shelf: Shelf) -> list[Component]:
    return [shelf.component(name, 100) for name in ("text_encoder", "unet", "vae")]


def _lease(manager: MemoryManager, parts: list[Component]) -> None:
    with manager.lease(parts, working_bytes=10):
        pass


def _bare(threads: int) -> list[Callable[[], None]]:
    """For each thread a manager of its own, so that nobody meets but at one plain lock."""
    lock = threading.Lock()

    def locked(lease: Callable[[], None]) -> None:
        with lock:
            lease()

    tasks: list[Callable[[], None]] = []
    for _ in range(threads):
        shelf = Shelf()
        manager, parts = MemoryManager(MadeUpDevice(1000), prefetch=False), _parts(shelf)
        tasks.append(partial(locked, partial(_lease, manager, parts)))
        tasks[-1]()
    return tasks


def _timed(tasks: Sequence[Callable[[], None]], leases: int) -> list[float]:
    """Sorted microseconds of every call, each task on a thread of its own."""
    times: list[list[float]] = [[] for _ in tasks]
    start = threading.Barrier(len(tasks))

    def work(task: Callable[[], None], mine: list[float]) -> None:
        start.wait()
        for _ in range(leases // len(tasks)):
            begun = time.perf_counter_ns()
            task()
            mine.append((time.perf_counter_ns() - begun) / 1000)

    running = [threading.Thread(target=work, args=pair) for pair in zip(tasks, times, strict=True)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sorted(value for mine in times for value in mine)


def _quantile(rounds: list[list[float]], share: float) -> list[float]:
    return sorted(times[int(len(times) * share)] for times in rounds)


def _ratios(ours: list[list[float]], bare: list[list[float]]) -> list[float]:
    return [
        statistics.median(_quantile(ours, q)) / statistics.median(_quantile(bare, q)) for q in (0.5, 0.99)
    ]


def _row(name: str, rounds: list[list[float]], bare: list[list[float]] | None = None) -> str:
    p50, p99 = _quantile(rounds, 0.5), _quantile(rounds, 0.99)
    ratio = ", ".join(f"{each:.2f}×" for each in _ratios(rounds, bare)) if bare else ""
    middle, high = statistics.median(p50), statistics.median(p99)
    return f"| {name} | {middle:.1f} µs | {high:.1f} µs | {p99[0]:.1f}–{p99[-1]:.1f} | {ratio} |"


def _collections() -> int:
    return int(gc.get_stats()[2]["collections"])


# ---- moves ------------------------------------------------------------------------------------------------------------


class Many(nn.Module):
    """1,000 tensors of 64 KiB, as a UNet has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(128, 127) for _ in range(500))


def _moves() -> bool:
    """A device of its own on the CPU: uploads copy, leaving points back."""
    torch.set_num_threads(1)
    module = Many().requires_grad_(False)
    tensors = len(list(module.parameters()))
    nbytes = sum(tensor.nbytes for tensor in module.parameters())
    held = TorchDevice("cpu", unified=False).hold(module)
    uploads, unloads, collections = [], [], gc.get_stats()[2]["collections"]
    for _ in range(30):
        uploads.append(_ms(held.upload))
        unloads.append(_ms(held.unload))
    collected = gc.get_stats()[2]["collections"] - collections
    state, other = module.state_dict(), Many().requires_grad_(False)
    assigned = [_ms(lambda: other.load_state_dict(state, assign=True)) for _ in range(10)]
    copied = [_ms(lambda: other.load_state_dict(state)) for _ in range(10)]
    there_and_back = [_ms(lambda: other.to(torch.float64).to(torch.float32)) for _ in range(5)]
    print(
        f"| {tensors} tensors, {nbytes / 2**20:.0f} MiB | processor time | elapsed, the quickest |\n|---|---|---|"
    )
    rows = {
        "ours: leave (bytes moved: 0)": unloads,
        "ours: come back (one copy of the bytes, then point)": uploads,
        "`load_state_dict(assign=True)`, no bytes moved": assigned,
        "`load_state_dict`, one copy of the bytes": copied,
        "`module.to`, there and back in another dtype": there_and_back,
    }
    for name, values in rows.items():
        print(f"| {name} | {_middle(values):.2f} ms | {min(elapsed for _, elapsed in values):.2f} ms |")
    per_thousand = _middle(unloads) * 1000 / tensors
    print(
        f"\nFull collections meanwhile: {collected}. Bar: leaving takes {UNLOAD_MS_PER_1000:.0f} ms per 1,000 tensors.\n"
    )
    return per_thousand <= UNLOAD_MS_PER_1000


def _ms(task: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of this thread on a processor, and elapsed: on a busy machine only the first is the task's own."""
    began, started = time.thread_time(), time.perf_counter()
    task()
    return (time.thread_time() - began) * 1000, (time.perf_counter() - started) * 1000


def _middle(values: list[tuple[float, float]]) -> float:
    return statistics.median(own for own, _ in values)
