"""OpenAI's speech route: /v1/audio/speech; the answer is the sound file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from pipelines.errors import InvalidRequest
from studio.api.answers import header_text
from studio.api.errors import ErrorRoute, unsupported
from studio.api.running import finish, knobs, submit_built

if TYPE_CHECKING:
    from studio.studio import Studio

# OpenAI's own voices: clients must name one, whatever the server has. They get the model's own voice, and are told so.
OPENAI_VOICES = frozenset(
    [
        "alloy",
        "ash",
        "ballad",
        "cedar",
        "coral",
        "echo",
        "fable",
        "marin",
        "nova",
        "onyx",
        "sage",
        "shimmer",
        "verse",
    ]
)
PCM_RATE = 24_000  # of raw samples: 16 bit, one channel, as OpenAI sends them


class VoiceId(BaseModel):
    id: str


class Speech(BaseModel):
    """OpenAI's fields; every knob of an audio request may be added by its own name."""

    model_config = ConfigDict(extra="allow")
    input: str
    model: str = ""
    voice: str | VoiceId = ""
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float | None = None
    stream_format: Literal["audio", "sse"] = "audio"

    @property
    def voice_name(self) -> str:
        return self.voice if isinstance(self.voice, str) else self.voice.id

    def values(self) -> dict[str, object]:
        """Fields of an AudioRequest; raises InvalidRequest for what cannot be honoured."""
        if self.instructions:
            raise unsupported(
                "instructions", "Telling the voice how to speak", "Choose another voice, or leave it out."
            )
        if self.stream_format == "sse":
            raise unsupported("stream_format", "stream_format sse", "Use audio.")
        return {
            **knobs("audio", self.model_extra),
            "prompt": self.input,
            "voice": "" if self.voice_name in OPENAI_VOICES else self.voice_name,
            "speed": self.speed,
            "format": "wav" if self.response_format == "pcm" else self.response_format,
        }


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(route_class=ErrorRoute)

    @routes.post("/v1/audio/speech")
    async def speak(body: Speech, http: Request) -> Response:
        job = await submit_built(studio, http, "audio", body.model, body.values())
        _, assets = await finish(studio, job, http)
        if not assets:
            raise InvalidRequest("There was nothing to say.", field="input", hint="Write some words.")
        asset = assets[0]
        headers = {"X-Asset-Id": asset.id}
        notes = asset.notes
        if body.voice_name in OPENAI_VOICES:
            notes.insert(
                0, f"There is no voice {body.voice_name} here; this is the own voice of {asset.model}."
            )
        if notes:
            headers["X-Note"] = header_text(" ".join(notes))
        if body.response_format == "pcm":
            samples = await run_in_threadpool(studio.library.samples, asset, PCM_RATE)
            return Response(samples, media_type="audio/pcm", headers=headers)
        return await run_in_threadpool(studio.library.serve, asset, headers)

    return routes
