"""A language model, a picture, speech and a clip, one after the other, under a budget smaller than their sum.

`python3 launch.py bench memory chain`. The checkpoints are of everyday size with random weights in float16 (3.2 GB on disk, made
for the run and removed), run in float32 through our own pipelines and manager, at small pictures and few steps so that it ends:
once without a limit, once within the budget. Every result must be the same file, byte for byte, and a watcher looks every 10 ms
whether more was promised than there is. Beside it: what the libraries take to bring the same models in.
"""

from __future__ import annotations

import gc
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipelines.audio.audio import AudioPipeline
from pipelines.catalog import ModelSpec, Source
from pipelines.diffusion.image import ImagePipeline
from pipelines.language.text import TextPipeline
from pipelines.memory import Lease, MemoryManager
from pipelines.memory.learned import WorkingSets
from pipelines.messages import AudioRequest, ImageRequest, TextRequest, VideoRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.video.video import VideoPipeline
from tests.bench.checkpoints import language_model
from tests.checkpoints import clip_tokenizer
from tests.checkpoints_audio import vits as tiny_vits

GIB = 1 << 30
BUDGET_BYTES = 5 * GIB
BESIDE_BYTES = 64 << 20
"""Private memory allowed beyond the budget: tokenizers, the interpreter and its libraries are promised to nobody."""
ROUNDS = 2
SMALL = {"budget": 900 << 20, "scale": 8}


def table(budget: int = BUDGET_BYTES, scale: int = 1) -> bool:
    """Print the results and times; whether everything is the same and nothing went over. scale: models this much thinner."""
    with tempfile.TemporaryDirectory(prefix="chain-", ignore_cleanup_errors=True) as folder:
        print("writing the checkpoints …", flush=True)
        specs = checkpoints(Path(folder), scale)
        free = run(specs, None, Path(folder))
        tight = run(specs, budget, Path(folder))
        print(
            f"| job | result | in, no limit | in, {budget / GIB:.3g} GiB | whole job, {budget / GIB:.3g} GiB |"
        )
        print("|---|---|---|---|---|")
        for a, b in zip(free.jobs, tight.jobs, strict=True):
            result = "the same bytes" if a.digest == b.digest else "OTHER BYTES"
            print(
                f"| {a.name} | {result} | {a.in_seconds:.2f} s | {b.in_seconds:.2f} s | {b.seconds:.1f} s |"
            )
        print(
            f"\nPromised at most {tight.most_promised / GIB:.2f} of {budget / GIB:.2f} GiB ({free.most_promised / GIB:.2f} GiB "
            f"without a limit); private memory grew by at most {tight.most_private / GIB:.2f} GiB ({free.most_private / GIB:.2f})."
            f"\nLoads {tight.counters['loads']}, evictions {tight.counters['evictions']} "
            f"({tight.counters['evicted_bytes'] / GIB:.2f} GiB), brought in {tight.counters['uploaded_bytes'] / GIB:.2f} GiB.\n"
        )
        libraries(specs, Path(folder))
    same = all(a.digest == b.digest for a, b in zip(free.jobs, tight.jobs, strict=True))
    return same and tight.most_promised <= budget >= tight.most_private - BESIDE_BYTES


# ---- checkpoints ------------------------------------------------------------------------------------------------------


def checkpoints(folder: Path, scale: int) -> dict[str, ModelSpec]:
    torch.manual_seed(0)
    makers = {
        "text": (_language, ("text",), "causal-lm"),
        "image": (_picture, ("image", "video"), "diffusers"),
        "speech": (_speech, ("audio",), "vits"),
    }
    specs = {}
    for name, (make, modalities, loader) in makers.items():
        make(folder / name, scale)
        gc.collect()
        source = Source(path=str(folder / name))
        specs[name] = ModelSpec(f"bench/{name}", name.title(), modalities, loader, source)
    return specs


