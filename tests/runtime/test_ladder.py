"""Work that runs out of memory is done again with less, gives the very same result, and says what was done; or fails clearly.

Real tiny models on the CPU. Memory runs out where a hook on a module says so.
"""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.modules.module import register_module_forward_pre_hook

from pipelines.audio.audio import AudioPipeline
from pipelines.catalog import ModelSpec, Source
from pipelines.diffusion.image import ImagePipeline
from pipelines.diffusion.memory_saving import TILED, PaintingWay, painting_ways
from pipelines.diffusion.painter import Painter
from pipelines.errors import Cancelled, OutOfMemory
from pipelines.language.text import TextPipeline
from pipelines.loading.diffusion import diffusers_bundle
from pipelines.memory import Component, MemoryManager
from pipelines.memory.learned import WorkingSets
from pipelines.messages import Artifact, AudioRequest, ImageRequest, TextDelta, TextRequest, VideoRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.runtime.ladder import AGAIN, ALONE, STREAMED, Ladder, Way, choose
from pipelines.video.video import VideoPipeline
from tests import checkpoints, checkpoints_audio, checkpoints_language, checkpoints_video

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
REQUEST = ImageRequest(
    prompt="a red cat", width=64, height=64, num_inference_steps=3, seed=3, model="local/tiny"
)


@dataclass
class Fault:
    """How often its modules ran, and how often memory ran out there."""

    runs: int = 0
    failures: int = 0


@contextmanager
def memory_runs_out(
    name: str,
    times: int = 1,
    after: int = 0,
    error: Exception = FULL,
    when: Callable[[torch.nn.Module, Any], bool] = lambda module, inputs: True,
) -> Iterator[Fault]:
    """Running a module of that class fails `times` times, the first after `after` good runs."""
    fault = Fault()

    def hook(module: torch.nn.Module, inputs: Any) -> None:
        if type(module).__name__ != name or not when(module, inputs):
            return
        if fault.runs >= after and fault.failures < times:
            fault.failures += 1
            raise error
        fault.runs += 1

    handle = register_module_forward_pre_hook(hook)
    try:
        yield fault
    finally:
        handle.remove()


@dataclass
class Bench:
    """A device with its manager, and what was told to whoever watches."""

    memory: MemoryManager
    spool: Path
    events: list[Any] = field(default_factory=list)

    def context(self, folder: Path, loader: Any = "diffusers", **more: Any) -> Context:
        spec = ModelSpec(f"local/{folder.name}", folder.name, ("image",), loader, Source(path=str(folder)))
        settings = {"emit": self.events.append, "is_cancelled": lambda: False} | more
        return Context("job", spec, self.memory, spool=self.spool, **settings)

    def paint(self, request: ImageRequest = REQUEST, **more: Any) -> list[Artifact]:
        ctx = self.context(checkpoints.sd15(), **more)
        return list(ImagePipeline().generate(request, ctx))

    def write(self, **knobs: Any) -> Artifact:
        ctx = self.context(checkpoints_language.tiny_chat(), "causal-lm")
        fields = {"prompt": "The quick brown", "max_tokens": 24, "temperature": 1.0, "seed": 1, **knobs}
        (artifact,) = TextPipeline().generate(TextRequest(**fields), ctx)
        return artifact

    def speak(self, build: Callable[[], Path], **knobs: Any) -> Artifact:
        loader = build.__name__
        ctx = self.context(build(), loader)
        text = "the cat sat down. it sang a song about the sea, all day long until the night."
        request = AudioRequest(**{"prompt": text, "seed": 5, "seconds": 1, **knobs})
        (artifact,) = AudioPipeline().generate(request, ctx)
        return artifact

    def said(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(MemoryManager(TorchDevice("cpu")), tmp_path)


def notes(artifact: Artifact) -> list[str]:
    return list(artifact.facts.get("notes", ()))


def pixels(artifact: Artifact) -> np.ndarray:
    assert artifact.data is not None
    return np.asarray(Image.open(io.BytesIO(artifact.data))).astype(int)


# ---- the same result ----


@pytest.mark.parametrize("part", ["CLIPTextModel", "UNet2DConditionModel", "Decoder"])
def test_a_picture_made_again_is_the_same_to_the_byte(bench: Bench, part: str) -> None:
    (plain,) = bench.paint()
    with memory_runs_out(part) as fault:
        (made,) = bench.paint()
    assert fault.failures == 1
    assert made.data == plain.data
    assert (notes(plain), notes(made)) == ([], [AGAIN])


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 8 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.05 GB, max allowed: 5.10 GB, shape)"),
        MemoryError(),
    ],
)
def test_every_device_s_way_to_say_it_is_understood(bench: Bench, error: Exception) -> None:
    (plain,) = bench.paint()
    with memory_runs_out("UNet2DConditionModel", error=error):
        (made,) = bench.paint()
    assert made.data == plain.data


