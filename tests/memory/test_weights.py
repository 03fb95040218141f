"""Real torch modules on a CPU with a byte budget, as a device apart from its host and as unified memory."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pipelines.memory import Component, MemoryManager
from pipelines.memory.weights.apart import MovedByItself, Weights
from pipelines.memory.weights.arena import Lane, trim_host_memory
from pipelines.memory.weights.seats import Piece
from pipelines.runtime.device import TorchDevice
from pipelines.runtime.device import _own_host_bytes as own_bytes
from tests import checkpoints


class Tied(nn.Module):
    """A head that shares its embedding, a persistent and a passing buffer."""

    def __init__(self, seed: int = 0, width: int = 64) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(100, width)
        self.block = nn.Linear(width, width)
        self.head = nn.Linear(width, 100, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.rand(width))
        self.register_buffer("positions", torch.arange(32), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.block(self.embed(tokens) + self.scale)))


TIED_BYTES = 100 * 64 * 4 + 64 * 64 * 4 + 3 * 512
"""Embedding, matrix, and bias, scale and positions, which are 256 bytes each and start at multiples of 512."""
CPU = torch.device("cpu")


def digest(module: nn.Module) -> str:
    parts = hashlib.sha256()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        parts.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return parts.hexdigest()


def apart(budget: int) -> TorchDevice:
    """A device whose memory is not the host's: uploads copy, unloads drop the copy."""
    return TorchDevice("cpu", budget_bytes=budget, unified=False)


def places(module: nn.Module) -> dict[str, int]:
    return {name: tensor.data_ptr() for name, tensor in (*module.named_parameters(), *module.named_buffers())}


def test_each_distinct_tensor_counts_once() -> None:
    assert Weights(Tied(), CPU).nbytes == TIED_BYTES


def test_a_thousand_swaps_keep_weights_bit_identical_and_tied() -> None:
    manager = MemoryManager(apart(TIED_BYTES + 100))
    parts = [Component(f"m{i}", lambda i=i: Tied(seed=i), TIED_BYTES) for i in range(2)]
    expected = [digest(Tied(seed=i)) for i in range(2)]
    host = {}
    for swap in range(1000):
        with manager.lease([parts[swap % 2]]) as lease:
            model = lease[parts[swap % 2]]
            host.setdefault(swap % 2, model)
            assert model is host[swap % 2]
            assert model.head.weight is model.embed.weight
            if swap % 50 < 2:
                assert digest(model) == expected[swap % 2]
    assert manager.snapshot()["committed_bytes"] == TIED_BYTES


def test_upload_points_at_copies_and_unload_back_at_the_very_same_memory() -> None:
    model = Tied()
    expected = digest(model)
    weights = Weights(model, CPU)
    host = places(model)
    weights.upload()
    assert not set(host.values()) & set(places(model).values())
    assert model.head.weight.data_ptr() == model.embed.weight.data_ptr()
    assert digest(model) == expected
    assert (weights.device_bytes, weights.host_bytes) == (TIED_BYTES, TIED_BYTES)
    weights.unload()
    assert places(model) == host
    assert digest(model) == expected
    assert (weights.device_bytes, weights.host_bytes) == (0, TIED_BYTES)


class Stop(Exception):
    pass


def stop_at(call: int) -> Callable[[], None]:
    calls = iter(range(1, 100))

    def check() -> None:
        if next(calls) == call:
            raise Stop

    return check


def layers(count: int = 4, width: int = 64) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(count)))


LAYER_BYTES = 64 * 64 * 4


def test_an_interrupted_upload_keeps_what_arrived_and_goes_on_from_there() -> None:
    model = layers()
    weights = Weights(model, CPU, chunk_bytes=LAYER_BYTES)
    host, x = places(model), torch.ones(1, 64)
    expected = model(x)
    with pytest.raises(Stop):
        weights.upload(check=stop_at(3))
    assert weights.device_bytes == 2 * LAYER_BYTES
    assert places(model) == host
    assert torch.equal(model(x), expected)
    asked: list[int] = []
    weights.upload(check=lambda: asked.append(1))
    assert len(asked) == 2
    assert weights.device_bytes == 4 * LAYER_BYTES
    assert torch.equal(model(x), expected)


