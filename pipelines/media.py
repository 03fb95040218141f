"""Frames and samples → files people can open, the recipe inside: MP4, WebM, GIF; WAV, MP3, FLAC, Opus, AAC.

One encoder for all of them: ffmpeg as a child process, fed through a pipe, so memory stays flat however long the clip is.
A file appears under its own name only when it is whole; after an error or a cancel nothing is left behind.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import subprocess
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InvalidRequest, OutOfDisk, StudioError

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Samples = NDArray[np.float32]  # (channels, samples) in [-1, 1]

RECIPE_CHUNK = b"atlr"  # our own RIFF chunk in WAV files: the recipe as JSON
GIF_MAX_FPS = 50  # browsers play a delay under 2/100 s as 10/100 s


@dataclass(frozen=True)
class FileType:
    suffix: str
    media_type: str
    codec: tuple[str, ...]


# AAC goes into an MP4 container: the bare stream has neither tags nor an exact length.
AUDIO_FILES = {
    "wav": FileType("wav", "audio/wav", ()),
    "mp3": FileType("mp3", "audio/mpeg", ("-c:a", "libmp3lame", "-q:a", "2", "-id3v2_version", "3")),
    "flac": FileType("flac", "audio/flac", ("-c:a", "flac")),
    "opus": FileType("opus", "audio/ogg", ("-c:a", "libopus", "-b:a", "64k", "-ar", "48000")),
    "aac": FileType("m4a", "audio/mp4", ("-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart")),
}
VIDEO_FILES = {
    "mp4": FileType(
        "mp4",
        "video/mp4",
        ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-movflags", "+faststart"),
    ),
    "webm": FileType(
        "webm",
        "video/webm",
        (
            "-c:v",
            "libvpx-vp9",
            "-crf",
            "28",
            "-b:v",
            "0",
            "-deadline",
            "good",
            "-cpu-used",
            "5",
            "-row-mt",
            "1",
        ),
    ),
    "gif": FileType("gif", "image/gif", ()),
}
# RGB → BT.709, tagged as such: an untagged file is shown with another matrix and pure green turns 0,215,0.
BT709 = (
    "-vf",
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p",
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"),
)


def recipe_tags(title: str, recipe: dict[str, Any] | None) -> dict[str, str]:
    """Tags of a file: `title`, the start of the prompt, and `comment`, the recipe as JSON. None writes no tags at all."""
    if recipe is None:
        return {}
    words = " ".join(title.split())
    return {
        "title": words if len(words) <= 80 else words[:79] + "…",
        "comment": json.dumps(recipe, ensure_ascii=False),
        "software": "Atelier",
    }


def ffmpeg() -> str:
    """Where ffmpeg is: `IMAGEIO_FFMPEG_EXE`, the one bundled with imageio-ffmpeg, or the system's."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise StudioError(
            "No ffmpeg on this machine.",
            detail=str(error),
            hint="Install imageio-ffmpeg, or put ffmpeg on the PATH.",
        ) from None


# ---- video ------------------------------------------------------------------------------------------------------------