def test_only_the_decoding_is_repeated_when_only_that_failed(bench: Bench) -> None:
    with memory_runs_out("Decoder", times=1), memory_runs_out("UNet2DConditionModel", times=0) as network:
        bench.paint()
    assert network.runs == 3 + 1  # the scheduler of this model takes one step twice


def test_pictures_already_made_are_kept_and_only_the_current_one_is_repeated(bench: Bench) -> None:
    batch = REQUEST.model_copy(update={"num_images": 3})
    plain = bench.paint(batch)
    with memory_runs_out("UNet2DConditionModel", after=5) as fault:
        made = bench.paint(batch)
    assert [artifact.data for artifact in made] == [artifact.data for artifact in plain]
    assert fault.runs == 4 + (1 + 4) + 4
    assert [notes(artifact) for artifact in made] == [[], [AGAIN], []]


def test_a_keyframe_made_again_leaves_the_clip_as_it_was(bench: Bench) -> None:
    request = VideoRequest(
        prompt="a red cat", model="local/tiny", width=64, height=64, num_inference_steps=2, seed=5,
        seconds=1, keyframes_per_second=2.0, fps="12",
    )  # fmt: skip

    def film() -> tuple[bytes, list[str]]:
        ctx = bench.context(checkpoints.sd15())
        (artifact,) = VideoPipeline().generate(request, ctx)
        assert artifact.path is not None
        return Path(artifact.path).read_bytes(), notes(artifact)

    plain, _ = film()
    with memory_runs_out("UNet2DConditionModel", after=4):
        made, told = film()
    assert (made, told) == (plain, [AGAIN])


def test_a_shot_of_a_video_model_is_made_again(bench: Bench) -> None:
    request = VideoRequest(
        prompt="a red cat", model="local/tiny", width=64, height=64, num_inference_steps=2, seed=5, seconds=0.5, fps="8"
    )  # fmt: skip
    ctx = bench.context(checkpoints_video.ltx())
    with memory_runs_out("LTXVideoTransformer3DModel", after=1) as fault:
        (artifact,) = VideoPipeline().generate(request, ctx)
    assert fault.failures == 1
    assert AGAIN in notes(artifact)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("after", [0, 7])
def test_a_text_goes_on_where_it_was_and_says_nothing_twice(
    bench: Bench, after: int, temperature: float
) -> None:
    plain = bench.write(temperature=temperature)
    bench.events.clear()
    with memory_runs_out("Qwen2ForCausalLM", times=1, after=after) as fault:
        made = bench.write(temperature=temperature)
    assert fault.failures == 1
    assert made.data == plain.data
    assert bench.said().encode() == plain.data
    assert notes(made) == [AGAIN]
    assert made.facts["completion_tokens"] == plain.facts["completion_tokens"]


@pytest.mark.parametrize(
    ("build", "part"),
    [
        (checkpoints_audio.bark, "BarkCoarseModel"),
        (checkpoints_audio.vits, "VitsHifiGan"),
        (checkpoints_audio.musicgen, "MusicgenForCausalLM"),
    ],
)
def test_a_sound_made_again_is_the_same(bench: Bench, build: Callable[[], Path], part: str) -> None:
    plain = bench.speak(build)
    with memory_runs_out(part, after=0 if part == "VitsHifiGan" else 2) as fault:
        made = bench.speak(build)
    assert fault.failures == 1
    assert made.data == plain.data
    assert notes(made) == [AGAIN]


# ---- the rungs ----


