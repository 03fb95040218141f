"""The audio pipeline: text in, one sound file out, whatever makes the sound."""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.audio.audio import AudioPipeline
from pipelines.audio.track import Piece, join, level
from pipelines.catalog import ModelSpec, Source
from pipelines.errors import Cancelled, InvalidRequest
from pipelines.media import loudness
from pipelines.messages import Artifact, AudioRequest
from pipelines.runtime.context import Context

ESPEAK = ModelSpec("espeak", "eSpeak NG", ("audio",), "espeak", Source())
TEXT = "Welcome to the studio. Dr. Smith paid $3.50! Did he?"


def context(tmp_path: Path, spec: ModelSpec = ESPEAK, memory: Any = None, **more: Any) -> Context:
    settings = {"emit": lambda event: None, "is_cancelled": lambda: False} | more
    return Context("job", spec, memory, spool=tmp_path, **settings)


def make(tmp_path: Path, prompt: str = TEXT, **knobs: Any) -> Artifact:
    (artifact,) = AudioPipeline().generate(AudioRequest(prompt=prompt, seed=1, **knobs), context(tmp_path))
    return artifact


def samples(artifact: Artifact) -> np.ndarray:
    """(channels, n) of a WAV artifact."""
    data = artifact.data
    assert data is not None
    channels, size = struct.unpack("<H", data[22:24])[0], struct.unpack("<I", data[40:44])[0]
    return (np.frombuffer(data[44 : 44 + size], "<i2").reshape(-1, channels).T / 32767).astype(np.float32)


def test_speech_comes_with_its_facts(tmp_path: Path) -> None:
    artifact = make(tmp_path)
    sound, facts = samples(artifact), artifact.facts
    assert (artifact.kind, artifact.media_type, artifact.suffix) == ("audio", "audio/wav", "wav")
    assert (facts["sample_rate"], facts["channels"]) == (22050, 1)
    assert facts["seconds"] == pytest.approx(sound.shape[1] / 22050, abs=0.001)
    assert [word["text"] for word in facts["words"]] == TEXT.split()
    assert [sentence["text"] for sentence in facts["sentences"]] == [
        "Welcome to the studio.",
        "Dr. Smith paid $3.50!",
        "Did he?",
    ]


def test_words_follow_each_other_and_end_with_their_sentence(tmp_path: Path) -> None:
    facts = make(tmp_path, speed=1.7).facts
    words, ends = facts["words"], [sentence["end"] for sentence in facts["sentences"]]
    for word, following in pairwise(words):
        assert word["start"] < word["end"] <= following["start"]
        assert word["end"] == following["start"] or word["end"] in ends
    assert words[-1]["end"] == facts["seconds"]


def test_the_same_request_gives_the_same_file(tmp_path: Path) -> None:
    assert make(tmp_path).data == make(tmp_path).data


def test_the_level_is_the_stated_one_and_nothing_clips(tmp_path: Path) -> None:
    for voice in ("en-us+max", "en-us+Annie", "de"):
        artifact = make(tmp_path, voice=voice)
        assert artifact.facts["lufs"] == pytest.approx(-19, abs=1.5)
        assert np.abs(samples(artifact)).max() < 10 ** (-0.9 / 20)


def test_the_pause_is_exactly_as_long_as_asked(tmp_path: Path) -> None:
    short, long = (make(tmp_path, pause_seconds=pause).facts["seconds"] for pause in (0.0, 1.5))
    assert long - short == pytest.approx(2 * 1.5, abs=0.002)
    facts = make(tmp_path, pause_seconds=0.5).facts
    gap = facts["sentences"][1]["start"] - facts["sentences"][0]["end"]
    assert gap == pytest.approx(0.5, abs=0.002)


def test_extreme_speeds_keep_words_inside_the_sound(tmp_path: Path) -> None:
    normal = make(tmp_path, pause_seconds=0).facts["seconds"]
    for speed in (0.25, 4.0):
        facts = make(tmp_path, speed=speed, pause_seconds=0).facts
        assert facts["seconds"] == pytest.approx(normal / speed, rel=0.15)
        assert facts["words"][-1]["end"] == facts["seconds"]


