"""A small picture of anything: pictures reduced, the first frame of a film, the shape of a sound, the first words of a text.

WebP, at most 384 pixels a side. When something cannot be drawn the reason belongs on a placeholder, never in a traceback.
"""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

from studio.library.errors import LibraryError
from studio.library.media import FFMPEG_SECONDS, ffmpeg, open_picture, run_ffmpeg

SIZE = 384
PAPER, INK, FAINT, ACCENT = (33, 36, 43), (226, 229, 236), (128, 134, 148), (124, 156, 255)
RATE = 8000  # samples a second are enough to draw a sound
BARS = 96


def draw(path: Path, kind: str, title: str = "") -> bytes:
    """The thumbnail of that file as WebP; raises LibraryError when nothing can be made of it."""
    try:
        if kind == "image":
            return _webp(_picture(path))
        if kind == "video":
            return _webp(_first_frame(path))
        if kind == "audio":
            return _webp(_waveform(_peaks(path)))
        return _webp(_card(path.read_bytes()[:4000].decode("utf-8", "replace"), kind, title))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise LibraryError(f"No thumbnail can be made of {path.name}.", detail=str(error)[:200]) from error


def placeholder(kind: str, words: str) -> bytes:
    """What stands in for a thumbnail: the kind, and why there is nothing to see."""
    canvas, pen = _canvas(SIZE, SIZE)
    pen.rounded_rectangle((12, 12, SIZE - 12, SIZE - 12), 24, outline=FAINT, width=2)
    pen.text((SIZE / 2, SIZE / 2 - 16), kind.capitalize(), INK, _font(30), anchor="mm")
    pen.text((SIZE / 2, SIZE / 2 + 22), words, FAINT, _font(20), anchor="mm")
    return _webp(canvas)


def _picture(source: Path | io.BytesIO) -> Any:
    from PIL import ImageOps

    with open_picture(source) as picture:
        picture.draft("RGB", (SIZE, SIZE))  # a JPEG is decoded at the size it is needed
        small = ImageOps.exif_transpose(picture)
        small.thumbnail((SIZE, SIZE))
        return small.convert("RGBA" if "A" in small.getbands() or "transparency" in small.info else "RGB")


def _first_frame(path: Path) -> Any:
    scale = f"scale='min({SIZE},iw)':'min({SIZE},ih)':force_original_aspect_ratio=decrease"
    done = run_ffmpeg(path, ["-frames:v", "1", "-vf", scale, "-f", "image2pipe", "-c:v", "png", "pipe:1"])
    if not done.stdout:
        raise ValueError(done.stderr.decode("utf-8", "replace").strip()[-200:] or "no frame")
    return _picture(io.BytesIO(done.stdout))


def _peaks(path: Path) -> list[float]:
    """Loudest sample of each of `BARS` stretches of the sound, 0 to 1; memory stays flat however long it is."""
    import numpy as np

    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-protocol_whitelist", "file,pipe"]
    command += [
        "-i",
        f"file:{path}",
        "-vn",
        "-ac",
        "1",
        "-ar",
        str(RATE),
        "-t",
        "36000",
        "-f",
        "s16le",
        "pipe:1",
    ]
    loudest: list[float] = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        while block := process.stdout.read(RATE // 50 * 2):  # 20 ms
            samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.int32)
            loudest.append(float(np.abs(samples).max(initial=0)) / 32768)
        process.wait(FFMPEG_SECONDS)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    if not loudest:
        raise ValueError("there is no sound in it")
    stretches = np.array_split(np.array(loudest), min(BARS, len(loudest)))
    return [float(stretch.max()) for stretch in stretches]


def _waveform(peaks: list[float]) -> Any:
    width, height = SIZE, SIZE * 9 // 16
    canvas, pen = _canvas(width, height)
    step = (width - 32) / len(peaks)
    loudest = max(*peaks, 0.05)  # a quiet voice has a shape too; silence stays a line
    for place, peak in enumerate(peaks):
        half = max(1.5, peak / loudest * (height / 2 - 20))
        left = 16 + place * step
        pen.rounded_rectangle(
            (left, height / 2 - half, left + max(1.0, step * 0.6), height / 2 + half), 1, fill=ACCENT
        )
    return canvas


def _card(text: str, kind: str, title: str) -> Any:
    canvas, pen = _canvas(SIZE, SIZE)
    pen.text((24, 22), kind.upper(), ACCENT, _font(15))
    top = 50
    for line in _wrap(pen, title, _font(24), SIZE - 48)[:2]:
        pen.text((24, top), line, INK, _font(24))
        top += 32
    top += 10
    font = _font(17)
    lines = text.splitlines() if kind == "code" else _wrap(pen, " ".join(text.split()), font, SIZE - 48)
    for line in lines[: (SIZE - top - 20) // 24]:
        pen.text((24, top), line.replace("\t", "    "), FAINT, font)
        top += 24
    return canvas


def _wrap(pen: Any, text: str, font: Any, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text[:1500].split():
        if line and pen.textlength(f"{line} {word}", font) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line] if line else lines


def _canvas(width: int, height: int) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (width, height), PAPER)
    return canvas, ImageDraw.Draw(canvas)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _webp(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()