class VideoWriter:
    """Writes a clip frame by frame; a context manager that leaves a whole file at `path`, or nothing.

    width, height: even, as H.264 and VP9 store colour for two by two pixels. fps: exact; 24000/1001 stays that.
    audio: a sound file laid under the clip and cut or padded to exactly its length; needs `frames`, the number of
    frames that will come. Raises StudioError with ffmpeg's last words, OutOfDisk when the disk is full.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        fps: Fraction,
        *,
        format: str = "mp4",
        tags: dict[str, str] | None = None,
        audio: Path | None = None,
        frames: int = 0,
    ) -> None:
        if width % 2 or height % 2:
            raise InvalidRequest(
                f"{width}×{height} cannot be a video.", hint="Width and height must both be even numbers."
            )
        if format == "gif" and fps > GIF_MAX_FPS:
            raise InvalidRequest(
                f"A GIF cannot play {float(fps):g} frames a second.",
                field="fps",
                detail=f"Its clock allows {GIF_MAX_FPS} at most.",
                hint="Use 50 or less, or MP4.",
            )
        self.path, self.width, self.height, self.fps, self.format = path, width, height, fps, format
        self.tags, self.audio, self.frames = tags or {}, audio, frames
        self.written = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: _Ffmpeg | None = None

    def __enter__(self) -> VideoWriter:
        self._folder = tempfile.TemporaryDirectory(prefix=".encode-", dir=self.path.parent)
        try:
            self._child = self._start(Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def _start(self, work: Path) -> _Ffmpeg:
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{self.width}x{self.height}"]
        source = [*raw, "-r", str(self.fps), "-i", "-"]
        if (
            self.format == "gif"
        ):  # a palette needs all frames first: keep them on disk, lossless, not in memory
            lossless = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0"]
            return _Ffmpeg([*source, *lossless], work / "raw.mkv")
        sound: list[str] = []
        if self.audio is not None:
            length = f"{float(self.frames / self.fps):.6f}"
            source += ["-i", str(self.audio)]
            codec = ["-c:a", "libopus"] if self.format == "webm" else ["-c:a", "aac", "-b:a", "192k"]
            sound = ["-map", "0:v", "-map", "1:a", *codec, "-ar", "48000"]
            sound += ["-af", f"apad,atrim=0:{length}", "-t", length]
        meta = _metadata_file(work, self.tags)
        tags = ["-f", "ffmetadata", "-i", str(meta)] if meta else []
        tags += ["-map_metadata", str(1 + (self.audio is not None)) if meta else "-1"]
        kind = VIDEO_FILES[self.format]
        return _Ffmpeg([*source, *tags, *sound, *BT709, *kind.codec], work / f"clip.{kind.suffix}")

    def write(self, frame: Frame) -> None:
        """Append one frame, (height, width, 3) uint8 RGB."""
        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            raise ValueError(
                f"frame is {frame.dtype} {frame.shape}, not uint8 {(self.height, self.width, 3)}"
            )
        assert self._child is not None
        self._child.feed(np.ascontiguousarray(frame).data)
        self.written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child is not None
        assert self._folder is not None
        try:
            if error is not None:
                self._child.kill()
                return
            self._child.finish()
            made = self._make_gif(self._child.target) if self.format == "gif" else self._child.target
            os.replace(made, self.path)
        except OSError as failure:
            raise disk_error(failure, self.path.parent) from failure
        finally:
            self._child.kill()
            self._folder.cleanup()

    def _make_gif(self, raw: Path) -> Path:
        palette, gif = raw.with_name("palette.png"), raw.with_name("clip.gif")
        _Ffmpeg(["-i", str(raw), "-vf", "palettegen=stats_mode=diff"], palette).finish()
        drawing = "paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
        _Ffmpeg(["-i", str(raw), "-i", str(palette), "-lavfi", drawing, "-loop", "0"], gif).finish()
        if comment := self.tags.get("comment", ""):
            _insert_gif_comment(gif, comment.encode())
        return gif


class _Ffmpeg:
    """One running ffmpeg. Its messages are drained as they come (a full pipe would stop it), the last ones kept."""

    def __init__(self, arguments: list[str], target: Path) -> None:
        self.target = target
        command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", *arguments, str(target)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self._words: deque[str] = deque(maxlen=6)
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def feed(self, data: memoryview | bytes) -> None:
        assert self._process.stdin is not None
        rest = memoryview(data).cast("B")
        try:
            while len(rest):  # an unbuffered pipe takes what fits
                rest = rest[self._process.stdin.write(rest) :]
        except OSError:  # ffmpeg ended early; it knows why
            self.finish()
            raise self._failure() from None

    def finish(self) -> None:
        """Wait for the end; raises when ffmpeg did not make the file."""
        assert self._process.stdin is not None
        with _ignoring_broken_pipe():
            self._process.stdin.close()
        code = self._process.wait()
        self._listener.join()
        if code:
            raise self._failure()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        with _ignoring_broken_pipe():
            self._process.stdin.close()
        self._listener.join()

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._words.append(line.decode(errors="replace").strip())

    def _failure(self) -> StudioError:
        words = " / ".join(self._words)[-500:] or f"It ended with code {self._process.returncode}."
        if "No space left on device" in words:
            return disk_full(self.target.parent)
        return StudioError(
            f"ffmpeg could not write the {self.target.suffix[1:]} file.",
            detail=words,
            hint="Try another format; if it happens again, please report these words.",
        )


class _ignoring_broken_pipe:
    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        return isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EINVAL)  # EINVAL: Windows


def disk_full(folder: Path) -> OutOfDisk:
    free = shutil.disk_usage(folder).free
    return OutOfDisk(
        "The disk is full.",
        detail=f"{free / 1e6:.0f} MB are free where {folder} lies.",
        hint="Free some space and try again; what was made before is untouched.",
    )


def disk_error(error: OSError, folder: Path) -> BaseException:
    """`OutOfDisk` for a full disk, the error itself for anything else."""
    return disk_full(folder) if error.errno in (errno.ENOSPC, errno.EDQUOT) else error


def _metadata_file(folder: Path, tags: dict[str, str]) -> Path | None:
    """An ffmetadata file: a command line has no room for long prompts on Windows. None when there are no tags."""
    if not tags:
        return None
    escape = str.maketrans({char: "\\" + char for char in "=;#\\\n"})
    lines = [f"{key}={value.translate(escape)}" for key, value in tags.items()]
    path = folder / "tags.txt"
    path.write_text(";FFMETADATA1\n" + "\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path


def _insert_gif_comment(path: Path, comment: bytes) -> None:
    """Put a comment extension after the header and global palette: ffmpeg writes none into GIFs."""
    data = path.read_bytes()
    flags = data[10]
    start = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    blocks = b"".join(
        bytes([len(part)]) + part for part in (comment[at : at + 255] for at in range(0, len(comment), 255))
    )
    path.write_bytes(data[:start] + b"\x21\xfe" + blocks + b"\x00" + data[start:])


# ---- sound ------------------------------------------------------------------------------------------------------------


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
            meta = _metadata_file(work, tags or {})
            inputs = ["-i", str(work / "in.wav"), *(("-f", "ffmetadata", "-i", str(meta)) if meta else ())]
            arguments = [*inputs, "-map_metadata", "1" if meta else "-1", *kind.codec]
            child = _Ffmpeg(arguments, work / f"out.{kind.suffix}")
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
    command = [
        ffmpeg(),
        "-hide_banner",
        "-loglevel",
        "error",
        *raw,
        "-i",
        "-",
        "-af",
        ",".join(steps),
        *raw,
        "-",
    ]
    done = subprocess.run(command, input=samples.T.astype("<f4").tobytes(), capture_output=True, check=False)
    if done.returncode:
        raise StudioError(
            "ffmpeg could not change the tempo.", detail=done.stderr.decode(errors="replace")[-500:]
        )
    changed = np.frombuffer(done.stdout, "<f4").reshape(-1, channels).T[:, :length]
    return np.pad(changed, ((0, 0), (0, length - changed.shape[1]))).astype(np.float32)
