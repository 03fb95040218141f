"""A short list of openly licensed models worth downloading, smallest first in each modality.

Sizes are about right, worked out from the published parameter counts; what a download really takes is asked from the hub
before it starts (`download.measure`). Nothing here is fetched until a person asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.catalog.families import unused_by
from pipelines.errors import GB
from pipelines.messages import REQUESTS, Modality
from pipelines.messages.spec import ModelSpec, Source

TEXT_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.jinja", "tokenizer.model")
FP16_FILES = (
    "model_index.json",
    "*/config.json",
    "scheduler/*.json",
    "tokenizer*/*",
    "*/*.fp16.safetensors",
    "*/*.fp16.safetensors.index.json",
)
DIFFUSERS_FILES = (
    "model_index.json",
    "*/*.json",
    "tokenizer*/*",
    "*/*.safetensors",
)
OPEN_RAIL = "Free for commercial use; not for the harmful uses its licence lists."
NON_COMMERCIAL = "Not for commercial use."


@dataclass(frozen=True)
class Offer:
    """One row of the list; `spec()` makes the ModelSpec of it."""

    repo: str
    title: str
    modalities: tuple[Modality, ...]
    loader: str
    licence: str
    weight_gb: float
    memory_gb: float
    description: str
    restriction: str = ""
    files: tuple[str, ...] = TEXT_FILES
    defaults: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)

    def spec(self) -> ModelSpec:
        return ModelSpec(
            id=self.repo,
            title=self.title,
            modalities=self.modalities,
            loader=self.loader,
            source=Source(repo=self.repo, files=self.files),
            licence=self.licence,
            restriction=self.restriction,
            description=self.description,
            weight_bytes=int(self.weight_gb * GB),
            memory_bytes=int(self.memory_gb * GB),
            state="remote",
            defaults=dict(self.defaults),
            limits=dict(self.limits),
            unused=unused_by(self.loader, REQUESTS[self.modalities[0]]),
        )


def _text(repo: str, title: str, weight: float, memory: float, description: str) -> Offer:
    return Offer(repo, title, ("text",), "causal-lm", "Apache-2.0", weight, memory, description)


def _code(repo: str, title: str, weight: float, memory: float, description: str) -> Offer:
    return Offer(repo, title, ("code", "text"), "causal-lm", "Apache-2.0", weight, memory, description)


def _image(
    repo: str,
    title: str,
    licence: str,
    weight: float,
    memory: float,
    description: str,
    *,
    size: int,
    steps: int,
    guidance: float,
    restriction: str = "",
    files: tuple[str, ...] = DIFFUSERS_FILES,
) -> Offer:
    defaults = {"width": size, "height": size, "num_inference_steps": steps, "guidance_scale": guidance}
    return Offer(
        repo,
        title,
        ("image", "video"),
        "diffusers",
        licence,
        weight,
        memory,
        description,
        restriction,
        files,
        defaults,
    )


def _video(
    repo: str, title: str, weight: float, memory: float, description: str, **defaults: float | str
) -> Offer:
    return Offer(
        repo,
        title,
        ("video",),
        "diffusers",
        "Apache-2.0",
        weight,
        memory,
        description,
        "",
        DIFFUSERS_FILES,
        defaults,
    )


OFFERS: tuple[Offer, ...] = (
    _text(
        "Qwen/Qwen3-0.6B", "Qwen3 0.6B", 1.5, 2.5, "Small, quick, over a hundred languages; runs on a CPU."
    ),
    _text(
        "Qwen/Qwen3-4B-Instruct-2507",
        "Qwen3 4B Instruct",
        8.1,
        10,
        "A good all-round writer for a 12 GB card.",
    ),
    _text("Qwen/Qwen3-8B", "Qwen3 8B", 16.4, 20, "Stronger, for a 24 GB card."),
    _text("Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen3 30B-A3B", 61, 68, "Large and still quick, for 80 GB."),
    _code(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        "Qwen2.5 Coder 1.5B",
        3.1,
        4.5,
        "Writes and completes code; runs on a CPU.",
    ),
    _code(
        "Qwen/Qwen2.5-Coder-7B-Instruct", "Qwen2.5 Coder 7B", 15.2, 18, "A good programmer for a 24 GB card."
    ),
    _image(
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "Stable Diffusion 1.5",
        "CreativeML Open RAIL-M",
        2.8,
        4,
        "The classic; thousands of fine-tunes build on it.",
        size=512,
        steps=25,
        guidance=7.5,
        restriction=OPEN_RAIL,
        files=FP16_FILES,
    ),
    _image(
        "stabilityai/stable-diffusion-xl-base-1.0",
        "Stable Diffusion XL",
        "CreativeML Open RAIL++-M",
        7,
        10,
        "1024-pixel pictures on a 12 GB card.",
        size=1024,
        steps=30,
        guidance=6.0,
        restriction=OPEN_RAIL,
        files=FP16_FILES,
    ),
    _image(
        "black-forest-labs/FLUX.2-klein-4B",
        "FLUX.2 klein 4B",
        "Apache-2.0",
        16,
        20,
        "Four steps to a sharp picture; text to image and editing.",
        size=1024,
        steps=4,
        guidance=1.0,
    ),
    _image(
        "Tongyi-MAI/Z-Image-Turbo",
        "Z-Image Turbo",
        "Apache-2.0",
        21,
        24,
        "Photographic pictures with readable text, in nine steps.",
        size=1024,
        steps=9,
        guidance=0.0,
    ),
    Offer(
        "kakao-enterprise/vits-ljs",
        "VITS (LJ Speech)",
        ("audio",),
        "vits",
        "MIT",
        0.15,
        0.5,
        "One clear English voice, faster than real time on a CPU.",
    ),
    Offer(
        "suno/bark-small",
        "Bark small",
        ("audio",),
        "bark",
        "MIT",
        1.7,
        3,
        "Lively voices in thirteen languages, with laughs and sighs.",
        "Some copies hold only pickles; those need `models convert` once.",
        (*TEXT_FILES, "speaker_embeddings/*.np[yz]", "speaker_embeddings/v2/*.np[yz]"),
    ),
    Offer(
        "facebook/musicgen-small",
        "MusicGen small",
        ("audio",),
        "musicgen",
        "CC-BY-NC-4.0",
        2.4,
        4,
        "Music from a description, up to 30 seconds at once.",
        NON_COMMERCIAL,
        limits={"seconds": 30.0},
    ),
    _video(
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        "Wan 2.1 1.3B",
        29,
        20,
        "Five-second 480p clips on a 24 GB card.",
        width=832,
        height=480,
        num_inference_steps=30,
        guidance_scale=5.0,
        fps="16",
        seconds=5.0,
    ),
    _video(
        "zai-org/CogVideoX-2b",
        "CogVideoX 2B",
        13.5,
        18,
        "Six-second clips at 720×480.",
        width=720,
        height=480,
        num_inference_steps=50,
        guidance_scale=6.0,
        fps="8",
        seconds=6.0,
    ),
)


def offers() -> list[ModelSpec]:
    return [offer.spec() for offer in OFFERS]
