"""Knobs that several tasks share: those of language models, and those of diffusion models."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from pipelines.messages.knobs import knob
from pipelines.messages.requests.base import BaseRequest, Words
from pipelines.words.texts import PROMPT_CHARS


class SamplingRequest(BaseRequest):
    """Knobs every language model has."""

    max_tokens: int = knob(
        512,
        "Longest answer, in tokens (about ¾ of a word each).",
        simple=True,
        label="Length",
        widget="slider",
        affects_memory=True,
        ge=1,
        le=32_768,
    )
    temperature: float = knob(
        0.7,
        "Low is careful, high is surprising; 0 always takes the likeliest word.",
        simple=True,
        label="Creativity",
        widget="slider",
        ge=0.0,
        le=2.0,
    )
    top_p: float = knob(
        0.95, "Consider only the likeliest words that together reach this share.", ge=0.01, le=1.0
    )
    top_k: int = knob(0, "Consider only this many words; 0 for no limit.", ge=0, le=1000)
    min_p: float = knob(0.0, "Drop words less likely than this share of the likeliest one.", ge=0.0, le=1.0)
    repetition_penalty: float = knob(1.0, "Above 1 discourages repeating itself.", ge=0.5, le=2.0)
    avoid_loops: bool = knob(False, "Never write the same passage three times in a row.")
    stop: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = knob(
        (), "Stop when one of these texts appears (at most four).", max_length=4
    )


class DiffusionRequest(BaseRequest):
    """Knobs every diffusion model has; image and video share them."""

    says_how_much: ClassVar[bool] = True

    negative_prompt: Words = knob(
        "", "What should not be in the picture.", widget="lines", max_length=PROMPT_CHARS
    )
    width: int = knob(
        512,
        "Pixels across.",
        simple=True,
        label="Width",
        scales_time=True,
        affects_memory=True,
        ge=64,
        le=4096,
        multiple_of=8,
    )
    height: int = knob(
        512,
        "Pixels down.",
        simple=True,
        label="Height",
        scales_time=True,
        affects_memory=True,
        ge=64,
        le=4096,
        multiple_of=8,
    )
    num_inference_steps: int = knob(
        30,
        "More steps, more detail, more time.",
        label="Steps",
        widget="slider",
        scales_time=True,
        affects_memory=True,
        only_for=("denoised",),
        ge=1,
        le=200,
    )
    guidance_scale: float = knob(
        5.0,
        "How strictly to follow the prompt.",
        label="Match prompt",
        widget="slider",
        only_for=("denoised",),
        ge=0.0,
        le=30.0,
    )
    scheduler: str = knob(
        "",
        "How noise becomes a picture; empty for the model's own. Programs send the name of the diffusers class.",
        label="Sampler",
        offers="samplers",
        only_for=("denoised",),
        max_length=80,
    )
    init_image: str = knob(
        "",
        "A picture to start from.",
        label="Start image",
        asset="image",
        affects_memory=True,
        only_for=("denoised",),
        max_length=64,
    )
    strength: float = knob(
        0.6,
        "How far to move away from the start image: 0 keeps it, 1 ignores it.",
        widget="slider",
        affects_memory=True,
        only_for=("denoised",),
        ge=0.0,
        le=1.0,
    )

    def share_of_work(self) -> float:
        """So much of the steps is gone through."""
        return max(self.strength, 0.01) if self.init_image else 1.0
