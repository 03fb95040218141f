"""Tasks that make pictures."""

from __future__ import annotations

from typing import Literal

from pipelines.messages.knobs import knob
from pipelines.messages.requests.base import MAX_SEED
from pipelines.messages.requests.shared import DiffusionRequest


class ImageRequest(DiffusionRequest):
    """Text to image, image to image when `init_image` is given, and only a part of it when `mask_image` is given too."""

    modality: Literal["image"] = "image"
    mask_image: str = knob(
        "",
        "With a start image: what is white here is painted anew, what is black stays.",
        label="Mask",
        asset="image",
        affects_memory=True,
        only_for=("denoised",),
        max_length=64,
    )
    num_images: int = knob(
        1,
        "How many pictures; each has its own seed, counted up from the first.",
        simple=True,
        label="Pictures",
        widget="slider",
        scales_time=True,
        affects_memory=True,
        ge=1,
        le=16,
    )
    format: Literal["png", "jpeg", "webp"] = knob("png", "File format.", simple=True)

    def number_of_seeds(self) -> int:
        return self.num_images

    def single(self, index: int) -> ImageRequest:
        """The request for picture `index` of the batch alone: its own seed, counted up from the first."""
        return self.model_copy(update={"seed": (self.seed + index) % (MAX_SEED + 1), "num_images": 1})
