"""VITS and MMS voices: one quick pass from letters (or phonemes) to samples, a sentence at a time."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import numpy as np
import torch
from transformers import VitsModel

from pipelines.audio.espeak import phonemes
from pipelines.audio.seeded_draws import SeededDraws
from pipelines.audio.speech import Sentence, sentences
from pipelines.audio.track import Piece
from pipelines.catalog import ModelSpec
from pipelines.errors import InvalidRequest
from pipelines.loading.audio import SoundModel, borrowed, sound_model
from pipelines.media import change_tempo
from pipelines.memory import Component, Lease
from pipelines.messages import AudioRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Ladder, Way, way_up_to

LONGEST_TEXT = 400  # characters; memory grows with the sentence
PUNCTUATION = re.compile(r"""(\s*[;:,.!?¡¿—…"«»“”(){}\[\]]+\s*)""")


class Vits:
    """The engine behind `vits`. Held in float32: the models are small, and half precision is heard."""

    is_levelled = False

    def plan(
        self, request: AudioRequest, spec: ModelSpec, dtype: torch.dtype | None
    ) -> tuple[list[Component], list[Way]]:
        model = _model(spec)
        return [model.component], _ways(model, request)

    def perform(self, request: AudioRequest, ctx: Context) -> Iterator[Piece]:
        """One piece a sentence. Raises InvalidRequest for a voice the model has not, or letters it does not know."""
        model = _model(ctx.spec)
        speaker = _speaker(model, request.voice)
        text = sentences(request.prompt, _language(model), longest=LONGEST_TEXT)
        spelled = _spell(model, text)
        with Ladder(ctx, [model.component], _ways(model, request)) as ladder:
            rate = int(ladder.lease[model.component].config.sampling_rate)
            for index, (sentence, tokens) in enumerate(zip(text, spelled, strict=True)):
                if not tokens:
                    continue

                def say(lease: Lease, index: int = index, tokens: list[int] = tokens) -> np.ndarray:
                    vits = _at_speed(lease[model.component], ctx)
                    ids = torch.tensor([tokens], device=lease.device)
                    with SeededDraws(request.seed + index, lease.device), torch.no_grad():
                        made = vits(
                            input_ids=ids,
                            attention_mask=torch.ones_like(ids),
                            speaker_id=speaker,
                            speaking_rate=vits.speaking_rate * request.speed,
                        )
                    sound: np.ndarray = made.waveform.float().cpu().numpy()
                    return sound

                sound = ladder.run(say)
                yield Piece(change_tempo(sound, rate, semitones=request.pitch), rate, sentence.text)
                ctx.progress("generate", index + 1, len(text))


def _at_speed(vits: VitsModel, ctx: Context) -> VitsModel:
    """The same weights; only the durations are drawn under `SeededDraws`, and what draws nothing runs at full speed."""
    shell = copy.copy(vits)
    parts = {name: borrowed(vits._modules[name], ctx) for name in ("text_encoder", "flow", "decoder")}
    shell._modules = {**vits._modules, **parts}
    return shell


def _spell(model: SoundModel, text: list[Sentence]) -> list[list[int]]:
    """Token ids of each sentence, blanks between where the model wants them; raises when it knows none of the letters."""
    tokenizer = model.tokenizer
    known = tokenizer.get_vocab()
    if tokenizer.phonemize:
        written = _phonemes_of([sentence.spoken_text for sentence in text])
    else:
        written = [tokenizer.prepare_for_tokenization(sentence.spoken_text)[0] for sentence in text]
    spelled = [[known[letter] for letter in letters if letter in known] for letters in written]
    if not any(
        any(tokenizer.convert_ids_to_tokens(token).isalpha() for token in tokens) for tokens in spelled
    ):
        letters = "".join(sorted(letter for letter in known if len(letter) == 1 and letter.isalpha()))
        raise InvalidRequest(
            f"{model.spec.id} knows none of these letters.",
            field="prompt",
            detail=f"Its alphabet is {letters[:60]}{'…' if len(letters) > 60 else ''}.",
            hint="Write in the language of this voice, in its own script, numbers in words.",
        )
    if not tokenizer.add_blank:
        return spelled
    return [[0, *(part for token in tokens for part in (token, 0))] if tokens else [] for tokens in spelled]


def _phonemes_of(texts: list[str]) -> list[str]:
    """What the words sound like, punctuation kept where it stood: models trained on phonemes breathe there."""
    parts = [PUNCTUATION.split(text) for text in texts]  # words and marks take turns
    words = [part[i] for part in parts for i in range(0, len(part), 2)]
    sounds = iter(phonemes(words))
    spoken = ["".join(next(sounds) if i % 2 == 0 else mark for i, mark in enumerate(part)) for part in parts]
    return [re.sub(r"\s+", " ", text).strip() for text in spoken]


def _speaker(model: SoundModel, voice: str) -> int | None:
    """The number of a voice; models with several must be told, or they speak without any."""
    count = model.number("num_speakers", 1)
    if count <= 1 and voice in ("", "0"):
        return None
    number = voice.strip() or "0"
    if not number.isdigit() or int(number) >= count:
        raise InvalidRequest(
            f"{model.spec.id} has no voice {voice!r}.",
            field="voice",
            detail=f"Its voices are numbered 0 to {count - 1}." if count > 1 else "It has one voice.",
            hint="Write one of these numbers, or leave it empty.",
        )
    return int(number)


def _language(model: SoundModel) -> str:
    """Whether English abbreviations may be written out: voices on phonemes are English, MMS folders say their language."""
    told = str(getattr(model.tokenizer, "language", None) or "")
    return "en-us" if model.tokenizer.phonemize or told in ("eng", "en") else told or "und"


def _model(spec: ModelSpec) -> SoundModel:
    return sound_model(spec, VitsModel, torch.float32)


def _ways(model: SoundModel, request: AudioRequest) -> list[Way]:
    return way_up_to("speech", [model.component], _working_bytes(request))


def _working_bytes(request: AudioRequest) -> int:
    """The decoder widens samples to many channels: about 12 MB a second of speech, read at 12 characters a second."""
    longest = min(LONGEST_TEXT, max(map(len, request.prompt.split(".")), default=0))
    return int(longest / 12 / request.speed * 12e6) + (64 << 20)
