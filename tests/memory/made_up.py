"""A made-up device with a byte-exact allocator and a virtual clock: every test of lending runs on it in microseconds."""

from __future__ import annotations

import threading
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


@dataclass(eq=False)
class Thing:
    """What a loader returns. real_bytes: what it weighs, whatever the component said."""

    name: str
    real_bytes: int


@dataclass(eq=False)
class MadeUpHeld:
    device: MadeUpDevice
    thing: Thing
    on_device: bool = False

    @property
    def nbytes(self) -> int:
        return self.thing.real_bytes

    def upload(self) -> None:
        self.device.allocate(self)

    def unload(self) -> None:
        self.device.free(self)


@dataclass(eq=False)
class MadeUpDevice:
    """budget: bytes that exist. used and peak: bytes allocated. others: bytes other programs hold.

    refuse_uploads: so many uploads fail with DeviceFull first.
    """

    budget: int
    unified: bool = False
    host_budget: int = 10**9
    name: str = "made-up:0"
    handle: object = "made-up device"
    others: int = 0
    used: int = 0
    peak: int = 0
    uploads: list[str] = field(default_factory=list)
    unloads: list[str] = field(default_factory=list)
    refuse_uploads: int = 0
    break_unload: set[str] = field(default_factory=set)
    questions: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def most_bytes(self) -> int:
        return self.budget

    def budget_bytes(self) -> int:
        self.questions += 1
        return self.budget - self.others

    def host_budget_bytes(self) -> int:
        return self.host_budget

    def hold(self, thing: object) -> MadeUpHeld:
        assert isinstance(thing, Thing)
        return MadeUpHeld(self, thing)

    def empty_cache(self) -> None:
        self.questions += 1

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, DeviceFull)

    def allocate(self, held: MadeUpHeld) -> None:
        with self.lock:
            assert not held.on_device
            if self.refuse_uploads:
                self.refuse_uploads -= 1
                raise DeviceFull
            assert self.used + held.nbytes <= self.budget, "uploaded past the budget"
            held.on_device = True
            self.used += held.nbytes
            self.peak = max(self.peak, self.used)
            self.uploads.append(held.thing.name)

    def free(self, held: MadeUpHeld) -> None:
        with self.lock:
            if held.on_device:
                held.on_device = False
                self.used -= held.nbytes
                self.unloads.append(held.thing.name)
        if held.thing.name in self.break_unload:
            raise OSError("the driver is gone")


class Shelf:
    """Loaders that count. `component("a", 40)` weighs 40 and says so; `said` makes the estimate wrong."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.fail: set[str] = set()

    def component(self, name: str, nbytes: int, said: int | None = None) -> Component:
        def load() -> Thing:
            self.loads.append(name)
            if name in self.fail:
                raise FileNotFoundError(f"{name}.safetensors vanished")
            return Thing(name, nbytes)

        return Component(name, load, nbytes if said is None else said)
