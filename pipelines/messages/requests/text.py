"""Tasks that make text."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.messages.knobs import knob
from pipelines.messages.requests.base import Words
from pipelines.messages.requests.shared import SamplingRequest
from pipelines.words.texts import MESSAGE_CHARS, PROMPT_CHARS


class ChatMessage(BaseModel):
    """One earlier turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Literal["user", "assistant"]
    content: str = Field(max_length=MESSAGE_CHARS)


class TextRequest(SamplingRequest):
    """Writing and chat."""

    modality: Literal["text"] = "text"
    system: Words = knob(
        "", "How the assistant should behave.", label="System prompt", widget="lines", max_length=PROMPT_CHARS
    )
    history: tuple[ChatMessage, ...] = knob(
        (), "Earlier turns of this conversation.", on_form=False, max_length=500
    )
