"""What our pipelines cost over plain library calls: the same picture, text and speech from the same seed, in one run.

`python3 launch.py bench overhead [--runs N] [--small]`. Outputs must be identical, pixel for pixel, token for token, sample for
sample; then the times are compared, taken in turn. Model loading is outside: it is done once on both sides.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipelines.audio.audio import AudioPipeline
from pipelines.catalog import Catalog, ModelSpec, Source
from pipelines.diffusion.image import ImagePipeline
from pipelines.language.text import TextPipeline
from pipelines.memory import MemoryManager
from pipelines.messages import AudioRequest, ImageRequest, TextRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from tests.bench.checkpoints import language_model
from tests.bench.report import Report, in_turn, parser
from tests.checkpoints_audio import vits as tiny_vits

Task = Callable[[], np.ndarray]
PROMPT = "a red house on green hills at sunset"
MOST = 1.03
"""Of the plain call's time."""
SENTENCE = "Every picture, text and clip you make here stays on your machine."


def main(argv: list[str]) -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--small", action="store_true", help="models of next to no size, to see that it runs"
    )
    told = arguments.parse_args(argv)
    memory = MemoryManager(TorchDevice("cpu"))
    catalog = Catalog(hub=False)
    with tempfile.TemporaryDirectory() as folder:
        comparisons = [
            image(catalog, memory),
            text(catalog, memory),
            long_text(Path(folder, "text"), memory, layers=1 if told.small else 24),
            speech(Path(folder, "speech"), memory, width=64 if told.small else 512),
        ]
        report = Report(f"{told.runs} runs each, in turn, models loaded")
        found = [compare(*comparison, told.runs, report) for comparison in comparisons]
    for name, is_same, _ in found:
        report.bar(f"{name}: the same output", "yes", "yes" if is_same else "no", is_same)
    name, _, ratio = max(found, key=lambda each: each[2])
    report.bar(
        f"our time over theirs, the quickest runs, the largest ratio: {name}",
        f"{MOST:g}×",
        f"{ratio:.3f}×",
        ratio <= MOST,
    )
    return report.end()


def compare(name: str, ours: Task, plain: Task, runs: int, report: Report) -> tuple[str, bool, float]:
    """Tell two rows; (name, whether the outputs are the same, ours over plain, the quickest of each).

    A busy machine makes runs slower, never quicker."""
    is_same = np.array_equal(ours(), plain())
    our_times: list[float] = []
    plain_times: list[float] = []
    in_turn(runs, lambda: plain_times.append(seconds(plain)), lambda: our_times.append(seconds(ours)))
    report.figure(f"{name}, plain library call (baseline)", plain_times)
    report.figure(f"{name}, our pipeline", our_times, plain_times)
    return name, is_same, min(our_times) / min(plain_times)


def seconds(task: Callable[[], Any]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def context(spec: ModelSpec, memory: MemoryManager) -> Context:
    return Context("bench", spec, memory, lambda event: None, lambda: False, Path(tempfile.gettempdir()))


Comparison = tuple[str, Task, Task]


def image(catalog: Catalog, memory: MemoryManager) -> Comparison:
    """Pixels (H, W, 3) uint8 of one picture by `starter/image` at its defaults."""
    from diffusers import StableDiffusionPipeline

    request = catalog.complete(ImageRequest(prompt=PROMPT, model="starter/image", seed=7))
    spec = catalog.get(request.model)
    pipeline = StableDiffusionPipeline.from_pretrained(
        spec.source.path, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)

    def ours() -> np.ndarray:
        (artifact,) = ImagePipeline().generate(request, context(spec, memory))
        assert artifact.data is not None
        return np.asarray(Image.open(io.BytesIO(artifact.data)))

    def plain() -> np.ndarray:
        made = pipeline(
            prompt=request.prompt,
            width=request.width,
            height=request.height,
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(request.seed),
        ).images[0]
        file = io.BytesIO()
        made.save(file, "PNG")
        return np.asarray(Image.open(file))

    return "picture", ours, plain


def text(catalog: Catalog, memory: MemoryManager) -> Comparison:
    """The answer of `starter/text`, the likeliest word each time, as its characters."""
    request = catalog.complete(
        TextRequest(
            prompt="Write an email to Anna about the delay of the brochure",
            temperature=0,
            max_tokens=100,
            seed=1,
        )
    )
    return written("text, 4 M parameters", catalog.get(request.model), request, memory)


def long_text(folder: Path, memory: MemoryManager, layers: int) -> Comparison:
    """Twenty tokens by a language model of everyday size (24 layers, 896 wide) and random weights."""
    torch.manual_seed(0)
    language_model(folder, layers=layers).save_pretrained(folder)
    spec = ModelSpec("bench/text", "Text", ("text",), "causal-lm", Source(path=str(folder)))
    request = TextRequest(prompt="Write a slogan", model=spec.id, temperature=0, max_tokens=20, seed=1)
    return written(f"text, {layers} layers, 896 wide", spec, request, memory)


def written(name: str, spec: ModelSpec, request: TextRequest, memory: MemoryManager) -> Comparison:
    """Our pipeline and plain `generate` on the same model, as characters."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(spec.source.path)
    model = AutoModelForCausalLM.from_pretrained(spec.source.path, dtype=torch.float32)

    def ours() -> np.ndarray:
        (artifact,) = TextPipeline().generate(request, context(spec, memory))
        assert artifact.data is not None
        return np.array(list(artifact.data.decode().strip()))

    def plain() -> np.ndarray:
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": request.prompt}],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        made = model.generate(
            **inputs,
            max_new_tokens=request.max_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=request.repetition_penalty,
        )
        answer = tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return np.array(list(answer.strip()))

    return name, ours, plain


def speech(folder: Path, memory: MemoryManager, width: int) -> Comparison:
    """16-bit samples of one sentence by a VITS voice of random weights. width: of its decoder; 512 is full size."""
    from transformers import AutoTokenizer, VitsConfig, VitsModel

    shutil.copytree(tiny_vits(), folder, dirs_exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = VitsConfig(vocab_size=len(tokenizer), sampling_rate=16_000, upsample_initial_channel=width)
    VitsModel(config).save_pretrained(folder)
    model = VitsModel.from_pretrained(folder, dtype=torch.float32).eval()
    spec = ModelSpec("bench/vits", "VITS", ("audio",), "vits", Source(path=str(folder)))
    request = AudioRequest(prompt=SENTENCE, model=spec.id, seed=3)

    def ours() -> np.ndarray:
        (artifact,) = AudioPipeline().generate(request, context(spec, memory))
        assert artifact.data is not None
        with wave.open(io.BytesIO(artifact.data)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), np.int16)

    def plain() -> np.ndarray:
        words = tokenizer(SENTENCE, return_tensors="pt")
        torch.manual_seed(request.seed)
        with torch.no_grad():
            made = model(**words).waveform[0].numpy()
        samples = np.round(np.clip(made, -1, 1) * 32767).astype(np.int16)
        with wave.open(io.BytesIO(), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(16_000)
            out.writeframes(samples.tobytes())
        return samples

    return "speech", ours, plain


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