def test_what_a_failed_attempt_held_is_gone_before_the_next(bench: Bench) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def attempt(lease: object) -> str:
        if not held:
            activations = torch.ones(1000)
            held.append(weakref.ref(activations))
            try:
                raise ValueError(f"inside a library, {activations.sum()}")
            except ValueError as inner:
                raise FULL from inner
        gc.collect(0)
        assert held[0]() is None
        return "done"

    with Ladder(bench.context(checkpoints.sd15()), [], 0) as ladder:
        assert ladder.run(attempt) == "done"


def test_idle_models_are_put_away_when_that_was_not_enough(bench: Bench) -> None:
    idle = Component("local/other:part:float32", lambda: torch.nn.Linear(8, 8), 288)
    with bench.memory.lease([idle]):
        pass
    with memory_runs_out("UNet2DConditionModel", times=2):
        (made,) = bench.paint()
    assert notes(made) == [ALONE]
    assert idle.key not in [part["key"] for part in bench.memory.snapshot()["components"]]


def test_a_picture_is_decoded_in_tiles_when_the_whole_is_too_large(bench: Bench) -> None:
    """And the lent decoder is as it was: the next picture is decoded at once again."""
    large = REQUEST.model_copy(update={"width": 320, "height": 256})
    (plain,) = bench.paint(large)

    def is_large(module: Any, inputs: Any) -> bool:
        return bool(inputs[0].shape[-1] > 32)  # more than 256 pixels wide

    with (
        memory_runs_out("Decoder", times=99, when=is_large) as decoder,
        memory_runs_out("UNet2DConditionModel", times=0) as network,
    ):
        (made,) = bench.paint(large)
    assert notes(made) == [TILED]
    assert network.runs == 4  # denoised once
    assert decoder.failures >= 2
    assert pixels(made).shape == pixels(plain).shape
    assert np.abs(pixels(made) - pixels(plain)).mean() < 8  # tiles are normalised one by one
    assert bench.paint(large)[0].data == plain.data


def test_the_two_halves_of_guidance_give_the_same_picture_one_after_the_other(bench: Bench) -> None:
    """Up to rounding: matrix kernels differ by the size of a batch."""
    (plain,) = bench.paint()
    ctx = bench.context(checkpoints.sd15())
    bundle = diffusers_bundle(ctx.spec, ctx.dtype)
    with (
        memory_runs_out("UNetMidBlock2DCrossAttn", times=0, when=lambda m, i: i[0].shape[0] == 1) as single,
        Ladder(ctx, bundle.components, [PaintingWay(1 << 20, apart=True)]) as ladder,
    ):
        painter = Painter(bundle, ladder)
        made = painter.paint(REQUEST, ctx.generator(REQUEST.seed)).pixels.astype(int)
    assert single.runs == 2 * 4
    assert np.abs(made - pixels(plain)).max() <= 1


def test_the_weights_are_streamed_when_nothing_else_helped(tmp_path: Path) -> None:
    bench = Bench(MemoryManager(TorchDevice("cpu", budget_bytes=1 << 30, unified=False)), tmp_path)
    (plain,) = bench.paint()
    with memory_runs_out("UNet2DConditionModel", times=2):
        (made,) = bench.paint()
    assert made.data == plain.data
    assert notes(made) == [STREAMED]


def test_what_helps_nothing_ends_in_one_clear_error_and_the_next_job_works(bench: Bench) -> None:
    with memory_runs_out("UNet2DConditionModel", times=99) as fault, pytest.raises(OutOfMemory) as refusal:
        bench.paint()
    assert 1 < fault.failures < 8
    problem = refusal.value.problem()
    assert problem.message == "cpu ran out of memory in the middle of the work."
    assert "Tried to allocate 2.00 GiB" in problem.detail
    assert "with everything unused freed" in problem.detail
    assert problem.hint.startswith("Try a smaller size")
    assert bench.memory.snapshot()["working_bytes"] == 0
    assert notes(bench.paint()[0]) == []


def test_another_error_is_not_tried_again(bench: Bench) -> None:
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with (
        memory_runs_out("UNet2DConditionModel", times=99, error=error) as fault,
        pytest.raises(RuntimeError, match="illegal memory access"),
    ):
        bench.paint()
    assert fault.failures == 1


