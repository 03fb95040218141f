"""Frames → MP4, WebM or GIF, one at a time: exact rates, colours that survive, and a whole file or none."""

from __future__ import annotations

import os
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InvalidRequest
from pipelines.media.process import Ffmpeg, FileType, disk_error, metadata_file

Frame = NDArray[np.uint8]  # (H, W, 3) RGB

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
            *("-c:v", "libvpx-vp9", "-crf", "28", "-b:v", "0"),
            *("-deadline", "good", "-cpu-used", "5", "-row-mt", "1"),
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
GIF_MAX_FPS = 50  # browsers play a delay under 2/100 s as 10/100 s


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
        self._child: Ffmpeg | None = None

    def __enter__(self) -> VideoWriter:
        self._folder = tempfile.TemporaryDirectory(prefix=".encode-", dir=self.path.parent)
        try:
            self._child = self._start(Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def _start(self, work: Path) -> Ffmpeg:
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{self.width}x{self.height}"]
        source = [*raw, "-r", str(self.fps), "-i", "-"]
        if (
            self.format == "gif"
        ):  # a palette needs all frames first: keep them on disk, lossless, not in memory
            lossless = ["-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0"]
            return Ffmpeg([*source, *lossless], work / "raw.mkv")
        sound: list[str] = []
        if self.audio is not None:
            length = f"{float(self.frames / self.fps):.6f}"
            source += ["-i", str(self.audio)]
            codec = ["-c:a", "libopus"] if self.format == "webm" else ["-c:a", "aac", "-b:a", "192k"]
            sound = ["-map", "0:v", "-map", "1:a", *codec, "-ar", "48000"]
            sound += ["-af", f"apad,atrim=0:{length}", "-t", length]
        meta = metadata_file(work, self.tags)
        tags = ["-f", "ffmetadata", "-i", str(meta)] if meta else []
        tags += ["-map_metadata", str(1 + (self.audio is not None)) if meta else "-1"]
        kind = VIDEO_FILES[self.format]
        return Ffmpeg([*source, *tags, *sound, *BT709, *kind.codec], work / f"clip.{kind.suffix}")

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
        Ffmpeg(["-i", str(raw), "-vf", "palettegen=stats_mode=diff"], palette).finish()
        drawing = "paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
        Ffmpeg(["-i", str(raw), "-i", str(palette), "-lavfi", drawing, "-loop", "0"], gif).finish()
        if comment := self.tags.get("comment", ""):
            _insert_gif_comment(gif, comment.encode())
        return gif


def _insert_gif_comment(path: Path, comment: bytes) -> None:
    """Put a comment extension after the header and global palette: ffmpeg writes none into GIFs."""
    data = path.read_bytes()
    flags = data[10]
    start = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    blocks = b"".join(
        bytes([len(part)]) + part for part in (comment[at : at + 255] for at in range(0, len(comment), 255))
    )
    path.write_bytes(data[:start] + b"\x21\xfe" + blocks + b"\x00" + data[start:])
