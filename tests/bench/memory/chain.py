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
from tests.bench.report import Report
from tests.checkpoints import clip_tokenizer
from tests.checkpoints_audio import vits as tiny_vits

GIB = 1 << 30
BUDGET_BYTES = 5 * GIB
BESIDE_BYTES = 64 << 20
"""Private memory allowed beyond the budget: tokenizers, the interpreter and its libraries are promised to nobody."""
ROUNDS = 2
SMALL = {"budget": 450 << 20, "scale": 8}


def tell(report: Report, budget: int = BUDGET_BYTES, scale: int = 1) -> None:
    """The times; the bars are that every result is the same and nothing went over. scale: models this much thinner."""
    with tempfile.TemporaryDirectory(prefix="chain-", ignore_cleanup_errors=True) as folder:
        specs = checkpoints(Path(folder), scale)
        free = run(specs, None, Path(folder))
        tight = run(specs, budget, Path(folder))
        within = f"{budget / GIB:.3g} GiB"
        for name in dict.fromkeys(job.name for job in free.jobs):
            before, after = free.of(name), tight.of(name)
            report.figure(f"{name}, no limit (baseline)", [job.seconds for job in before])
            whole = [job.seconds for job in before]
            report.figure(f"{name}, within {within}", [job.seconds for job in after], whole)
            report.figure(f"{name}, within {within}, bringing in", [job.in_seconds for job in after], whole)
        bars(report, free, tight, budget)
        libraries(report, specs, Path(folder))


def bars(report: Report, free: Run, tight: Run, budget: int) -> None:
    other = [a.name for a, b in zip(free.jobs, tight.jobs, strict=True) if a.digest != b.digest]
    report.bar("results that are not the same bytes", "0", ", ".join(other) or "0", not other)
    for name, most, allowed in (
        ("promised at most", tight.most_promised, budget),
        ("private memory grew by at most", tight.most_private, budget + BESIDE_BYTES),
    ):
        report.bar(name, f"{allowed / GIB:.2f} GiB", f"{most / GIB:.2f} GiB", most <= allowed)
    counters = tight.counters
    report.say(
        f"Without a limit {free.most_promised / GIB:.2f} GiB are promised. Loads {counters['loads']}, evictions "
        f"{counters['evictions']} ({counters['evicted_bytes'] / GIB:.2f} GiB), brought in "
        f"{counters['uploaded_bytes'] / GIB:.2f} GiB."
    )


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

    def of(self, name: str) -> list[Done]:
        return [job for job in self.jobs if job.name == name]


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


def libraries(report: Report, specs: dict[str, ModelSpec], folder: Path) -> None:
    """What plain loading takes each time, and diffusers' own ways of sharing memory, as far as they run here."""
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
    report.say("Plain `from_pretrained`, the first time and again:")
    for name, load in loads.items():
        report.figure(name, [_seconds(load), _seconds(load)])
    ways = [f"| {name} | {_tried(picture(), prepare)} |" for name, prepare in _ways(folder).items()]
    header = "| diffusers' own ways, on this machine | one picture of 2 steps |\n|---|---|\n"
    report.say(header + "\n".join(ways))


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
