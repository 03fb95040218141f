"""Files people can open: exact in length and colour, tagged, and never half there."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import tracemalloc
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines import media
from pipelines.errors import InvalidRequest, OutOfDisk, StudioError
from pipelines.media import VideoWriter, change_tempo, encode_audio, ffmpeg, recipe_tags, wav_bytes
from pipelines.media.process import Ffmpeg

RECIPE = {"prompt": "Schöne; Welt = 1\nline two # \\ 🌊", "seed": 5, "modality": "video"}


def probe(path: Path) -> str:
    """What ffmpeg says about a file."""
    done = subprocess.run(
        [ffmpeg(), "-hide_banner", "-i", str(path)], capture_output=True, text=True, check=False
    )
    return done.stderr


def decode(path: Path, width: int, height: int) -> np.ndarray:
    command = [ffmpeg(), "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(out, np.uint8).reshape(-1, height, width, 3)


def tags_of(path: Path) -> dict[str, str]:
    """The tags of a file, as ffmpeg exports them."""
    at = ["-map_metadata", "0:s:0"] if path.suffix == ".opus" else []  # Ogg tags belong to the stream
    command = [ffmpeg(), "-loglevel", "error", "-i", str(path), *at, "-f", "ffmetadata", "-"]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    pairs = re.findall(r"^([A-Za-z]+)=((?:\\.|\\\n|[^\\\n])*)$", text, re.MULTILINE)
    return {key.lower(): re.sub(r"\\(.|\n)", r"\1", value) for key, value in pairs}


def write(
    path: Path, pictures: list[np.ndarray], fps: str = "24", format: str = "mp4", **more: object
) -> None:
    height, width = pictures[0].shape[:2]
    with VideoWriter(path, width, height, Fraction(fps), format=format, **more) as writer:  # type: ignore[arg-type]
        for frame in pictures:
            writer.write(frame)


def tone(seconds: float, rate: int = 22050, hertz: float = 440.0, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave, (channels, 1)).astype(np.float32)


def grey(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    return [np.full((height, width, 3), 40 + i, np.uint8) for i in range(count)]


@pytest.mark.parametrize(("fps", "frames"), [("24000/1001", 48), ("30000/1001", 7), ("25", 10), ("60", 13)])
def test_an_mp4_has_every_frame_and_the_exact_rate(tmp_path: Path, fps: str, frames: int) -> None:
    path = tmp_path / "clip.mp4"
    write(path, grey(frames), fps)
    video = cv2.VideoCapture(str(path))
    assert len(decode(path, 64, 48)) == frames
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(float(Fraction(fps)), rel=1e-9)
    seconds = re.search(r"Duration: 00:00:([\d.]+)", probe(path))
    assert seconds is not None
    assert float(seconds[1]) == pytest.approx(float(frames / Fraction(fps)), abs=0.006)  # printed in 1/100 s


def test_an_mp4_plays_everywhere_starts_fast_and_says_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, grey(3))
    said, data = probe(path), path.read_bytes()
    assert "h264 (High)" in said
    assert "yuv420p(tv, bt709" in said
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_colours_survive(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"clip.{format}"
    colours = [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
        (0, 0, 0),
        (128, 128, 128),
        (200, 120, 40),
    ]
    write(path, [np.full((48, 64, 3), colour, np.uint8) for colour in colours], "1", format)
    for frame, colour in zip(decode(path, 64, 48), colours, strict=True):
        assert np.abs(frame.reshape(-1, 3).mean(axis=0) - colour).max() <= 3


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_the_recipe_rides_in_the_comment(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"clip.{format}"
    write(path, grey(3), format=format, tags=recipe_tags(RECIPE))
    assert json.loads(tags_of(path)["comment"]) == RECIPE


def test_a_gif_loops_for_ever_keeps_its_pace_and_carries_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    recipe = {"prompt": "x" * 600}
    write(path, grey(25), "25", "gif", tags=recipe_tags(recipe))
    data = path.read_bytes()
    delays = [
        struct.unpack("<H", data[at.start() + 4 : at.start() + 6])[0]
        for at in re.finditer(b"\x21\xf9\x04", data)
    ]
    assert data[:6] == b"GIF89a"
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in data
    assert sum(delays) == 100  # one second in hundredths
    from PIL import Image

    with Image.open(path) as picture:
        assert json.loads(picture.info["comment"]) == recipe
        assert picture.n_frames == 25


def test_a_gif_faster_than_browsers_play_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="60 frames"):
        VideoWriter(tmp_path / "a.gif", 64, 48, Fraction(60), format="gif")


@pytest.mark.parametrize("format", ["mp4", "webm"])
@pytest.mark.parametrize("sound_seconds", [0.5, 3.0])
def test_sound_is_exactly_as_long_as_the_picture(tmp_path: Path, format: str, sound_seconds: float) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(tone(sound_seconds), 22050))
    path = tmp_path / f"clip.{format}"
    write(path, grey(48), "24000/1001", format, audio=tmp_path / "a.wav", frames=48)
    raw = subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-i", str(path), "-map", "0:a", "-f", "s16le", "-ac", "1", "-"],
        capture_output=True,
        check=True,
    ).stdout
    assert len(raw) / 2 / 48000 == pytest.approx(
        2.002, abs=0.0011 if format == "mp4" else 0.021
    )  # Opus: 20 ms packets


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    frame = np.zeros((240, 320, 3), np.uint8)
    peaks = []
    for count in (5, 200):
        tracemalloc.start()
        with VideoWriter(tmp_path / "clip.mp4", 320, 240, Fraction(24)) as writer:
            for level in range(count):
                writer.write(frame + np.uint8(level))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 4 * frame.nbytes


def test_after_an_error_nothing_is_left_behind(tmp_path: Path) -> None:
    def broken() -> None:
        with VideoWriter(tmp_path / "clip.mp4", 64, 48, Fraction(24)) as writer:
            writer.write(grey(1)[0])
            raise KeyError("somewhere else")

    with pytest.raises(KeyError):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_of_the_same_name_survives_a_failed_writing(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"precious")

    def broken() -> None:
        with VideoWriter(path, 64, 48, Fraction(24)):
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert path.read_bytes() == b"precious"


def test_when_ffmpeg_fails_its_last_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(StudioError) as caught:
        write(tmp_path / "clip.mp4", grey(40), audio=tmp_path / "missing.wav", frames=40)
    assert "missing.wav" in caught.value.detail
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="63×48"):
        VideoWriter(tmp_path / "clip.mp4", 63, 48, Fraction(24))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which only Linux has")
def test_a_full_disk_is_called_a_full_disk(tmp_path: Path) -> None:
    child = Ffmpeg(["-f", "lavfi", "-i", "testsrc=d=3", "-f", "rawvideo"], Path("/dev/full"))
    with pytest.raises(OutOfDisk, match="disk is full"):
        child.finish()


def test_a_wav_is_16_bit_pcm_with_its_tags_behind_the_sound() -> None:
    sound = np.array([[0.0, 1.0, -1.0, 0.5]], np.float32)
    data = wav_bytes(sound, 22050, recipe_tags(RECIPE))
    assert data[:4] == b"RIFF"
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    assert data[36:40] == b"data"
    assert np.frombuffer(data[44:52], "<i2").tolist() == [0, 32767, -32767, 16384]
    at = data.index(b"atlr")
    size = struct.unpack("<I", data[at + 4 : at + 8])[0]
    assert json.loads(data[at + 8 : at + 8 + size]) == RECIPE
    assert b"LIST" in data[52:]
    assert b"INAM" in data[52:]
    assert "Schöne; Welt = 1 line two".encode() in data[52:]


@pytest.mark.parametrize("format", ["mp3", "flac", "opus", "aac"])
def test_every_sound_format_keeps_length_and_recipe(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{media.AUDIO_FILES[format].suffix}"
    path.write_bytes(encode_audio(tone(1.5), 22050, format, recipe_tags(RECIPE)))
    said = probe(path)
    seconds = re.search(r"Duration: 00:00:([\d.]+)", said)
    assert seconds is not None
    assert float(seconds[1]) == pytest.approx(1.5, abs=0.06)  # MP3 counts its padding
    assert "Audio: " + ("aac" if format == "aac" else format) in said
    assert json.loads(tags_of(path)["comment"]) == RECIPE


def test_without_a_recipe_no_tag_is_written(tmp_path: Path) -> None:
    assert recipe_tags(None) == {}
    for format in ("wav", "mp3"):
        assert b"secret" not in encode_audio(tone(0.2), 22050, format, {})


@pytest.mark.parametrize(("speed", "semitones"), [(2.0, 0.0), (0.3, 0.0), (1.0, 7.0), (1.5, -12.0)])
def test_tempo_and_pitch_change_apart_from_each_other(speed: float, semitones: float) -> None:
    sound = tone(2.0, hertz=440)
    changed = change_tempo(sound, 22050, speed, semitones)
    assert changed.shape == (1, round(sound.shape[1] / speed))
    middle = changed[0, changed.shape[1] // 4 : changed.shape[1] // 4 + 8192]
    loudest = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 65536))) * 22050 / 65536
    assert loudest == pytest.approx(440 * 2 ** (semitones / 12), rel=0.02)