def test_a_cancel_is_heard_between_two_attempts(bench: Bench) -> None:
    cancelled: list[bool] = []

    def note(module: Any, inputs: Any) -> bool:
        cancelled.append(True)
        return True

    with memory_runs_out("UNet2DConditionModel", times=99, when=note) as fault, pytest.raises(Cancelled):
        bench.paint(is_cancelled=lambda: bool(cancelled))
    assert fault.failures == 1


def test_running_out_is_told_and_raises_what_is_promised_the_next_time(tmp_path: Path) -> None:
    learned = WorkingSets(None, "a device")
    bench = Bench(MemoryManager(TorchDevice("cpu"), working_sets=learned), tmp_path)
    ctx = bench.context(checkpoints.sd15())
    way = Way(1 << 20, work="a kind of work")
    failures = [FULL]

    def attempt(lease: object) -> None:
        if failures:
            raise failures.pop()

    with Ladder(ctx, [], [way]) as ladder:
        ladder.run(attempt)
    assert learned.estimate("a kind of work", 1 << 20) >= 1.25 * (1 << 20)
    assert [event["what"] for event in bench.memory.events()][-1] == "oom"
    assert bench.memory.snapshot()["counters"]["out_of_memory"] == 1


# ---- the way is chosen before it begins ----


def ways(memory: MemoryManager, *sizes: int) -> Sequence[Way]:
    return [Way(size, name=str(size)) for size in sizes]


def test_the_first_way_that_fits_is_taken() -> None:
    memory = MemoryManager(TorchDevice("cpu", budget_bytes=1000))
    assert choose(memory, [], ways(memory, 900, 500))[0].name == "900"
    assert choose(memory, [], ways(memory, 2000, 900, 500))[0].name == "900"
    way, plan = choose(memory, [], ways(memory, 3000, 2000))
    assert (way.name, plan.fits) == ("2000", False)


def test_a_thriftier_way_with_all_the_weights_there_comes_before_streaming_them() -> None:
    memory = MemoryManager(TorchDevice("cpu", budget_bytes=150 << 20, unified=False))
    model = Component("local/model:part:float32", lambda: None, 100 << 20)
    way, plan = choose(memory, [model], ways(memory, 90 << 20, 20 << 20))
    assert (way.working_bytes, plan.how) == (20 << 20, "full")
    way, plan = choose(memory, [model], ways(memory, 90 << 20, 80 << 20))
    assert (way.working_bytes, plan.how, plan.streamed) == (90 << 20, "streamed", (model.key,))


def test_each_way_to_paint_takes_less_than_the_one_before() -> None:
    spec = Bench(MemoryManager(TorchDevice("cpu")), Path()).context(checkpoints.sd15()).spec
    bundle = diffusers_bundle(spec, torch.float32)
    found = painting_ways(bundle, REQUEST.model_copy(update={"width": 1024, "height": 768}))
    assert [way.name for way in found][:3] == ["", "tiled", "tiled small"]
    sizes = [way.working_bytes for way in found]
    assert sizes == sorted(sizes, reverse=True)
    assert len({way.work for way in found}) == len(found)
    assert [way.name for way in painting_ways(bundle, REQUEST)] == [""]


def test_a_picture_too_large_for_the_device_is_decoded_in_tiles_from_the_start(tmp_path: Path) -> None:
    large = REQUEST.model_copy(update={"width": 384, "height": 256})
    spec = Bench(MemoryManager(TorchDevice("cpu")), tmp_path).context(checkpoints.sd15()).spec
    bundle = diffusers_bundle(spec, torch.float32)
    whole, tiled, *_ = painting_ways(bundle, large)
    weights = sum(component.nbytes for component in bundle.components)
    device = TorchDevice("cpu", budget_bytes=weights + (whole.working_bytes + tiled.working_bytes) // 2)
    bench = Bench(MemoryManager(device), tmp_path)
    assert choose(bench.memory, bundle.components, painting_ways(bundle, large))[0].name == tiled.name
    with memory_runs_out("Decoder", times=0, when=lambda m, i: i[0].shape[-1] > 32) as whole_decoding:
        (made,) = bench.paint(large)
    assert whole_decoding.runs == 0
    assert notes(made) == [TILED]
