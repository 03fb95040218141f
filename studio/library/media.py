"""What a file is and what is in it, by its own bytes: kind, type, facts. Pillow for pictures, ffmpeg for sound and film.

Nothing here trusts a file name: a kind is read from the first bytes, and ffmpeg may open that one local file and nothing else.
"""

from __future__ import annotations

import re
import subprocess
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from studio.library.errors import LibraryError, UnreadableFile

READABLE = (
    "Pictures: PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF. Sound: WAV, MP3, FLAC, Ogg, Opus, M4A. "
    "Video: MP4, MOV, WebM, MKV, AVI. Text and code in UTF-8."
)
MAX_PIXELS = 150_000_000  # a picture of 12 000 × 12 000; about 450 MB once decoded
FFMPEG_SECONDS = 60

_CODE = {
    "bash": "bash", "c": "c", "cc": "cpp", "cpp": "cpp", "cs": "csharp", "css": "css", "go": "go", "h": "c",
    "hpp": "cpp", "html": "html", "java": "java", "js": "javascript", "jsx": "javascript", "kt": "kotlin",
    "lua": "lua", "php": "php", "pl": "perl", "py": "python", "r": "r", "rb": "ruby", "rs": "rust",
    "scala": "scala", "sh": "bash", "sql": "sql", "swift": "swift", "ts": "typescript", "tsx": "typescript",
}  # fmt: skip
_TEXT = {"txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "json": "application/json",
         "yaml": "application/yaml", "yml": "application/yaml", "xml": "application/xml", "srt": "text/plain",
         "vtt": "text/vtt", "log": "text/plain", "toml": "application/toml"}  # fmt: skip


@dataclass(frozen=True)
class Sniffed:
    """What a file is. suffix: the ending it should have, without the dot."""

    kind: str
    media_type: str
    suffix: str
    facts: dict[str, Any] = field(default_factory=dict)


def sniff(head: bytes) -> Sniffed | None:
    """Kind and type by the first bytes of a picture, sound or film; None for anything else. Containers that hold sound
    or film alike come back as video; `probe` tells."""
    brand = head[8:12]
    if head[4:8] == b"ftyp":
        if brand in (b"avif", b"avis"):
            return Sniffed("image", "image/avif", "avif")
        if brand in (b"M4A ", b"M4B "):
            return Sniffed("audio", "audio/mp4", "m4a")
        return Sniffed(
            "video",
            "video/quicktime" if brand == b"qt  " else "video/mp4",
            "mov" if brand == b"qt  " else "mp4",
        )
    if head[:4] == b"RIFF" and brand in _RIFF:
        return _RIFF[brand]
    for start, found in _STARTS:
        if head.startswith(start):
            return found
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # an MPEG layer III frame without a tag
        return Sniffed("audio", "audio/mpeg", "mp3")
    return None


_RIFF = {
    b"WEBP": Sniffed("image", "image/webp", "webp"),
    b"WAVE": Sniffed("audio", "audio/wav", "wav"),
    b"AVI ": Sniffed("video", "video/x-msvideo", "avi"),
}
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", Sniffed("image", "image/png", "png")),
    (b"\xff\xd8\xff", Sniffed("image", "image/jpeg", "jpg")),
    (b"GIF8", Sniffed("image", "image/gif", "gif")),
    (b"II*\0", Sniffed("image", "image/tiff", "tif")),
    (b"MM\0*", Sniffed("image", "image/tiff", "tif")),
    (b"BM", Sniffed("image", "image/bmp", "bmp")),
    (b"fLaC", Sniffed("audio", "audio/flac", "flac")),
    (b"OggS", Sniffed("audio", "audio/ogg", "ogg")),
    (b"ID3", Sniffed("audio", "audio/mpeg", "mp3")),
    (b"\x1aE\xdf\xa3", Sniffed("video", "video/webm", "webm")),
)