def test_a_device_that_runs_full_half_way_leaves_the_module_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = layers()
    weights = Weights(model, CPU, chunk_bytes=LAYER_BYTES)
    host = places(model)
    real, calls = Lane.allocate, []

    def full_at_the_third(lane: Lane, nbytes: int) -> torch.Tensor:
        calls.append(nbytes)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(lane, nbytes)

    monkeypatch.setattr(Lane, "allocate", full_at_the_third)
    with pytest.raises(torch.OutOfMemoryError):
        weights.upload()
    assert places(model) == host
    weights.unload()
    assert weights.device_bytes == 0


def test_part_of_it_can_leave_and_only_that_comes_back() -> None:
    model = layers()
    weights = Weights(model, CPU, chunk_bytes=LAYER_BYTES)
    host = places(model)
    weights.upload()
    weights.unload(3 * LAYER_BYTES - 1)
    assert weights.device_bytes == 2 * LAYER_BYTES
    assert places(model) == host
    asked: list[int] = []
    weights.upload(check=lambda: asked.append(1))
    assert len(asked) == 2


# ---- how tensors may look -------------------------------------------------------------------------------------------


class Odd(nn.Module):
    """Views into one storage, a permuted matrix, a channels-last filter, an expanded, an empty and a whole number."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        whole = torch.randn(6, 8)
        self.whole = nn.Parameter(whole)
        self.top = nn.Parameter(whole[:3])
        self.column = nn.Parameter(whole[:, 2])
        self.turned = nn.Parameter(torch.randn(5, 7).T)
        self.filter = nn.Parameter(torch.randn(4, 4, 3, 3).to(memory_format=torch.channels_last))
        self.short = nn.Parameter(torch.randn(9).to(torch.bfloat16))
        self.register_buffer("same", torch.randn(1).expand(4, 4))
        self.register_buffer("empty", torch.empty(0, 3))
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("mask", torch.tensor([True, False, True]))


def test_strides_dtypes_and_shared_storage_stay_as_they_are() -> None:
    model, fresh = Odd(), Odd()
    weights = Weights(model, CPU)
    for move in (lambda: None, weights.upload, weights.unload, weights.upload):
        move()
        for (name, tensor), (_, other) in zip(
            [*model.named_parameters(), *model.named_buffers()],
            [*fresh.named_parameters(), *fresh.named_buffers()],
            strict=True,
        ):
            assert torch.equal(tensor, other), name
            assert (tensor.dtype, tensor.shape, tensor.stride()) == (other.dtype, other.shape, other.stride())
        assert model.top.data_ptr() == model.whole.data_ptr()
        assert model.column.data_ptr() == model.whole.data_ptr() + 8
    with torch.no_grad():
        model.whole[0, 2] = 5
    assert model.top[0, 2] == model.column[0] == 5


class Scaled(torch.Tensor):
    """Whole numbers and a scale for each row, read as their product: a quantised weight as torch's own subclasses are made."""

    @staticmethod
    def __new__(cls, numbers: torch.Tensor, scale: torch.Tensor) -> Scaled:
        return torch.Tensor._make_wrapper_subclass(
            cls, numbers.shape, dtype=scale.dtype, device=numbers.device, requires_grad=False
        )

    def __init__(self, numbers: torch.Tensor, scale: torch.Tensor) -> None:
        self.numbers, self.scale = numbers, scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["numbers", "scale"], None

    @classmethod
    def __tensor_unflatten__(cls, inner: dict, context: None, size: object, stride: object) -> Scaled:
        return cls(inner["numbers"], inner["scale"])

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        def plain(value: object) -> object:
            return value.numbers * value.scale if isinstance(value, Scaled) else value

        if op in (torch.ops.aten.detach.default, torch.ops.aten.alias.default):
            return cls(args[0].numbers, args[0].scale)
        return op(*(plain(arg) for arg in args), **{k: plain(v) for k, v in (kwargs or {}).items()})


def quantised(width: int = 64) -> nn.Module:
    model = layers(2, width)
    for layer in model:
        scale = layer.weight.detach().abs().amax(1, keepdim=True) / 127
        numbers = (layer.weight.detach() / scale).round().to(torch.int8)
        layer.weight = nn.Parameter(Scaled(numbers, scale), requires_grad=False)
    model[1].again = nn.Linear(width, width, bias=False)
    model[1].again.weight = model[1].weight
    return model


def test_quantised_subclasses_are_moved_by_their_insides() -> None:
    model, x = quantised(), torch.ones(1, 64)
    expected = model(x)
    held = TorchDevice("cpu", unified=False).hold(model)
    assert isinstance(held, Weights)
    assert held.nbytes == 2 * (64 * 64 + 512)
    where = []
    for move in (lambda: None, held.upload, held.unload, held.upload):
        move()
        assert type(model[0].weight) is Scaled
        assert isinstance(model[0].weight, nn.Parameter)
        assert model[1].again.weight is model[1].weight
        assert torch.equal(model(x), expected)
        where.append(model[0].weight.numbers.data_ptr())
    assert where[0] == where[2]
    assert where[1] != where[0]


