"""A small picture of anything: pictures reduced, the first frame of a film, the shape of a sound, the first words of a text.

WebP, at most 384 pixels a side; drawn in the reader process. When something cannot be drawn the reason belongs on a placeholder,
never in a traceback.
"""

from __future__ import annotations

import io
import subprocess
from typing import IO, TYPE_CHECKING

from studio.library import pictures
from studio.library.errors import LibraryError, UnreadableFile
from studio.library.media import HEAD, Sniffed, ffmpeg_command, run_ffmpeg, sniff

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw as Pen
    from PIL.ImageFont import FreeTypeFont as Font

SIZE = 384
PAPER, INK, FAINT, ACCENT = (33, 36, 43), (226, 229, 236), (128, 134, 148), (124, 156, 255)
RATE = 8000  # samples a second are enough to draw a sound
HEARD_SECONDS = 1200  # of a sound: its first twenty minutes give it a shape
BARS = 96


def draw(file: IO[bytes], kind: str, title: str = "") -> bytes:
    """The thumbnail of that file as WebP; raises LibraryError when nothing can be made of it."""
    try:
        if kind == "image":
            return pictures.webp(pictures.upright(file, most_side=SIZE))
        if kind == "video":
            return pictures.webp(_first_frame(file))
        if kind == "audio":
            return pictures.webp(_waveform(_peaks(file)))
        file.seek(0)
        return pictures.webp(_card(file.read(4000).decode("utf-8-sig", "replace"), kind, title))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise LibraryError("No thumbnail can be made of this file.", detail=str(error)[:200]) from error


def placeholder(kind: str, words: str) -> bytes:
    """What stands in for a thumbnail: the kind, and why there is nothing to see."""
    canvas, pen = _canvas(SIZE, SIZE)
    pen.rounded_rectangle((12, 12, SIZE - 12, SIZE - 12), 24, outline=FAINT, width=2)
    pen.text((SIZE / 2, SIZE / 2 - 16), kind.capitalize(), INK, _font(30), anchor="mm")
    pen.text((SIZE / 2, SIZE / 2 + 22), words, FAINT, _font(20), anchor="mm")
    return pictures.webp(canvas)


def _found(file: IO[bytes]) -> Sniffed:
    file.seek(0)
    found = sniff(file.read(HEAD))
    if found is None:
        raise UnreadableFile("This is neither sound nor film.")
    return found


def _first_frame(file: IO[bytes]) -> Picture:
    found = _found(file)
    if found.kind == "image":  # an animated GIF we made is filed as a film
        return pictures.upright(file, most_side=SIZE)
    scale = f"scale='min({SIZE},iw)':'min({SIZE},ih)':force_original_aspect_ratio=decrease"
    output = ["-frames:v", "1", "-vf", scale, "-f", "image2pipe", "-c:v", "png", "pipe:1"]
    done = run_ffmpeg(file, found, output)
    if not done.stdout:
        raise ValueError(done.stderr.decode("utf-8", "replace").strip()[-200:] or "no frame")
    return pictures.upright(io.BytesIO(done.stdout))


def _peaks(file: IO[bytes]) -> list[float]:
    """Loudest sample of each of `BARS` stretches of the sound, 0 to 1; memory stays flat however long it is."""
    import numpy as np

    output = ["-vn", "-ac", "1", "-ar", str(RATE), "-t", str(HEARD_SECONDS), "-f", "s16le", "pipe:1"]
    command, more = ffmpeg_command(file, _found(file), output)
    loudest: list[float] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more
    ) as process:
        assert process.stdout is not None
        while block := process.stdout.read(RATE // 50 * 2):  # 20 ms
            samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.int32)
            loudest.append(float(np.abs(samples).max(initial=0)) / 32768)
    if not loudest:
        raise ValueError("there is no sound in it")
    stretches = np.array_split(np.array(loudest), min(BARS, len(loudest)))
    return [float(stretch.max()) for stretch in stretches]


def _waveform(peaks: list[float]) -> Picture:
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


def _card(text: str, kind: str, title: str) -> Picture:
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


def _wrap(pen: Pen, text: str, font: Font, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text[:1500].split():
        if line and pen.textlength(f"{line} {word}", font) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line] if line else lines


def _canvas(width: int, height: int) -> tuple[Picture, Pen]:
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (width, height), PAPER)
    return canvas, ImageDraw.Draw(canvas)


def _font(size: int) -> Font:
    from PIL import ImageFont

    return ImageFont.load_default(size)