def test_the_recipe_rides_inside_unless_metadata_is_off(tmp_path: Path) -> None:
    data = make(tmp_path).data
    assert data is not None
    at = data.index(b"atlr")
    size = struct.unpack("<I", data[at + 4 : at + 8])[0]
    assert AudioRequest.model_validate_json(data[at + 8 : at + 8 + size]) == AudioRequest(prompt=TEXT, seed=1)
    private = context(tmp_path, with_metadata=False)
    (artifact,) = AudioPipeline().generate(AudioRequest(prompt=TEXT), private)
    assert artifact.data is not None
    assert b"Smith" not in artifact.data
    assert json.dumps(artifact.facts)


@pytest.mark.parametrize("prompt", ["", "   ", "...", "(!?)"])
def test_text_without_a_word_is_refused(tmp_path: Path, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match=r"nothing to say|is empty") as caught:
        make(tmp_path, prompt)
    assert caught.value.field == "prompt"


def test_progress_counts_sentences_and_a_cancel_is_heard_between_them(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    def emit(event: Any) -> None:
        seen.append((event.stage, event.step, event.total))

    ctx = context(tmp_path, emit=emit, is_cancelled=lambda: len(seen) == 2)
    with pytest.raises(Cancelled):
        list(AudioPipeline().generate(AudioRequest(prompt="One. Two. Three. Four."), ctx))
    assert seen == [("generate", 1, 4), ("generate", 2, 4)]


def test_espeak_needs_no_device() -> None:
    assert AudioPipeline().plan(AudioRequest(prompt="x"), ESPEAK) == ([], 0)


# ---- sound ----


def test_loudness_is_what_the_standard_says() -> None:
    """A 997 Hz sine at 0 dBFS in one channel is -3.01 LUFS (EBU Tech 3341)."""
    for rate in (22050, 48000):
        sine = np.sin(2 * np.pi * 997 * np.arange(rate * 25) / rate)[None].astype(np.float32)
        assert loudness(sine, rate) == pytest.approx(-3.01, abs=0.1)
    assert loudness(np.zeros((1, 48000), np.float32), 48000) == float("-inf")


def test_a_sound_shorter_than_a_block_of_the_standard_has_a_loudness_too() -> None:
    short = np.sin(2 * np.pi * 997 * np.arange(4800) / 48000)[None].astype(np.float32)
    assert loudness(short, 48000) == pytest.approx(-3.01 - 6.02, abs=0.2)  # a quarter of the block


def test_level_brings_a_voice_to_one_loudness_and_says_how_loud_it_is() -> None:
    sine = 0.05 * np.sin(2 * np.pi * 440 * np.arange(48000) / 24000)[None].astype(np.float32)
    levelled, lufs = level(sine, loudness(sine, 24000))
    assert lufs == pytest.approx(-19.0)
    assert loudness(levelled, 24000) == pytest.approx(-19.0, abs=0.05)


def test_level_stops_below_the_peak_limit_and_leaves_silence_alone() -> None:
    click = np.zeros((1, 22050), np.float32)
    click[0, 5000] = 0.01
    levelled, lufs = level(click, -60.0)
    assert np.abs(levelled).max() == pytest.approx(10 ** (-1 / 20), rel=1e-3)
    assert lufs == pytest.approx(-60.0 + 39.0)  # from -40 dB to -1 dB
    quiet = np.zeros((1, 22050), np.float32)
    assert level(quiet, loudness(quiet, 22050)) == (quiet, float("-inf"))


def test_pieces_join_with_their_words_moved() -> None:
    one = Piece(np.ones((1, 100), np.float32), 100, "a b", (("a", 0.0), ("b", 0.5)))
    two = Piece(np.ones((1, 50), np.float32), 100, "c", (("c", 0.1),))
    track = join([one, two], 0.5)
    assert track.sound.shape == (1, 200)
    assert track.words == [
        {"text": "a", "start": 0.0, "end": 0.5},
        {"text": "b", "start": 0.5, "end": 1.0},
        {"text": "c", "start": 1.6, "end": 2.0},
    ]
    assert track.sentences == [
        {"text": "a b", "start": 0.0, "end": 1.0},
        {"text": "c", "start": 1.5, "end": 2.0},
    ]
