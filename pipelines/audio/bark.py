"""Bark: lively speech with laughs and sighs, a chunk of at most 13 seconds at a time, the voice carried from one to the next.

The four stages of `BarkModel.generate` are called one by one, with the same result: their tokens become the voice of the next
chunk, and a cancel is heard in each of them. Source: transformers, `modeling_bark.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from zipfile import BadZipFile

import numpy as np
import torch
from transformers import BarkModel, StoppingCriteriaList
from transformers.models.bark.generation_configuration_bark import (
    BarkCoarseGenerationConfig,
    BarkFineGenerationConfig,
    BarkSemanticGenerationConfig,
)

from pipelines.audio.seeded_draws import SeededDraws
from pipelines.audio.speech import Sentence, sentences
from pipelines.audio.track import Piece
from pipelines.catalog import ModelSpec
from pipelines.catalog.voices import BARK_PARTS, bark_voices
from pipelines.errors import InvalidRequest
from pipelines.loading.audio import Listener, SoundModel, borrowed, sound_model
from pipelines.loading.parts import unusable
from pipelines.media import change_tempo
from pipelines.memory import Component, Lease
from pipelines.messages import AudioRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Ladder, Way, way_up_to

LONGEST_SECONDS = 13  # Bark loses the thread beyond
LONGEST_TEXT = 165  # characters, read at about 13 a second
SHORTEST_TEXT = 40  # given a word or two alone it makes things up
TEXT_TOKENS = 256

Voice = dict[str, torch.Tensor]
"""`semantic_prompt` (n,), `coarse_prompt` (2, n) and `fine_prompt` (8, n): what was said before, as tokens."""


class Bark:
    """The engine behind `bark`."""

    is_levelled = False

    def plan(
        self, request: AudioRequest, spec: ModelSpec, dtype: torch.dtype | None
    ) -> tuple[list[Component], list[Way]]:
        model = _model(spec, dtype or torch.float32)
        return [model.component], _ways(model)

    def perform(self, request: AudioRequest, ctx: Context) -> Iterator[Piece]:
        """One piece a chunk: a sentence, or several short ones. Raises InvalidRequest for an unknown voice."""
        model = _model(ctx.spec, ctx.dtype)
        voice = read_voice(model, request.voice)
        said = re.match(r"(?:.*/)?([a-z]{2})_speaker", request.voice)
        chunks = _chunks(sentences(request.prompt, said[1] if said else "en", longest=LONGEST_TEXT))
        with Ladder(ctx, [model.component], _ways(model)) as ladder:
            _check_generation(ctx.spec, ladder.lease[model.component])
            rate = int(ladder.lease[model.component].generation_config.sample_rate)
            for index, chunk in enumerate(chunks):
                text = " ".join(sentence.spoken_text for sentence in chunk)

                def say(
                    lease: Lease, index: int = index, text: str = text, voice: Voice | None = voice
                ) -> tuple[np.ndarray, Voice]:
                    with SeededDraws(request.seed + index, lease.device):
                        bark = lease[model.component]
                        return _say(bark, model, text, voice, request.temperature, ctx, index, len(chunks))

                sound, tokens = ladder.run(say)
                if not request.voice:
                    voice = tokens
                samples = change_tempo(sound, rate, request.speed, request.pitch)
                yield Piece(samples, rate, " ".join(sentence.text for sentence in chunk))
                ctx.progress("generate", 100 * (index + 1), 100 * len(chunks))


@torch.no_grad()
def _say(
    bark: BarkModel,
    model: SoundModel,
    text: str,
    voice: Voice | None,
    temperature: float,
    ctx: Context,
    index: int,
    of: int,
) -> tuple[np.ndarray, Voice]:
    """Text → semantic tokens → coarse → fine → samples (1, n), and the tokens as a voice. The progress of chunk `index`."""
    codes = bark.generation_config
    semantic = BarkSemanticGenerationConfig(**codes.semantic_config)
    coarse = BarkCoarseGenerationConfig(**codes.coarse_acoustics_config)
    fine = BarkFineGenerationConfig(**codes.fine_acoustics_config)
    most = min(int(semantic.max_new_tokens or 768), LONGEST_SECONDS * int(semantic.semantic_rate_hz))
    semantic.max_new_tokens = most
    for stage in (semantic, coarse):
        stage.do_sample, stage.temperature = True, temperature

    def listener(start: float, end: float, tokens: float) -> StoppingCriteriaList:
        def tell(count: int) -> None:
            done = start + (end - start) * min(1.0, count / max(tokens, 1))
            ctx.progress("generate", round(100 * (index + done)), 100 * of)

        return StoppingCriteriaList([Listener(tell)])

    length = min(TEXT_TOKENS, int(semantic.max_input_semantic_length))
    words = model.tokenizer(
        text,
        return_tensors="pt",
        padding="max_length",
        truncation=True,
        max_length=length,
        add_special_tokens=False,
    ).to(bark.device)
    history = None if voice is None else {name: tokens.to(bark.device) for name, tokens in voice.items()}
    shared = {"history_prompt": history, "semantic_generation_config": semantic}
    meaning = borrowed(bark.semantic, ctx).generate(
        words["input_ids"],
        attention_mask=words["attention_mask"],
        stopping_criteria=listener(0.0, 0.4, most),
        **shared,
    )
    said = meaning[0][meaning[0] < semantic.semantic_vocab_size].clone()  # the next stage writes into it
    expected = len(said) / semantic.semantic_rate_hz * coarse.coarse_rate_hz * coarse.n_coarse_codebooks
    rough = borrowed(bark.coarse_acoustics, ctx).generate(
        meaning,
        coarse_generation_config=coarse,
        codebook_size=codes.codebook_size,
        stopping_criteria=listener(0.4, 0.85, expected),
        **shared,
    )
    full = borrowed(bark.fine_acoustics, ctx).generate(
        rough,
        coarse_generation_config=coarse,
        fine_generation_config=fine,
        codebook_size=codes.codebook_size,
        **shared,
    )
    sound = bark.codec_decode(full)[0].float().cpu().numpy()[None]
    pairs = (rough[0] - semantic.semantic_vocab_size).remainder(codes.codebook_size)
    return sound, {
        "semantic_prompt": said.cpu(),
        "coarse_prompt": pairs.view(-1, coarse.n_coarse_codebooks).T.cpu(),
        "fine_prompt": full[0].cpu(),
    }


def read_voice(model: SoundModel, name: str) -> Voice | None:
    """A voice preset of the model's folder; None for no name.

    Raises InvalidRequest for one that is not there, ModelUnavailable for a damaged one.
    """
    if not name:
        return None
    presets = bark_voices(model.folder)
    if name not in presets:
        known = ", ".join(list(presets)[:4]) or "none; its folder has no speaker_embeddings"
        raise InvalidRequest(
            f"{model.spec.id} has no voice {name!r}.",
            field="voice",
            detail=f"It has {len(presets)}: {known}{', …' if len(presets) > 4 else ''}.",
            hint="Pick one from the list, or leave it empty for a voice of its own.",
        )
    files = presets[name]
    try:
        if len(files) == 1:
            with np.load(files[0], allow_pickle=False) as archive:
                arrays = {part: archive[part] for part in BARK_PARTS}
        else:
            arrays = {
                part: np.load(file, allow_pickle=False) for part, file in zip(BARK_PARTS, files, strict=True)
            }
        dimensions = [array.ndim for array in arrays.values()]
        if dimensions != [1, 2, 2] or any(array.dtype.kind not in "iu" for array in arrays.values()):
            raise ValueError(f"its arrays have {dimensions} dimensions")
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise unusable(
            model.spec, f"Its voice {name} is damaged.", f"{type(error).__name__}: {error}"
        ) from None
    return {part: torch.from_numpy(array.astype(np.int64)) for part, array in arrays.items()}


def _chunks(parts: list[Sentence]) -> list[list[Sentence]]:
    """Sentences to say in one go: each alone, but short ones together with the next while they fit."""
    chunks: list[list[Sentence]] = []
    for sentence in parts:
        before = sum(len(part.spoken_text) + 1 for part in chunks[-1]) if chunks else LONGEST_TEXT
        if before < SHORTEST_TEXT and before + len(sentence.spoken_text) <= LONGEST_TEXT:
            chunks[-1].append(sentence)
        else:
            chunks.append([sentence])
    return chunks


def _model(spec: ModelSpec, dtype: torch.dtype) -> SoundModel:
    return sound_model(spec, BarkModel, dtype, codec="codec_model")


def _check_generation(spec: ModelSpec, bark: BarkModel) -> None:
    """The settings of the three stages are nested in generation_config.json; without them nothing can be generated."""
    names = ("semantic_config", "coarse_acoustics_config", "fine_acoustics_config")
    missing = [name for name in names if not getattr(bark.generation_config, name, None)]
    if missing:
        raise unusable(spec, f"Its generation_config.json has no {missing[0]}.")


def _ways(model: SoundModel) -> list[Way]:
    return way_up_to("speech", [model.component], _working_bytes(model))


def _working_bytes(model: SoundModel) -> int:
    """Keys and values of the longest stage, its scores, and the samples of 13 seconds on their way through the codec."""
    layers = model.number("num_layers", 24, "semantic_config")
    hidden = model.number("hidden_size", 1024, "semantic_config")
    cache = 2 * layers * hidden * 1300 * model.dtype.itemsize
    return cache + 1024 * 10_048 * 4 + LONGEST_SECONDS * 24_000 * 64 * 4 + (32 << 20)
