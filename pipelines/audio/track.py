"""Samples as numbers: whether there is anything to hear, one level for all voices, and pieces joined to a track."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from pipelines.media import Samples

SPEECH_LUFS = -19.0  # for one channel; two at -19 sound like -16, what podcasts are published at
PEAK_DB = -1.0
SILENCE = 10 ** (-60 / 20)


def level(samples: Samples, lufs: float, wanted: float = SPEECH_LUFS) -> tuple[Samples, float]:
    """A sound that is `lufs` loud brought to the wanted loudness, or as near as a peak of -1 dB allows, and how loud it is then.

    Silence stays silence.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < SILENCE or lufs == float("-inf"):
        return samples, lufs
    gain = min(10 ** ((wanted - lufs) / 20), 10 ** (PEAK_DB / 20) / peak)
    return samples * np.float32(gain), lufs + 20 * math.log10(gain)


def is_silent(samples: Samples) -> bool:
    return float(np.abs(samples).max(initial=0.0)) < SILENCE


def silence(seconds: float, sample_rate: int, channels: int = 1) -> Samples:
    return np.zeros((channels, round(seconds * sample_rate)), np.float32)


# ---- pieces and tracks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A stretch of sound as an engine makes it: a sentence, or a whole piece of music.

    sound: (channels, n). text: what is said in it. words: (word, seconds from the start of the piece), in order; empty
    where the engine does not tell.
    """

    sound: Samples
    sample_rate: int
    text: str = ""
    words: tuple[tuple[str, float], ...] = ()


class Said(TypedDict):
    """A word or a sentence, and when it is said: seconds from the start."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Track:
    """Pieces one after the other. words, sentences: [{"text", "start", "end"}], seconds from the start."""

    sound: Samples
    sample_rate: int
    words: list[Said]
    sentences: list[Said]


def join(pieces: Sequence[Piece], pause_seconds: float) -> Track:
    """All pieces with silence between them; a word ends where the next begins, the last one with its piece."""
    rate, channels = pieces[0].sample_rate, pieces[0].sound.shape[0]
    parts: list[Samples] = []
    words: list[Said] = []
    sentences: list[Said] = []
    at = 0
    for index, piece in enumerate(pieces):
        if index:
            parts.append(silence(pause_seconds, rate, channels))
            at += parts[-1].shape[1]
        start, end = at / rate, (at + piece.sound.shape[1]) / rate
        times = [min(start + offset, end) for _, offset in piece.words] + [end]
        words += [
            {"text": word, "start": round(times[i], 3), "end": round(times[i + 1], 3)}
            for i, (word, _) in enumerate(piece.words)
        ]
        if piece.text:
            sentences.append({"text": piece.text, "start": round(start, 3), "end": round(end, 3)})
        parts.append(piece.sound)
        at += piece.sound.shape[1]
    return Track(np.concatenate(parts, axis=1), rate, words, sentences)
