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
from tests.bench.report import Report
from tests.memory.made_up import MadeUpDevice, Shelf

LEASES, THREADS, ROUNDS, MOVES = 20_000, 4, 9, 10
SMALL = {"leases": 400, "moves": 4}
MOST_OF_BARE = 1.5  # median and p99 of a lease over those of the bare lock's
QUANTILES = {"p50": 0.5, "p99": 0.99}
UNLOAD_MS_PER_1000 = 10.0


def tell(report: Report, leases: int = LEASES, moves: int = MOVES) -> None:
    _hits(report, leases)
    _moves(report, moves)


# ---- leases -----------------------------------------------------------------------------------------------------------


def _hits(report: Report, leases: int) -> None:
    device, shelf = MadeUpDevice(1000), Shelf()
    manager = MemoryManager(device, prefetch=False)
    parts = _parts(shelf)
    with manager.lease(parts, working_bytes=10):
        pass
    questions, collections = device.questions, _collections()
    report.say(
        f"Lease and return of {len(parts)} components, all there: each figure of {ROUNDS} rounds of {leases:,} leases, in turn."
    )
    bars: list[tuple[str, float]] = []
    for threads in (1, THREADS):
        ours: list[list[float]] = []
        bare: list[list[float]] = []
        one, many = [partial(_lease, manager, parts)] * threads, _bare(threads)
        for _ in range(ROUNDS):
            bare.append(_timed(many, leases))
            ours.append(_timed(one, leases))
        who = f"{threads} thread{'s' * (threads > 1)}"
        for name, share in QUANTILES.items():
            mine, plain = _quantile(ours, share), _quantile(bare, share)
            report.figure(f"{who}, {name}, one bare lock around the same work (baseline)", plain, unit="µs")
            report.figure(f"{who}, {name}, the manager", mine, plain, unit="µs")
            bars.append((f"{who}, {name}", statistics.median(mine) / statistics.median(plain)))
    for name, ratio in bars:
        report.bar(f"over the bare lock: {name}", f"{MOST_OF_BARE}×", f"{ratio:.2f}×", ratio <= MOST_OF_BARE)
    asked = device.questions - questions
    report.bar("times the device was asked", "0", str(asked), asked == 0)
    report.say(f"Full runs of the collector meanwhile: {_collections() - collections}.")


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


def _collections() -> int:
    return int(gc.get_stats()[2]["collections"])


# ---- moves ------------------------------------------------------------------------------------------------------------


class Many(nn.Module):
    """1,000 tensors of 64 KiB, as a UNet has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(128, 127) for _ in range(500))


def _moves(report: Report, moves: int) -> None:
    """A device of its own on the CPU: uploads copy, leaving points back."""
    torch.set_num_threads(1)
    module = Many().requires_grad_(False)
    tensors = len(list(module.parameters()))
    nbytes = sum(tensor.nbytes for tensor in module.parameters())
    held = TorchDevice("cpu", unified=False).hold(module)
    uploads, unloads = [], []
    for _ in range(3 * moves):
        uploads.append(_ms(held.upload))
        unloads.append(_ms(held.unload))
    state, other = module.state_dict(), Many().requires_grad_(False)
    copied = [_ms(lambda: other.load_state_dict(state)) for _ in range(moves)]
    assigned = [_ms(lambda: other.load_state_dict(state, assign=True)) for _ in range(moves)]
    there_and_back = [_ms(lambda: other.to(torch.float64).to(torch.float32)) for _ in range(moves)]
    report.say(f"{tensors} tensors, {nbytes / 2**20:.0f} MiB; processor time of this thread.")
    report.figure("`load_state_dict`, one copy of the bytes (baseline)", copied, unit="ms")
    report.figure("`load_state_dict(assign=True)`, no bytes moved", assigned, copied, unit="ms")
    report.figure("`module.to`, there and back in another dtype", there_and_back, copied, unit="ms")
    report.figure("ours: come back (one copy of the bytes, then point)", uploads, copied, unit="ms")
    report.figure("ours: leave (bytes moved: 0)", unloads, copied, unit="ms")
    took = statistics.median(unloads) * 1000 / tensors
    allowed = f"{UNLOAD_MS_PER_1000:.0f} ms"
    report.bar("leaving, per 1,000 tensors", allowed, f"{took:.2f} ms", took <= UNLOAD_MS_PER_1000)


def _ms(task: Callable[[], object]) -> float:
    """Milliseconds of this thread on a processor: on a busy machine elapsed time is not the task's own."""
    began = time.thread_time()
    task()
    return (time.thread_time() - began) * 1000
