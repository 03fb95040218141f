"""Samples → WAV, MP3, FLAC, Opus or AAC; faster or higher, and how loud, by ffmpeg's filters."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import StudioError
from pipelines.media.process import Ffmpeg, FileType, disk_error, ffmpeg, metadata_file

Samples = NDArray[np.float32]  # (channels, samples) in [-1, 1]

# AAC goes into an MP4 container: the bare stream has neither tags nor an exact length.
AUDIO_FILES = {
    "wav": FileType("wav", "audio/wav", ()),
    "mp3": FileType("mp3", "audio/mpeg", ("-c:a", "libmp3lame", "-q:a", "2", "-id3v2_version", "3")),
    "flac": FileType("flac", "audio/flac", ("-c:a", "flac")),
    "opus": FileType("opus", "audio/ogg", ("-c:a", "libopus", "-b:a", "96k", "-ar", "48000")),
    "aac": FileType("m4a", "audio/mp4", ("-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart")),
}
NOTHING_HEARD = -70.0  # LUFS: below the gate of the standard
RECIPE_CHUNK = b"atlr"  # our own RIFF chunk in WAV files: the recipe as JSON


def encode_audio(
    samples: Samples, sample_rate: int, format: str = "wav", tags: dict[str, str] | None = None
) -> bytes:
    """A whole sound file. samples: (channels, n) float in [-1, 1]; 16 bit in the lossless formats.

    WAV carries the tags in LIST/INFO and the recipe in its own chunk, the others in their comment tags.
    """
    wav = wav_bytes(samples, sample_rate, tags)
    if format == "wav":
        return wav
    kind = AUDIO_FILES[format]
    try:
        with tempfile.TemporaryDirectory(prefix="atelier-sound-") as folder:
            work = Path(folder)
            (work / "in.wav").write_bytes(wav)
            meta = metadata_file(work, tags or {})
            inputs = ["-i", str(work / "in.wav"), *(("-f", "ffmetadata", "-i", str(meta)) if meta else ())]
            arguments = [*inputs, "-map_metadata", "1" if meta else "-1", *kind.codec]
            child = Ffmpeg(arguments, work / f"out.{kind.suffix}")
            child.finish()
            return child.target.read_bytes()
    except OSError as error:
        raise disk_error(error, Path(tempfile.gettempdir())) from error


def wav_bytes(samples: Samples, sample_rate: int, tags: dict[str, str] | None = None) -> bytes:
    """A 16-bit WAV. The tags stand after the sound, for readers that expect it at byte 44."""
    channels = samples.shape[0]
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").T.tobytes()
    form = struct.pack("<HHIIHH", 1, channels, sample_rate, sample_rate * channels * 2, channels * 2, 16)
    chunks = [_chunk(b"fmt ", form), _chunk(b"data", pcm)]
    if tags:
        info = {b"INAM": "title", b"ISFT": "software", b"ICMT": "comment"}
        listed = b"".join(
            _chunk(key, tags[name].encode() + b"\0") for key, name in info.items() if tags.get(name)
        )
        chunks += [_chunk(b"LIST", b"INFO" + listed), _chunk(RECIPE_CHUNK, tags.get("comment", "").encode())]
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def change_tempo(samples: Samples, sample_rate: int, speed: float = 1.0, semitones: float = 0.0) -> Samples:
    """Play faster at the same pitch, and higher at the same speed; (channels, n) in and out.

    The length becomes n / speed (to the sample). Source: ffmpeg's `atempo` and `asetrate` filters.
    """
    if speed == 1.0 and semitones == 0.0:
        return samples
    ratio = 2.0 ** (semitones / 12.0)
    tempo = speed / ratio
    steps = [f"asetrate={round(sample_rate * ratio)}", f"aresample={sample_rate}"] if semitones else []
    while tempo < 0.5:  # one atempo goes down to half and up to a hundred times
        steps.append("atempo=0.5")
        tempo /= 0.5
    steps.append(f"atempo={tempo:.9f}")
    channels, length = samples.shape[0], round(samples.shape[1] / speed)
    raw = ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(channels)]
    data = _filtered(samples, sample_rate, ",".join(steps), [*raw, "-"])
    changed = np.frombuffer(data, "<f4").reshape(-1, channels).T[:, :length]
    return np.pad(changed, ((0, 0), (0, length - changed.shape[1]))).astype(np.float32)


def loudness(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness in LUFS, -inf for silence; (channels, n) in.

    Source: ffmpeg's `ebur128` (ITU-R BS.1770-4), which tells it after every tenth of a second; the last is of the whole sound.
    Less than one block of 400 ms counts as one.
    """
    meter = "apad=whole_dur=0.4,ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=-"
    told = _filtered(samples, sample_rate, meter, ["-f", "null", "-"]).rpartition(b"lavfi.r128.I=")[2]
    lufs = float(told.split()[0])
    return lufs if lufs > NOTHING_HEARD else float("-inf")


def _filtered(samples: Samples, sample_rate: int, filters: str, output: list[str]) -> bytes:
    """What ffmpeg writes for a sound that runs through its filters."""
    raw = ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(samples.shape[0]), "-i", "-"]
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", *raw, "-af", filters, *output]
    done = subprocess.run(command, input=samples.T.astype("<f4").tobytes(), capture_output=True, check=False)
    if done.returncode:
        raise StudioError(
            "ffmpeg could not work on the sound.", detail=done.stderr.decode(errors="replace")[-500:]
        )
    return done.stdout
