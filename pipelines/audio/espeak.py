"""The embedded voice: eSpeak NG in a process of its own, sentences in, sound and word times out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.audio.espeak_process import Header, Order
from pipelines.audio.speech import Sentence, sentences
from pipelines.audio.track import Piece
from pipelines.catalog import ModelSpec
from pipelines.catalog.voices import espeak_folder, espeak_name, espeak_voices, near_voices, voice_code
from pipelines.errors import InvalidRequest, ModelUnavailable, StudioError
from pipelines.media import Samples, change_tempo
from pipelines.memory import Component
from pipelines.messages import AudioRequest
from pipelines.runtime.context import Context

if TYPE_CHECKING:
    import torch

NORMAL_RATE, SLOWEST, FASTEST = 175, 80, 449  # words a minute; from 450 on, word times overshoot the sound
PITCH_SCALE = ((0, -6.2), (25, -3.4), (50, 0.0), (75, 4.1), (99, 8.6))  # pitch → semitones
VOLUME = 75  # 100 clips with some voices; the level is set afterwards
LIBRARIES = {"win32": "espeak-ng.dll", "darwin": "libespeak-ng.dylib"}


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence. sound: (1, n) float. words: (position in the text, seconds from its start), as they come."""

    sound: Samples
    sample_rate: int
    words: tuple[tuple[int, float], ...]


class Espeak:
    """The engine behind `espeak`: needs no device and no lease, keeps no state."""

    is_levelled = True  # its own level is arbitrary

    def plan(
        self, request: AudioRequest, spec: ModelSpec, dtype: torch.dtype | None
    ) -> tuple[list[Component], int]:
        return [], 0

    def perform(self, request: AudioRequest, ctx: Context) -> Iterator[Piece]:
        """One piece a sentence. Raises InvalidRequest for an unknown voice."""
        voice = known_voice(request.voice)
        text = sentences(request.prompt, voice)
        rest = rate_of(request.speed)[1], pitch_of(request.pitch)[1]
        spoken = speak([sentence.spoken_text for sentence in text], voice, request.speed, request.pitch)
        for index, (sentence, utterance) in enumerate(zip(text, spoken, strict=True)):
            sound = change_tempo(utterance.sound, utterance.sample_rate, *rest)
            words = word_times(sentence, utterance.words, utterance.sound.shape[1] / utterance.sample_rate)
            slower = tuple((word, start / rest[0]) for word, start in words)
            yield Piece(sound, utterance.sample_rate, sentence.text, slower)
            ctx.progress("generate", index + 1, len(text))


def known_voice(voice: str) -> str:
    """The code of a voice; raises InvalidRequest naming near ones when eSpeak has none like it."""
    code = voice_code(voice)
    if code is None:
        raise InvalidRequest(
            f"eSpeak NG has no voice {voice!r}.",
            field="voice",
            detail=f"It has {len(espeak_voices())}, among them {', '.join(near_voices(voice))}.",
            hint="Pick one from the list, or write a code like de or en-gb+f3, or a name like German.",
        )
    return code


def word_times(
    sentence: Sentence, events: Sequence[tuple[int, float]], seconds: float
) -> tuple[tuple[str, float], ...]:
    """When each word of the sentence begins. eSpeak reports several events for a number and none for some marks.

    A word takes its first event; one without an event begins halfway to the next that has one.
    """
    starts: dict[int, float] = {}
    for position, time in events:
        starts.setdefault(sentence.word_at(position), min(time, seconds))
    known = sorted(starts.items())
    at = [index for index, _ in known] + [len(sentence.words)]
    times = np.maximum.accumulate([time for _, time in known] + [seconds])
    places = np.arange(len(sentence.words))
    filled = (
        np.interp(places, at, times) if known and at[0] == 0 else np.interp(places, [0, *at], [0.0, *times])
    )
    return tuple((word, float(start)) for word, start in zip(sentence.words, filled, strict=True))


def rate_of(speed: float) -> tuple[int, float]:
    """Words a minute for a speed, and the part of it that has to be done afterwards because eSpeak cannot."""
    wanted = NORMAL_RATE * speed
    rate = round(min(max(wanted, SLOWEST), FASTEST))
    return rate, 1.0 if SLOWEST <= round(wanted) <= FASTEST else wanted / rate


def pitch_of(semitones: float) -> tuple[int, float]:
    """eSpeak's pitch, 0 to 99, for so many semitones, and the semitones that have to be done afterwards.

    Its scale was measured on four voices, which differ by up to a third.
    """
    reached = float(np.clip(semitones, PITCH_SCALE[0][1], PITCH_SCALE[-1][1]))
    pitches, heights = zip(*PITCH_SCALE, strict=True)
    return round(float(np.interp(reached, heights, pitches))), semitones - reached


def speak(
    sentences: Sequence[str], voice: str, speed: float = 1.0, semitones: float = 0.0
) -> Iterator[Utterance]:
    """One utterance a sentence, as soon as it is spoken; the same sentences give the same samples, bit for bit.

    voice: a code, see `catalog.voices`. speed, semitones: what `rate_of` and `pitch_of` can do of them. Closing the iterator
    ends the process. Raises ModelUnavailable when the library or its data are missing, StudioError when the process fails.
    """
    order = _request(sentences, voice, rate_of(speed)[0], pitch_of(semitones)[0])
    for told, sound in _run(order, len(sentences)):
        pcm = np.frombuffer(sound, "<i2").astype(np.float32)[None] / np.float32(32768)
        yield Utterance(pcm, told["sample_rate"], tuple((at, ms / 1000) for at, ms in told["events"]))


def phonemes(texts: Sequence[str], voice: str = "en-us") -> list[str]:
    """Each text in the International Phonetic Alphabet, stress marked; for models that read sounds, not letters."""
    order = _request(texts, voice)
    order["phonemes"] = True
    return [re.sub(r"\([a-z-]+\)", "", told["phonemes"]).strip() for told, _ in _run(order, len(texts))]


def _request(texts: Sequence[str], voice: str, rate: int = NORMAL_RATE, pitch: int = 50) -> Order:
    folder = espeak_folder()
    library = folder / LIBRARIES.get(sys.platform, "libespeak-ng.so") if folder else None
    if library is None or not library.is_file():
        raise ModelUnavailable(
            "eSpeak NG is not installed.",
            detail=f"No library at {library}." if library else "The package espeakng-loader is missing.",
            hint="Run: pip install espeakng-loader",
        )
    return {
        "library": str(library),
        "data": str(library.parent / "espeak-ng-data"),
        "voice": espeak_name(voice),
        "rate": rate,
        "pitch": pitch,
        "volume": VOLUME,
        "sentences": [text.encode("utf-8", "ignore").decode().replace("\0", " ") for text in texts],
    }


def _run(request: Order, count: int) -> Iterator[tuple[Header, bytes]]:
    """What the process answers to each text: a header and its samples. Closing the iterator ends the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.audio.espeak_process"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin as stdin:
            stdin.write(json.dumps(request).encode())
        for _ in range(count):
            line = process.stdout.readline()
            told: Header = json.loads(line) if line else {"error": f"It ended with code {process.wait()}."}
            if "error" in told:
                raise StudioError(
                    "eSpeak NG could not speak this text.",
                    detail=told["error"],
                    hint="Try again, or pick another voice; `launch.py doctor` checks the installation.",
                )
            yield told, process.stdout.read(2 * told.get("samples", 0))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
