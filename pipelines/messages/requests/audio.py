"""Tasks that make sound."""

from __future__ import annotations

from typing import Literal

from pipelines.errors import InvalidRequest
from pipelines.messages.knobs import knob
from pipelines.messages.requests.base import BaseRequest
from pipelines.words.texts import has_words


class AudioRequest(BaseRequest):
    """Speech, or music when the model makes music."""

    modality: Literal["audio"] = "audio"
    voice: str = knob(
        "", "Who speaks; empty for the model's own voice.", simple=True, offers="voices", max_length=100
    )
    speed: float = knob(
        1.0, "1 is normal, 2 is twice as fast.", simple=True, widget="slider", ge=0.25, le=4.0
    )
    pitch: float = knob(0.0, "Higher or lower, in semitones.", widget="slider", ge=-12.0, le=12.0)
    pause_seconds: float = knob(
        0.25, "Silence between sentences.", label="Pause", widget="slider", ge=0.0, le=3.0
    )
    as_written: bool = knob(
        False,
        "Speak every sign as it stands: Markdown, addresses, tags and time codes too.",
        label="As written",
    )
    seconds: float = knob(
        8.0,
        "Length of the music.",
        label="Music length (s)",
        widget="slider",
        scales_time=True,
        affects_memory=True,
        only_for=("music",),
        ge=1.0,
        le=120.0,
    )
    temperature: float = knob(
        0.7,
        "Low is even, high is lively and less predictable.",
        widget="slider",
        only_for=("sampled",),
        ge=0.01,
        le=2.0,
    )
    guidance_scale: float = knob(
        3.0,
        "How strictly the music follows the prompt.",
        widget="slider",
        only_for=("music",),
        ge=1.0,
        le=15.0,
    )
    format: Literal["wav", "mp3", "flac", "opus", "aac"] = knob("wav", "File format.", simple=True)

    def check_has_something_to_do(self) -> None:
        super().check_has_something_to_do()
        if not has_words(self.prompt):
            raise InvalidRequest(
                "The text has nothing to say.",
                field="prompt",
                detail=f"There is no letter and no digit in its {len(self.prompt)} characters.",
                hint="Write at least one word.",
            )
