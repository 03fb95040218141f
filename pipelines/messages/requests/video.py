"""Tasks that make films."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import field_validator

from pipelines.messages.knobs import knob
from pipelines.messages.requests.base import Words
from pipelines.messages.requests.shared import DiffusionRequest
from pipelines.words.texts import PROMPT_CHARS


class VideoRequest(DiffusionRequest):
    """Prompts in, a clip out: keyframes by diffusion, the frames between them by interpolation."""

    modality: Literal["video"] = "video"
    prompt: Words = knob(
        "",
        "What to show. One line per moment; start a line with a time like `0:02` to place it.",
        simple=True,
        widget="lines",
        max_length=PROMPT_CHARS,
    )
    seconds: float = knob(
        3.0,
        "Length of the clip.",
        simple=True,
        label="Seconds",
        widget="slider",
        scales_time=True,
        affects_memory=True,
        ge=0.2,
        le=600.0,
    )
    fps: str = knob(
        "24",
        "Frames a second, whole or exact like 24000/1001.",
        label="Frame rate",
        affects_memory=True,
        max_length=20,
    )
    keyframes_per_second: float = knob(
        2.0,
        "Pictures the model draws per second; the rest is interpolated.",
        widget="slider",
        scales_time=True,
        affects_memory=True,
        only_for=("denoised",),
        ge=0.1,
        le=60.0,
    )
    transition: Literal["travel", "cut"] = knob("travel", "Between two lines: travel smoothly, or cut.")
    camera: Literal["still", "zoom_in", "zoom_out", "pan_left", "pan_right"] = knob("still", "Camera move.")
    loop: bool = knob(False, "End where it began, so that it plays for ever.")
    format: Literal["mp4", "webm", "gif"] = knob("mp4", "File format.", simple=True)

    @field_validator("fps", mode="before")
    @classmethod
    def _fps_may_be_a_number(cls, value: object) -> object:
        return f"{value:.12g}" if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("fps")
    @classmethod
    def _fps_is_a_rate(cls, value: str) -> str:
        try:
            rate = Fraction(value.strip())
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is not a frame rate; write 24, 29.97 or 30000/1001") from None
        if not 1 <= rate <= 120:
            raise ValueError(f"{value} is outside 1 to 120 frames a second")
        return value.strip()

    @property
    def frame_rate(self) -> Fraction:
        return Fraction(self.fps)
