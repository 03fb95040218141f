"""Words to speech, or a description to music: eSpeak NG, Bark, VITS and MMS voices, MusicGen.

One road for all: an engine performs the text piece by piece, the pieces are joined, encoded, and the recipe written inside.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipelines.audio.reading import Reading, read_out
from pipelines.audio.track import Piece, Track, is_silent, join, level
from pipelines.catalog import ModelSpec
from pipelines.catalog.families import FAMILIES
from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.media import AUDIO_FILES, encode_audio, loudness, recipe_tags
from pipelines.memory import Component
from pipelines.messages import Artifact, AudioRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Way
from pipelines.runtime.pipeline import Pipeline

if TYPE_CHECKING:
    import torch

SAY_ALL = "Switch on *As written* to hear every sign."


class Engine(Protocol):
    """Makes sound from a request, a piece at a time; borrows what it needs itself and reports progress.

    is_levelled: its sound is brought to one loudness; otherwise the samples stay as the model made them.
    """

    is_levelled: bool

    def plan(
        self, request: AudioRequest, spec: ModelSpec, dtype: torch.dtype | None
    ) -> tuple[list[Component], int | Sequence[Way]]: ...

    def perform(self, request: AudioRequest, ctx: Context) -> Iterator[Piece]: ...


class AudioPipeline(Pipeline[AudioRequest]):
    """Speech or music as one file."""

    def plan(
        self, request: AudioRequest, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[list[Component], int | Sequence[Way]]:
        """What to lease for this request, and the ways to do it. dtype: what the device computes in, if known."""
        return _engine(spec).plan(_spoken(request, spec)[0], spec, dtype)

    def generate(self, request: AudioRequest, ctx: Context) -> Iterator[Artifact]:
        # 1. Check the inputs before asking for the device
        engine = _engine(ctx.spec)
        request.check_has_something_to_do()
        script, reading = _spoken(request, ctx.spec)
        if not reading.has_words:
            told = " ".join(reading.notes)
            raise InvalidRequest(
                "In this text there is nothing to say.", field="prompt", detail=told, hint=SAY_ALL
            )
        ctx.note(*(f"{note} {SAY_ALL}" for note in reading.notes))

        # 2. Perform, piece by piece: the engine borrows its model and tells how far it is
        pieces = list(engine.perform(script, ctx))

        # 3. Join the pieces, and look at what came out
        track = join(pieces, request.pause_seconds)
        _check(track, ctx.spec)
        lufs = loudness(track.sound, track.sample_rate)
        if engine.is_levelled:
            sound, lufs = level(track.sound, lufs)
            track = replace(track, sound=sound)

        # 4. Write the file, the recipe inside
        ctx.progress("save")
        tags = recipe_tags(ctx.recipe(request))
        data = encode_audio(track.sound, track.sample_rate, request.format, tags)
        yield ctx.artifact(request, AUDIO_FILES[request.format], data, _facts(track, lufs))


def _engine(spec: ModelSpec) -> Engine:
    family = FAMILIES.get(spec.loader)
    if family is None or not family.engine:
        raise ModelUnavailable(
            f"{spec.id} does not make sound.",
            detail=f"It is opened as {spec.loader}.",
            hint="Pick a model from the Audio tab.",
        )
    module, name = family.engine.split(":")  # it comes in when first needed: some bring torch with them
    engine: Engine = getattr(importlib.import_module(f"{__package__}.{module}"), name)()
    return engine


def _spoken(request: AudioRequest, spec: ModelSpec) -> tuple[AudioRequest, Reading]:
    """The request with its text as it is read aloud, and what to tell about it; a description of music stays as it is."""
    if request.as_written or "music" in FAMILIES[spec.loader].traits:
        return request, Reading(request.prompt)
    reading = read_out(request.prompt)
    return request.model_copy(update={"prompt": reading.text}), reading


def _facts(track: Track, lufs: float) -> dict[str, object]:
    facts: dict[str, object] = {
        "seconds": round(track.sound.shape[1] / track.sample_rate, 3),
        "sample_rate": track.sample_rate,
        "channels": track.sound.shape[0],
        "lufs": round(lufs, 1),
    }
    if track.sentences:
        facts["sentences"] = track.sentences
    if track.words:
        facts["words"] = track.words
    return facts


def _check(track: Track, spec: ModelSpec) -> None:
    """Raises when the sound is no sound: numbers that are none, or silence from end to end."""
    if not np.isfinite(track.sound).all():
        raise ModelUnavailable(
            f"{spec.id} gave numbers that are no sound (NaN).",
            detail=f"{int((~np.isfinite(track.sound)).sum()):,} of {track.sound.size:,} samples are broken.",
            hint="Its weights are damaged or overflow; download it again, or pick another model.",
        )
    if is_silent(track.sound):
        raise InvalidRequest(
            "Only silence came out.",
            field="prompt",
            detail=f"{track.sound.shape[1] / track.sample_rate:.1f} seconds, none louder than -60 dB.",
            hint="Try other words, another seed, or a voice that knows this language.",
        )
