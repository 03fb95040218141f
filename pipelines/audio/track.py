"""Samples as numbers: how loud they are, whether there is anything to hear, and one level for all voices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Samples

SPEECH_LUFS = -19.0  # for one channel; two at -19 sound like -16, what podcasts are published at
PEAK_DB = -1.0
SILENCE = 10 ** (-60 / 20)


def loudness(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness in LUFS, -inf for silence; (channels, n) in.

    Source: ITU-R BS.1770-4: K-weighting, 400 ms blocks every 100 ms, gates at -70 LUFS and 10 LU below the rest.
    """
    block, hop = round(0.4 * sample_rate), round(0.1 * sample_rate)
    if samples.shape[1] < block:  # short sounds count as one block
        samples = np.pad(samples, ((0, 0), (0, block - samples.shape[1])))
    squares = np.zeros(samples.shape[1])
    for channel in samples:
        squares += _weighted(channel, sample_rate) ** 2
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    starts = np.arange(0, samples.shape[1] - block + 1, hop)
    powers = (sums[starts + block] - sums[starts]) / block
    loud = powers[powers > 10 ** ((-70 + 0.691) / 10)]
    if not len(loud):
        return float("-inf")
    loud = loud[loud > loud.mean() / 10]
    return float(-0.691 + 10 * np.log10(loud.mean()))


def level(samples: Samples, sample_rate: int, lufs: float = SPEECH_LUFS) -> Samples:
    """The same sound at that loudness, or as near as a peak of -1 dB allows; silence stays silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    now = loudness(samples, sample_rate)
    if peak < SILENCE or now == float("-inf"):
        return samples
    gain = min(10 ** ((lufs - now) / 20), 10 ** (PEAK_DB / 20) / peak)
    return samples * np.float32(gain)


def is_silent(samples: Samples) -> bool:
    return float(np.abs(samples).max(initial=0.0)) < SILENCE


def silence(seconds: float, sample_rate: int, channels: int = 1) -> Samples:
    return np.zeros((channels, round(seconds * sample_rate)), np.float32)


def _weighted(
    channel: NDArray[np.float32], sample_rate: int, chunk_seconds: float = 20.0
) -> NDArray[np.float64]:
    """One channel through the two K filters, by their frequency response; in chunks, so long sounds need little memory."""
    chunk, lead = (
        round(chunk_seconds * sample_rate),
        sample_rate // 2,
    )  # the filters ring for less than half a second
    out = np.empty(len(channel))
    for start in range(0, len(channel), chunk):
        begin, end = max(0, start - lead), min(len(channel), start + chunk)
        size = 1 << (end - begin + lead - 1).bit_length()
        spectrum = np.fft.rfft(channel[begin:end], size) * _k_response(size, sample_rate)
        out[start:end] = np.fft.irfft(spectrum, size)[start - begin : end - begin]
    return out


def _k_response(size: int, rate: int) -> NDArray[np.complex128]:
    """Frequency response of the shelf and the high-pass for any sample rate, (size // 2 + 1,).

    Source: the analogue prototypes behind the 48 kHz coefficients of BS.1770, as in libebur128.
    """
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    k, q = np.tan(np.pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    mid = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    shelf = (high + mid * k / q + k * k) + 2 * (k * k - high) * z + (high - mid * k / q + k * k) * z**2
    shelf = shelf / (a0 + 2 * (k * k - 1) * z + (1 - k / q + k * k) * z**2)
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    a0 = 1 + k / q + k * k
    return np.asarray(
        shelf * (1 - 2 * z + z**2) / (1 + 2 * (k * k - 1) / a0 * z + (1 - k / q + k * k) / a0 * z**2)
    )


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


@dataclass(frozen=True)
class Track:
    """Pieces one after the other. words, sentences: [{"text", "start", "end"}], seconds from the start."""

    sound: Samples
    sample_rate: int
    words: list[dict[str, Any]]
    sentences: list[dict[str, Any]]


def join(pieces: Sequence[Piece], pause_seconds: float) -> Track:
    """All pieces with silence between them; a word ends where the next begins, the last one with its piece."""
    rate, channels = pieces[0].sample_rate, pieces[0].sound.shape[0]
    parts: list[Samples] = []
    words: list[dict[str, Any]] = []
    sentences: list[dict[str, Any]] = []
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
