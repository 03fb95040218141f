"""Real torch modules on a CPU with a byte budget, as a device apart from its host and as unified memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pipelines.device import TorchDevice
from pipelines.memory import Component, MemoryManager
from pipelines.memory.weights import Weights


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


TIED_BYTES = (100 * 64 + 64 * 64 + 64 + 64) * 4 + 32 * 8


def digest(module: nn.Module) -> str:
    parts = hashlib.sha256()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        parts.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return parts.hexdigest()


def apart(budget: int) -> TorchDevice:
    """A device whose memory is not the host's: uploads copy, unloads drop the copy."""
    return TorchDevice("cpu", budget_bytes=budget, unified=False)


def test_each_distinct_tensor_counts_once() -> None:
    assert Weights(Tied(), torch.device("cpu"), keep_host=True).nbytes == TIED_BYTES


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
    where = {name: tensor.data_ptr() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    weights = Weights(model, torch.device("cpu"), keep_host=True)
    weights.upload()
    assert all(tensor.data_ptr() != where[name] for name, tensor in model.named_parameters())
    assert model.positions.data_ptr() != where["positions"]
    assert model.head.weight.data_ptr() == model.embed.weight.data_ptr()
    weights.unload()
    after = {name: tensor.data_ptr() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    assert after == where


def test_an_upload_that_fails_half_way_leaves_the_module_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Tied()
    before = {name: tensor.data_ptr() for name, tensor in model.named_parameters()}
    weights = Weights(model, torch.device("cpu"), keep_host=True)
    real, calls = torch.Tensor.to, []

    def fails_at_the_third(tensor: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(tensor, *args, **options)

    monkeypatch.setattr(torch.Tensor, "to", fails_at_the_third)
    with pytest.raises(torch.OutOfMemoryError):
        weights.upload()
    assert {name: tensor.data_ptr() for name, tensor in model.named_parameters()} == before


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
        assert manager.snapshot()["committed_bytes"] == TIED_BYTES


def test_a_thousand_tensors_are_pointed_back_in_ten_milliseconds() -> None:
    """Unload moves no bytes: only pointers change. Ten times the bar, so that a busy machine does not fail it."""
    import time

    model = nn.ModuleList(nn.Linear(8, 8) for _ in range(500))
    weights = Weights(model, torch.device("cpu"), keep_host=True)
    seconds = []
    for _ in range(5):
        weights.upload()
        started = time.perf_counter()
        weights.unload()
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.1