def _language(folder: Path, scale: int) -> None:
    """0.49 B parameters."""
    language_model(folder, layers=max(1, 33 // scale)).half().save_pretrained(folder)


def _picture(folder: Path, scale: int) -> None:
    """Stable Diffusion 1.5: 860 M, 123 M and 84 M parameters."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = clip_tokenizer(folder.with_name("clip"), 77)
    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768 // scale,
        intermediate_size=3072 // scale,
        num_hidden_layers=max(1, 12 // scale),
        num_attention_heads=12,
        projection_dim=768 // scale,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=tuple(max(32, width // scale) for width in (128, 256, 512, 512)),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=max(1, 2 // scale),
        ).half(),
        text_encoder=CLIPTextModel(text).half(),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            block_out_channels=tuple(max(32, width // scale) for width in (320, 640, 1280, 1280)),
            cross_attention_dim=768 // scale,
            attention_head_dim=8,
            layers_per_block=max(1, 2 // scale),
            norm_num_groups=32 if scale == 1 else 8,
        ).half(),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def _speech(folder: Path, scale: int) -> None:
    """VITS in its own size: 36 M parameters."""
    from transformers import AutoTokenizer, VitsConfig, VitsModel

    shutil.copytree(tiny_vits(), folder)
    words = len(AutoTokenizer.from_pretrained(folder))
    config = VitsConfig(
        vocab_size=words,
        sampling_rate=16_000,
        num_hidden_layers=max(1, 6 // scale),
        posterior_encoder_num_wavenet_layers=16 // scale,
        prior_encoder_num_wavenet_layers=max(1, 4 // scale),
        upsample_initial_channel=512 // scale,
    )
    VitsModel(config).save_pretrained(folder)


# ---- the chain --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """in_seconds: until all it borrowed was there."""

    name: str
    digest: str
    in_seconds: float
    seconds: float


@dataclass
class Run:
    jobs: list[Done] = field(default_factory=list)
    most_promised: int = 0
    most_private: int = 0
    counters: dict[str, Any] = field(default_factory=dict)


class Timed(MemoryManager):
    """Counts how long leases take to be granted."""

    in_seconds = 0.0

    def acquire(self, lease: Lease) -> None:
        started = time.perf_counter()
        try:
            super().acquire(lease)
        finally:
            self.in_seconds += time.perf_counter() - started


def run(specs: dict[str, ModelSpec], budget: int | None, folder: Path) -> Run:
    """Two rounds of four jobs."""
    gc.collect()
    device = TorchDevice("cpu", budget_bytes=budget)
    manager, made = Timed(device, prefetch=False, working_sets=WorkingSets(None, device.name)), Run()
    before, over = _private_bytes(), threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            promised = manager.snapshot()["committed_bytes"]
            made.most_promised = max(made.most_promised, promised)
            made.most_private = max(made.most_private, _private_bytes() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(ROUNDS):
            for name, pipeline, model, request in jobs(number):
                manager.in_seconds, started = 0.0, time.perf_counter()
                ctx = Context("bench", specs[model], manager, lambda event: None, lambda: False, folder)
                digest = hashlib.sha256()
                for artifact in pipeline.generate(request, ctx):
                    digest.update(artifact.data or Path(artifact.path or "").read_bytes())
                seconds = time.perf_counter() - started
                manager.sweep()  # as the worker does every second
                made.jobs.append(Done(name, digest.hexdigest(), manager.in_seconds, seconds))
                print(
                    f"  {name}: {seconds:.1f} s, {manager.in_seconds:.2f} s of them bringing in", flush=True
                )
    finally:
        over.set()
        watcher.join()
    made.counters = manager.snapshot()["counters"]
    manager.close()
    return made


def jobs(number: int) -> Sequence[tuple[str, Any, str, Any]]:
    """(what it is called, pipeline, model, request) of one round."""
    size: dict[str, Any] = {"width": 128, "height": 128, "num_inference_steps": 2, "seed": number}
    story = TextRequest(prompt="Tell a story", model="bench/text", temperature=0, max_tokens=12, seed=1)
    picture = ImageRequest(prompt="a red house on green hills", model="bench/image", **size)
    voice = AudioRequest(prompt="the cat sat on the mat", model="bench/speech", seed=number)
    clip = VideoRequest(
        prompt="a red cat\na blue cat",
        model="bench/image",
        seconds=1.0,
        keyframes_per_second=2.0,
        fps="8",
        **size,
    )
    return (
        ("text, 0.49 B", TextPipeline(), "text", story),
        ("picture, SD 1.5 size", ImagePipeline(), "image", picture),
        ("speech, VITS", AudioPipeline(), "speech", voice),
        ("clip, same model", VideoPipeline(), "image", clip),
    )


def _private_bytes() -> int:
    fields = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    return sum(int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssShmem"))


# ---- beside it --------------------------------------------------------------------------------------------------------


def libraries(specs: dict[str, ModelSpec], folder: Path) -> None:
    """Print what plain loading takes each time, and diffusers' own ways of sharing memory, as far as they run here."""
    from diffusers import StableDiffusionPipeline
    from transformers import AutoModelForCausalLM, VitsModel

    paths = {name: spec.source.path for name, spec in specs.items()}

    def picture() -> Any:
        return StableDiffusionPipeline.from_pretrained(
            paths["image"], dtype=torch.float32, local_files_only=True
        )

    loads: dict[str, Callable[[], Any]] = {
        "text": lambda: AutoModelForCausalLM.from_pretrained(paths["text"], dtype=torch.float32),
        "picture and clip": picture,
        "speech": lambda: VitsModel.from_pretrained(paths["speech"], dtype=torch.float32),
    }
    print("| plain `from_pretrained` each time | first | again |\n|---|---|---|")
    for name, load in loads.items():
        print(f"| {name} | {_seconds(load):.2f} s | {_seconds(load):.2f} s |", flush=True)
    print("\n| diffusers' own ways, on this machine | one picture of 2 steps |\n|---|---|")
    for name, prepare in _ways(folder).items():
        print(f"| {name} | {_tried(picture(), prepare)} |", flush=True)


def _tried(pipe: Any, prepare: Callable[[Any], Any]) -> str:
    """Seconds of a picture after one to warm up, or why there is none."""

    def draw() -> None:
        pipe(prompt="a red house", width=128, height=128, num_inference_steps=2)

    pipe.set_progress_bar_config(disable=True)
    try:
        prepare(pipe)
        draw()
        return f"{_seconds(draw):.1f} s"
    except Exception as error:
        return f"does not run: {type(error).__name__}: {str(error).splitlines()[0][:120]}"


def _ways(folder: Path) -> dict[str, Callable[[Any], Any]]:
    cpu = torch.device("cpu")

    def automatic(pipe: Any) -> None:
        from diffusers import ComponentsManager

        manager = ComponentsManager()
        for name in ("text_encoder", "unet", "vae"):
            manager.add(name, getattr(pipe, name))
        manager.enable_auto_cpu_offload(device="cpu")

    return {
        "everything stays loaded": lambda pipe: pipe,
        "`enable_model_cpu_offload`": lambda pipe: pipe.enable_model_cpu_offload(device="cpu"),
        "`enable_sequential_cpu_offload`": lambda pipe: pipe.enable_sequential_cpu_offload(device="cpu"),
        "`enable_group_offload`, to disk": lambda pipe: pipe.enable_group_offload(
            onload_device=cpu,
            offload_device=cpu,
            offload_type="block_level",
            num_blocks_per_group=1,
            offload_to_disk_path=str(folder / "groups"),
        ),
        "`ComponentsManager`": automatic,
    }


def _seconds(task: Callable[[], Any]) -> float:
    gc.collect()
    started = time.perf_counter()
    made = task()
    seconds = time.perf_counter() - started
    del made
    return seconds