class Secret(torch.Tensor):
    """Nobody knows its insides but its own `.to`."""


def test_tensors_with_unknown_insides_are_moved_by_their_module() -> None:
    model = layers(1)
    model[0].weight = nn.Parameter(model[0].weight.detach().as_subclass(Secret), requires_grad=False)
    held = TorchDevice("cpu", unified=False).hold(model)
    assert isinstance(held, MovedByItself)
    assert held.least_bytes == held.nbytes == LAYER_BYTES
    held.upload()
    assert (held.device_bytes, held.host_bytes) == (LAYER_BYTES, 0)
    held.unload()
    assert (held.device_bytes, held.host_bytes) == (0, LAYER_BYTES)
    assert type(model[0].weight) is Secret


# ---- adapters -------------------------------------------------------------------------------------------------------


class Adapted(nn.Module):
    """A LoRA around a linear layer, as libraries add it: the layer goes inside, two small matrices beside it."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features))
        self.up = nn.Parameter(torch.randn(base.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + x @ self.down.T @ self.up.T

    def fuse(self) -> None:
        self.base.weight.data += (
            self.up.data @ self.down.data
        )  # as peft does it: no version counter sees this


def test_a_lora_travels_along_and_leaves_the_masters_as_they_were() -> None:
    model, x = layers(), torch.ones(1, 64)
    expected = digest(model)
    weights = Weights(model, CPU)
    weights.upload()
    with torch.no_grad():
        plain = model(x)
        model[1] = Adapted(model[1])
        adapted = model(x)
    down = model[1].down.clone()
    for _ in range(3):
        weights.unload()
        assert torch.equal(model[1].down, down)
        weights.upload()
        assert weights.device_bytes == 4 * LAYER_BYTES + 2 * (2 * 64 * 4) == weights.nbytes
        with torch.no_grad():
            assert torch.equal(model(x), adapted)
    model[1] = model[1].base
    weights.unload()
    weights.upload()
    assert weights.device_bytes == 4 * LAYER_BYTES
    with torch.no_grad():
        assert torch.equal(model(x), plain)
    assert digest(model) == expected


def test_an_adapter_that_was_trained_on_the_device_is_kept() -> None:
    model = layers()
    weights = Weights(model, CPU)
    model[1] = Adapted(model[1])
    weights.upload()
    weights.unload()
    weights.upload()
    with torch.no_grad():
        model[1].down.fill_(3)
    weights.unload()
    assert model[1].down.unique().tolist() == [3]


@pytest.mark.parametrize("stays", [0, 2 * LAYER_BYTES], ids=["all leaves", "half leaves"])
def test_what_was_fused_on_the_device_is_gone_once_it_has_left(stays: int) -> None:
    """Also when chunks were kept on the device, the fused one among them."""
    model = layers()
    expected = digest(model)
    weights = Weights(model, CPU, chunk_bytes=LAYER_BYTES)
    weights.upload()
    fused = Adapted(model[0])
    fused.fuse()
    assert digest(model) != expected
    del fused
    weights.unload(stays)
    assert digest(model) == expected
    weights.upload()
    assert digest(model) == expected


def test_a_module_without_tensors_weighs_nothing_and_moves_all_the_same() -> None:
    weights = Weights(nn.Sequential(nn.ReLU(), nn.ModuleList()), CPU)
    weights.upload()
    weights.unload()
    assert (weights.nbytes, weights.least_bytes, weights.device_bytes, weights.host_bytes) == (0, 0, 0, 0)


def test_a_module_cast_while_it_was_lent_comes_back_as_it_was() -> None:
    """Pipelines cast a VAE up for decoding."""
    model = layers()
    expected = digest(model)
    weights = Weights(model, CPU)
    weights.upload()
    model.to(torch.float64)
    weights.unload()
    assert model[0].weight.dtype is torch.float32
    assert digest(model) == expected


# ---- swaps and memory -----------------------------------------------------------------------------------------------


def test_outputs_are_the_same_after_a_swap() -> None:
    manager = MemoryManager(apart(TIED_BYTES + 100))
    a, b = (Component(f"m{i}", lambda i=i: Tied(seed=i), TIED_BYTES) for i in range(2))
    tokens = torch.arange(10)[None]
    with torch.no_grad():
        with manager.lease([a]) as lease:
            first = lease[a](tokens)
        with manager.lease([b]):
            pass
        with manager.lease([a]) as lease:
            assert torch.equal(lease[a](tokens), first)


def test_on_the_cpu_weights_are_lent_in_place_and_dropped_when_they_leave() -> None:
    import weakref

    manager = MemoryManager(TorchDevice("cpu", budget_bytes=TIED_BYTES + 100))
    loaded: list[weakref.ref] = []

    def loader(seed: int) -> Callable[[], nn.Module]:
        def load() -> nn.Module:
            model = Tied(seed)
            loaded.append(weakref.ref(model))
            return model

        return load

    a, b = (Component(f"m{i}", loader(i), TIED_BYTES) for i in range(2))
    for component in (a, b):
        with manager.lease([component]):
            pass
    assert loaded[0]() is None
    assert loaded[1]() is not None


def test_a_wrong_estimate_is_corrected_by_the_real_bytes() -> None:
    manager = MemoryManager(TorchDevice("cpu", budget_bytes=10 * TIED_BYTES))
    with manager.lease([Component("m", Tied, 17), Component("tokenizer", lambda: object(), 0)]):
        assert manager.snapshot()["committed_bytes"] == TorchDevice("cpu").hold(Tied()).nbytes > 42_000


def test_a_thousand_tensors_are_pointed_back_in_ten_milliseconds() -> None:
    """Unload moves no bytes: only pointers change. Ten times the bar, so that a busy machine does not fail it."""
    import time

    model = nn.ModuleList(nn.Linear(8, 8) for _ in range(500))
    weights = Weights(model, CPU)
    seconds = []
    for _ in range(5):
        weights.upload()
        started = time.thread_time()
        weights.unload()
        seconds.append(time.thread_time() - started)
    assert min(seconds) < 0.1


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="reads the memory of this process from /proc"
)
def test_flattening_holds_one_chunk_twice_and_not_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = 2048 * 2048 * 4
    model = nn.Sequential(*(nn.Linear(2048, 2048, bias=False) for _ in range(8)))
    before, most, real = own_bytes(), [0], Piece.fill

    def fill(piece: Piece, memory: torch.Tensor) -> None:
        real(piece, memory)
        most.append(own_bytes())

    monkeypatch.setattr(Piece, "fill", fill)
    weights = Weights(model, CPU, chunk_bytes=chunk)
    assert weights.nbytes == 8 * chunk
    assert max(most) - before < 2 * chunk
    assert own_bytes() - before < chunk


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="reads the memory of this process from /proc"
)
def test_a_thousand_swaps_of_real_models_take_no_memory_and_change_nothing() -> None:
    manager = MemoryManager(apart(1_150_000))  # the VAE alone, or the others
    parts = [
        Component("vae", checkpoints.vae, 1_200_000),
        Component("text encoder", checkpoints.clip_text, 200_000),
        Component("another", checkpoints.t5_text, 100_000),
    ]
    expected: dict[str, str] = {}
    taken, in_use = [], []
    for swap in range(1001):
        wanted = parts[:1] if swap % 2 == 0 else parts[1:]
        with manager.lease(wanted) as lease:
            for part in wanted:
                if part.key not in expected or swap % 250 < 2:
                    assert expected.setdefault(part.key, digest(lease[part])) == digest(lease[part])
        if swap >= 100:
            taken.append(own_bytes())
        if swap >= 100 and swap % 100 == 0:
            trim_host_memory()  # what the C library keeps for next time is no slope
            in_use.append(own_bytes())
    assert manager.snapshot()["counters"]["uploads"] >= 1000
    assert max(taken) - taken[0] < 16 << 20
    steps = sorted(after - before for before, after in itertools.pairwise(in_use))
    assert steps[len(steps) // 2] < 64 << 10  # a leak grows in every hundred swaps, a heap now and then


def test_a_dropped_module_is_gone_without_the_garbage_collector() -> None:
    import gc
    import weakref

    model = checkpoints.vae()
    weights = Weights(model, CPU, chunk_bytes=64 << 10)
    weights.upload(weights.least_bytes)
    ghosts = [weakref.ref(model), weakref.ref(model.decoder.conv_in.weight)]
    gc.collect()
    gc.disable()
    try:
        weights.unload()
        del weights, model
        assert [ghost() for ghost in ghosts] == [None, None]
    finally:
        gc.enable()
