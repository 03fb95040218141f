"""A made-up device with a byte-exact allocator and a virtual clock: every test of lending runs on it in microseconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.memory import Component


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class DeviceFull(Exception):
    pass


class DeviceGone(RuntimeError):
    pass


@dataclass(eq=False)
class Thing:
    """What a loader returns. real_bytes: what it weighs, whatever the component said. least_bytes: enough to stream it."""

    name: str
    real_bytes: int
    least_bytes: int


@dataclass(eq=False)
class MadeUpHeld:
    """A thing in chunks. is_ready: an upload ran to its end and nothing was taken away since."""

    device: MadeUpDevice
    thing: Thing
    device_bytes: int = 0
    pinned_bytes: int = 0
    is_ready: bool = False

    @property
    def nbytes(self) -> int:
        return self.thing.real_bytes

    @property
    def least_bytes(self) -> int:
        return self.thing.least_bytes if self.returns else self.nbytes

    @property
    def chunk_bytes(self) -> int:
        return max(self.device.chunk_bytes, self.nbytes // 16)

    @property
    def returns(self) -> bool:
        return not self.device.unified or self.device.mapped

    @property
    def host_bytes(self) -> int:
        return 0 if self.device.unified else self.nbytes

    def upload(self, nbytes: int | None = None, check: Callable[[], None] = lambda: None) -> None:
        target = self.nbytes if nbytes is None else min(nbytes, self.nbytes)
        assert target >= self.least_bytes, f"{self.thing.name} cannot work with {target} bytes"
        assert self.device_bytes <= target, f"{self.thing.name} holds more than it may"
        self.is_ready = False
        self.device.begin_upload()
        while self.device_bytes < target:
            check()
            step = min(self.chunk_bytes, target - self.device_bytes)
            self.device.allocate(step)
            self.device_bytes += step
        self.is_ready = True
        self.device.uploads.append(self.thing.name)

    def unload(self, nbytes: int = 0) -> None:
        self.is_ready = False
        stays = min(self.device_bytes, nbytes // self.chunk_bytes * self.chunk_bytes)
        self.device.free(self.device_bytes - stays)
        self.device_bytes = stays
        self.device.unloads.append(self.thing.name)
        if self.thing.name in self.device.break_unload:
            self.device.free(self.device_bytes)  # it is dropped, and its memory with it
            self.device_bytes = 0
            raise OSError("the driver is gone")

    def pin_host(self) -> None:
        self.pinned_bytes = self.host_bytes

    def unpin_host(self) -> None:
        self.pinned_bytes = 0


@dataclass(eq=False)
class MadeUpDevice:
    """budget: bytes that exist. used and peak: bytes allocated. others: bytes other programs hold.

    unified: no second copy; mapped: what leaves can come back all the same; streams: what is too large passes in pieces.
    refuse_uploads: so many uploads fail with DeviceFull first. fail_allocation: the allocation after so many more fails, once.
    is_gone: whatever is asked fails. clock and bytes_per_second: uploads take virtual time. work_peak: what `peak_bytes` answers.
    """

    budget: int
    unified: bool = False
    mapped: bool = False
    streams: bool = False
    host_budget: int = 10**9
    pinned_budget: int = 0
    chunk_bytes: int = 10
    name: str = "made-up:0"
    handle: object = "made-up device"
    others: int = 0
    used: int = 0
    peak: int = 0
    uploads: list[str] = field(default_factory=list)
    unloads: list[str] = field(default_factory=list)
    refuse_uploads: int = 0
    fail_allocation: int | None = None
    is_gone: bool = False
    break_unload: set[str] = field(default_factory=set)
    clock: Clock | None = None
    bytes_per_second: float = 1e9
    work_peak: int | None = None
    questions: int = 0
    settled: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def most_bytes(self) -> int:
        return self.budget

    def budget_bytes(self) -> int:
        self.questions += 1
        if self.is_gone:
            raise DeviceGone("the device does not answer")
        return max(0, self.budget - self.others)

    def host_budget_bytes(self) -> int:
        return self.host_budget

    def pinned_budget_bytes(self) -> int:
        return self.pinned_budget

    def hold(self, thing: object) -> MadeUpHeld:
        assert isinstance(thing, Thing)
        return MadeUpHeld(self, thing)

    def dtype(self) -> str:
        return "bytes"

    def settle(self) -> None:
        self.settled += 1

    def empty_cache(self) -> None:
        self.questions += 1

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, DeviceFull)

    def start_peak(self) -> None:
        self.questions += 1

    def peak_bytes(self) -> int | None:
        return self.work_peak

    def begin_upload(self) -> None:
        if self.is_gone:
            raise DeviceGone("the device does not answer")
        if self.refuse_uploads:
            self.refuse_uploads -= 1
            raise DeviceFull

    def allocate(self, nbytes: int) -> None:
        with self.lock:
            if self.is_gone:
                raise DeviceGone("the device does not answer")
            if self.fail_allocation is not None:
                self.fail_allocation -= 1
                if self.fail_allocation < 0:
                    self.fail_allocation = None
                    raise DeviceFull
            assert self.used + nbytes <= self.budget, "uploaded past the budget"
            self.used += nbytes
            self.peak = max(self.peak, self.used)
            if self.clock is not None:
                self.clock.now += nbytes / self.bytes_per_second

    def free(self, nbytes: int) -> None:
        with self.lock:
            self.used -= nbytes
            assert self.used >= 0, "freed twice"


class Shelf:
    """Loaders that count. `component("a", 40)` weighs 40 and says so; `said` makes the estimate wrong.

    clock and bytes_per_second: loading takes virtual time.
    """

    def __init__(self, clock: Clock | None = None, bytes_per_second: float = 1e8) -> None:
        self.loads: list[str] = []
        self.fail: set[str] = set()
        self.clock, self.bytes_per_second = clock, bytes_per_second

    def component(
        self,
        name: str,
        nbytes: int,
        said: int | None = None,
        *,
        least: int | None = None,
        model: str = "",
        passes: int = 1,
    ) -> Component:
        """least: the fewest bytes it works with; None when it cannot be streamed."""

        def load() -> Thing:
            self.loads.append(name)
            if self.clock is not None:
                self.clock.now += nbytes / self.bytes_per_second
            if name in self.fail:
                raise FileNotFoundError(f"{name}.safetensors vanished")
            return Thing(name, nbytes, nbytes if least is None else least)

        return Component(name, load, nbytes if said is None else said, model, passes)
