"""MusicGen: music from a description, mono or stereo."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from transformers import MusicgenForConditionalGeneration, PretrainedConfig, StoppingCriteriaList

from pipelines.audio.seeded_draws import SeededDraws
from pipelines.audio.track import Piece
from pipelines.catalog import ModelSpec
from pipelines.loading.audio import Listener, SoundModel, borrowed, sound_model
from pipelines.media import change_tempo
from pipelines.memory import Component, Lease
from pipelines.memory.learned import work_label
from pipelines.messages import AudioRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Ladder, Way

CODEBOOK_DELAY = 4  # the codebooks start one after the other, so the last one is short of so many tokens


class MusicGen:
    """The engine behind `musicgen`."""

    is_levelled = False

    def plan(
        self, request: AudioRequest, spec: ModelSpec, dtype: torch.dtype | None
    ) -> tuple[list[Component], list[Way]]:
        model = _model(spec, dtype or torch.float32)
        return [model.component], _ways(model, request)

    def perform(self, request: AudioRequest, ctx: Context) -> Iterator[Piece]:
        """One piece of exactly `seconds`."""
        model = _model(ctx.spec, ctx.dtype)
        with Ladder(ctx, [model.component], _ways(model, request)) as ladder:
            sound, rate = ladder.run(lambda lease: _play(request, ctx, model, lease))
            sound = change_tempo(sound, rate, request.speed, request.pitch)
            yield Piece(sound[:, : round(request.seconds * rate)], rate)


def _play(request: AudioRequest, ctx: Context, model: SoundModel, lease: Lease) -> tuple[np.ndarray, int]:
    """(channels, samples) and their rate."""
    musicgen = lease[model.component]
    codec = musicgen.config.audio_encoder
    tokens = math.ceil(request.seconds * request.speed * _tokens_a_second(codec)) + CODEBOOK_DELAY
    ctx.progress("encode")
    words = model.tokenizer(request.prompt, return_tensors="pt").to(lease.device)
    ears = Listener(lambda count: ctx.progress("generate", count, tokens))
    with SeededDraws(request.seed, lease.device), torch.no_grad():
        made = borrowed(musicgen, ctx).generate(
            input_ids=words["input_ids"],
            attention_mask=words["attention_mask"],
            do_sample=True,
            temperature=request.temperature,
            guidance_scale=request.guidance_scale,
            max_new_tokens=tokens,
            stopping_criteria=StoppingCriteriaList([ears]),
        )
    ctx.progress("generate", tokens, tokens)
    return made[0].float().cpu().numpy(), int(codec.sampling_rate)


def _tokens_a_second(codec: PretrainedConfig) -> float:
    """50 in the published models."""
    return float(codec.sampling_rate) / math.prod(codec.upsampling_ratios)


def _model(spec: ModelSpec, dtype: torch.dtype) -> SoundModel:
    return sound_model(spec, MusicgenForConditionalGeneration, dtype, codec="audio_encoder")


def _ways(model: SoundModel, request: AudioRequest) -> list[Way]:
    length = f"{request.seconds * request.speed:g}s"
    work = work_label("music", [model.component], length, *(["guided"] if request.guidance_scale > 1 else []))
    return [Way(_working_bytes(model, request), work=work)]


def _working_bytes(model: SoundModel, request: AudioRequest) -> int:
    """Keys and values of all tokens, twice for guidance, and the samples on their way through the codec."""
    layers = model.number("num_hidden_layers", 24, "decoder")
    hidden = model.number("hidden_size", 1024, "decoder")
    channels = model.number("audio_channels", 1, "decoder")
    seconds = request.seconds * request.speed
    cache = 2 * 2 * layers * hidden * (seconds * 50 + 64) * model.dtype.itemsize
    return int(cache + channels * seconds * 32_000 * 64 * 4) + (32 << 20)