def examine(path: Path, filename: str) -> Sniffed:
    """What an uploaded file is, having read it: pictures are decoded, sound and film probed, text checked to be UTF-8.

    Raises UnreadableFile saying why and what can be read.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise UnreadableFile(f"{filename} is empty.", detail="It has 0 bytes.", hint="Choose another file.")
    found = sniff(head)
    if found is None:
        return _examine_text(path, filename)
    if found.kind == "image":
        return _examine_picture(path, filename, found)
    facts = probe(path)
    if not facts:
        raise _unreadable(
            filename, f"It starts like {found.media_type}, but no sound or picture can be read from it."
        )
    if "width" not in facts:
        kind = found.media_type.replace("video/", "audio/")
        return Sniffed("audio", kind, "m4a" if found.suffix in ("mp4", "mov") else found.suffix, facts)
    return Sniffed("video", found.media_type.replace("audio/ogg", "video/ogg"), found.suffix, facts)


def probe(path: Path) -> dict[str, Any]:
    """width, height, fps, seconds, sample_rate, channels as far as ffmpeg can tell; empty when it cannot read the file."""
    said = run_ffmpeg(path, []).stderr.decode("utf-8", "replace")
    facts: dict[str, Any] = {}
    if match := re.search(r"Duration: (\d+):(\d\d):(\d\d\.\d+)", said):
        hours, minutes, seconds = match.groups()
        facts["seconds"] = round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 3)
    for line in said.splitlines():
        if "Stream #" not in line:
            continue
        if "Video:" in line and "attached pic" not in line and "width" not in facts:
            if match := re.search(r", (\d{1,5})x(\d{1,5})\b", line):
                facts |= {"width": int(match[1]), "height": int(match[2])}
            if match := re.search(r"([\d.]+) fps", line):
                facts["fps"] = float(match[1])
        elif "Audio:" in line and (match := re.search(r"(\d+) Hz, ([^,]+)", line)):
            facts |= {"sample_rate": int(match[1]), "channels": _channels(match[2])}
    return facts if {"width", "sample_rate"} & set(facts) else {}


def open_picture(source: Path | IO[bytes]) -> Any:
    """A Pillow image, not yet decoded; raises UnreadableFile when it is none or far too large to decode."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", Image.DecompressionBombWarning
            )  # our own bound follows, with its numbers
            picture = Image.open(source)
    except Image.DecompressionBombError:
        raise UnreadableFile(
            "The picture is too large to open.",
            detail=f"It claims more than {MAX_PIXELS // 1_000_000} million pixels.",
            hint="Make it smaller and try again.",
        ) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise UnreadableFile("The picture cannot be read.", detail=str(error)[:200], hint=READABLE) from None
    if picture.width * picture.height > MAX_PIXELS:
        raise UnreadableFile(
            "The picture is too large to open.",
            detail=f"It has {picture.width} × {picture.height} pixels; {MAX_PIXELS // 1_000_000} million is the most.",
            hint="Make it smaller and try again.",
        )
    return picture


def run_ffmpeg(path: Path, output: list[str]) -> subprocess.CompletedProcess[bytes]:
    """ffmpeg on that one local file; raises LibraryError when there is no ffmpeg or it takes too long."""
    command = [
        ffmpeg(),
        "-hide_banner",
        "-nostdin",
        "-protocol_whitelist",
        "file,pipe",
        "-i",
        f"file:{path}",
        *output,
    ]
    try:
        return subprocess.run(command, capture_output=True, timeout=FFMPEG_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise LibraryError(
            f"{path.name} took too long to read.", detail=f"ffmpeg was stopped after {FFMPEG_SECONDS} s."
        ) from None


def ffmpeg() -> str:
    """Where ffmpeg is; raises LibraryError when there is none."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise LibraryError(
            "No ffmpeg on this machine.", detail=str(error), hint="Install imageio-ffmpeg."
        ) from None


def _examine_picture(path: Path, filename: str, found: Sniffed) -> Sniffed:
    picture = open_picture(path)
    try:
        picture.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise _unreadable(filename, f"It starts like {found.media_type}, but is damaged: {error}") from None
    return Sniffed(
        found.kind, found.media_type, found.suffix, {"width": picture.width, "height": picture.height}
    )


def _examine_text(path: Path, filename: str) -> Sniffed:
    suffix = Path(filename).suffix.lower().lstrip(".")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _unreadable(
            filename, "It is neither a known picture, sound or video nor text in UTF-8."
        ) from None
    if "\0" in text:
        raise _unreadable(filename, "It is neither a known picture, sound or video nor text.")
    facts: dict[str, Any] = {"lines": text.count("\n") + 1, "characters": len(text)}
    if suffix in _CODE:
        return Sniffed("code", "text/plain", suffix, {**facts, "language": _CODE[suffix]})
    return Sniffed("text", _TEXT.get(suffix, "text/plain"), suffix if suffix in _TEXT else "txt", facts)


def _unreadable(filename: str, why: str) -> UnreadableFile:
    return UnreadableFile(f"{filename} cannot be read.", detail=why, hint=f"What can be read: {READABLE}")


def _channels(layout: str) -> int:
    named = {"mono": 1, "stereo": 2, "quad": 4, "5.1": 6, "7.1": 8}
    word = layout.strip().split("(")[0]
    if word in named:
        return named[word]
    match = re.match(r"\d+", word)
    return int(match[0]) if match else 1
