"""Weights that leave host memory and come back from their files: the module stays, the bits are the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pipelines.errors import Cancelled, ModelUnavailable
from pipelines.memory import Component, MemoryManager
from pipelines.memory.weights.file_reader import Reader, Stored, remember_stored
from pipelines.memory.weights.mapped import Mapped, hold_unified
from pipelines.runtime.device import TorchDevice
from tests.memory.test_weights import digest

linux = pytest.mark.skipif(
    not Path("/proc/self/smaps").exists(), reason="this system does not tell what is mapped"
)
CPU = torch.device("cpu")


class Net(nn.Module):
    """A head tied to its embedding, and a table that is in no file."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.head = nn.Linear(width, 100, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("frequencies", torch.linspace(0, 1, 8), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(tokens)
        for block in self.blocks:
            hidden = torch.tanh(block(hidden))
        return self.head(hidden) + self.frequencies.sum()


def saved(path: Path, dtype: torch.dtype = torch.float32, width: int = 64, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    tensors = {name: t.detach().to(dtype) for name, t in Net(width).named_parameters()}
    save_file(tensors, path)
    return path


def opened(path: Path, rename: str = "", width: int = 64) -> Net:
    """As libraries open it: mapped where the dtype is right, converted to float32 where not."""
    from pipelines.loading.parts import stored_in

    with torch.device("meta"):
        net = Net(width)
    tensors = {f"{name}": tensor.to(torch.float32) for name, tensor in load_file(path).items()}
    tensors["head.weight"] = tensors["embed.weight"]
    net.load_state_dict(tensors, assign=True)
    net.head.weight = net.embed.weight
    net.frequencies = torch.linspace(0, 1, 8)
    remember_stored(net, stored_in([path]))
    return net.eval().requires_grad_(False)


def mapped_files() -> str:
    return Path("/proc/self/maps").read_text()


def anonymous_bytes() -> int:
    """Memory of this process that is no file's, what the C library keeps given back."""
    from pipelines.runtime.device import _own_host_bytes

    TorchDevice("cpu").empty_cache()
    return _own_host_bytes()


@linux
def test_mapped_weights_leave_and_are_mapped_again(tmp_path: Path) -> None:
    net = opened(saved(tmp_path / "net.safetensors"))
    tokens = torch.arange(10)[None]
    before, output = digest(net), net(tokens)
    held = Mapped(net)  # what is mapped is found without being told where
    assert held.returns
    assert held.nbytes == held.device_bytes == 4 * (100 * 64 + 4 * 64 * 65) + 32
    held.unload()
    assert str(tmp_path) not in mapped_files()
    assert held.device_bytes == 0
    assert all(parameter.numel() == 0 for parameter in net.parameters())
    held.upload()
    assert str(tmp_path / "net.safetensors") in mapped_files()
    assert digest(net) == before
    assert torch.equal(net(tokens), output)
    assert net.head.weight is net.embed.weight


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_converted_weights_are_read_and_converted_again(tmp_path: Path, dtype: torch.dtype) -> None:
    net = opened(saved(tmp_path / "net.safetensors", dtype))
    before = digest(net)
    held = hold_unified(net, CPU)
    for _ in range(3):
        held.unload()
        assert (held.device_bytes, net.embed.weight.numel(), net.frequencies.numel()) == (0, 0, 8)
        held.upload()
        assert digest(net) == before
        assert held.device_bytes == held.nbytes


def test_a_skeleton_takes_no_memory(tmp_path: Path) -> None:
    """64 MB of weights, gone from the process and back."""
    net = opened(saved(tmp_path / "net.safetensors", torch.float16, width=2000), width=2000)
    held = hold_unified(net, CPU)
    full = anonymous_bytes()
    held.unload()
    away = anonymous_bytes()
    held.upload()
    assert full - away == pytest.approx(held.nbytes, abs=4 << 20)
    assert anonymous_bytes() - away == pytest.approx(held.nbytes, abs=4 << 20)


def test_weights_are_found_under_other_names(tmp_path: Path) -> None:
    """A checkpoint in another layout calls its tensors otherwise; numbers tell which is which."""
    net = opened(saved(tmp_path / "net.safetensors", torch.float16))
    renamed = {
        f"part.{number}": tensor
        for number, tensor in enumerate(load_file(tmp_path / "net.safetensors").values())
    }
    save_file(renamed, tmp_path / "other.safetensors")
    from pipelines.loading.parts import stored_in

    before, held = digest(net), Mapped(net, list(stored_in([tmp_path / "other.safetensors"])))
    assert held.returns
    held.unload()
    held.upload()
    assert digest(net) == before


def test_a_module_that_is_in_no_file_does_not_return() -> None:
    net = Net()
    before, held = digest(net), hold_unified(net, CPU)
    assert not held.returns
    held.unload()
    assert digest(net) == before  # it stays whole until it is dropped


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_weight_changed_after_it_was_read_is_not_taken_from_the_file(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    net = opened(saved(tmp_path / "net.safetensors", dtype))
    net.blocks[2].weight[3, 5] += 1  # one number
    assert not hold_unified(net, CPU).returns


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_upload_may_be_cancelled_anywhere_and_goes_on_later(
    tmp_path: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.memory.weights.mapped.BATCH_BYTES", 1)  # a tensor at a time
    net = opened(saved(tmp_path / "net.safetensors", dtype))
    before, held = digest(net), hold_unified(net, CPU)
    seen = set()
    for moment in range(100):
        held.unload()
        looks = iter(range(moment))

        def check(looks: object = looks) -> None:
            if next(looks, None) is None:  # type: ignore[call-overload]
                raise Cancelled

        try:
            held.upload(check=check)
        except Cancelled:
            here = held.device_bytes
            seen.add(here)
            held.unload(here)  # what arrived may stay
            assert held.device_bytes == here
        else:
            break
        if moment % 3 == 0:
            held.upload()
            assert digest(net) == before
    assert len(seen) > 5
    assert digest(net) == before


@pytest.mark.parametrize("what", ["vanished", "cut off", "replaced"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_file_that_changed_fails_that_upload_and_nothing_else(
    tmp_path: Path, dtype: torch.dtype, what: str
) -> None:
    path = saved(tmp_path / "net.safetensors", dtype)
    held = hold_unified(opened(path), CPU)
    held.unload()
    if what == "vanished":
        path.unlink()
    elif what == "cut off":
        os.truncate(path, 5000)
    else:
        saved(tmp_path / "new.safetensors", dtype, seed=1).replace(path)
    with pytest.raises(ModelUnavailable) as caught:
        held.upload()
    assert str(path) in caught.value.detail
    assert caught.value.hint
    assert not held.returns
    assert held.device_bytes == 0


def test_models_take_turns_on_the_cpu_without_being_loaded_again(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{seed}.safetensors", torch.float16, seed=seed) for seed in range(2)]
    loads: list[Path] = []

    def load(path: Path) -> Net:
        loads.append(path)
        return opened(path)

    components = [Component(f"net{i}", lambda path=path: load(path), 100) for i, path in enumerate(paths)]
    nbytes = Mapped(opened(paths[0])).nbytes
    assert nbytes is not None
    manager = MemoryManager(TorchDevice("cpu", budget_bytes=nbytes + 100), prefetch=False)
    expected = [digest(opened(path)) for path in paths]
    for turn in range(100):
        with manager.lease([components[turn % 2]]) as lease:
            assert digest(lease[components[turn % 2]]) == expected[turn % 2]
    assert loads == paths
    paths[0].unlink()
    with pytest.raises(ModelUnavailable), manager.lease([components[0]]):
        pass
    saved(paths[0], torch.float16, seed=0)
    for turn in range(3):
        with manager.lease([components[turn % 2]]) as lease:
            assert digest(lease[components[turn % 2]]) == expected[turn % 2]
    assert loads == [*paths, paths[0]]  # it was dropped, and read anew
    manager.close()


def test_a_file_that_ends_early_says_where(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(100))
    missing = Stored("blocks.0.weight", tmp_path / "short", 64, torch.float16, 100)
    with Reader() as reader, pytest.raises(EOFError, match=r"short ends before blocks\.0\.weight"):
        reader.fill([(missing, torch.empty(100))])


def test_reading_converts_as_torch_does_whatever_the_size(tmp_path: Path) -> None:
    numbers = torch.randn(1_500_000)
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        stored = numbers.to(dtype)
        path = tmp_path / "numbers"
        path.write_bytes(bytes(7) + stored.view(torch.uint8).numpy().tobytes())
        place = torch.empty(1000, 1500)
        one = Stored("numbers", path, 7, dtype, numbers.numel())
        with Reader(3) as reader:
            reader.fill([(one, place)])
            assert torch.equal(place.view(-1), stored.to(torch.float32))
            assert reader.same([(one, place)]) == [True]
            place[999, 1499] += 1
            assert reader.same([(one, place)]) == [False]


@linux
def test_files_of_the_hubs_cache_are_found_behind_their_links(tmp_path: Path) -> None:
    """There a weight file is a link to a blob whose name is a sum, with no suffix."""
    blob = saved(tmp_path / "net.safetensors").rename(tmp_path / ("0" * 64))
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    net = opened(link)
    before, held = digest(net), Mapped(net)
    assert held.returns
    held.unload()
    assert str(blob) not in mapped_files()
    held.upload()
    assert digest(net) == before


def test_a_language_model_says_the_same_after_it_was_away() -> None:
    from pipelines.loading.language import causal_lm
    from tests import checkpoints_language as tiny

    for dtype in (torch.float32, torch.bfloat16):
        model = causal_lm(tiny.spec_of(tiny.tiny_chat()), dtype).component.load()
        tokens = torch.arange(20)[None]
        with torch.no_grad():
            before = model(tokens).logits
            held = hold_unified(model, CPU)
            assert held.returns
            held.unload()
            held.upload()
            assert torch.equal(model(tokens).logits, before)
        assert model.lm_head.weight is model.model.embed_tokens.weight


def test_what_leaves_in_part_is_free_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights read together share a block of memory, so they leave together: less may stay than was allowed, never more."""
    monkeypatch.setattr("pipelines.memory.weights.mapped.BATCH_BYTES", 40 << 20)  # two layers
    net = opened(saved(tmp_path / "net.safetensors", torch.float16, width=2000), width=2000)
    before, held = digest(net), hold_unified(net, CPU)
    held.unload()
    away = anonymous_bytes()
    held.upload()
    held.unload(held.device_bytes - 1)
    assert held.device_bytes == pytest.approx(33_000_000, abs=1_000_000)
    assert anonymous_bytes() - away == pytest.approx(held.device_bytes, abs=4 << 20)
    held.upload()
    assert digest(net) == before
