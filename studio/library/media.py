"""What a file is and what is in it, by its own bytes: kind, type, facts. ffmpeg for sound and film; pictures are next door.

Nothing here trusts a file name: a kind is read from the first bytes, ffmpeg is told the one format these name, and reads an open
file instead of a path, so that nothing inside can make it open another. Runs in the reader process.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypedDict

from pipelines.errors import readable_bytes
from pipelines.words import programs
from pipelines.words.languages import language_of_file
from studio.library.errors import LibraryError, UnreadableFile
from studio.library.sandbox import die_with_parent

READABLE = (
    "Pictures: PNG, JPEG, WebP, AVIF, HEIC, GIF, BMP, TIFF. Sound: WAV, MP3, FLAC, Ogg, Opus, M4A. "
    "Video: MP4, MOV, WebM, MKV, AVI. Text and code in UTF-8."
)
MAX_TEXT = 64 * 10**6  # bytes of a text
MAX_FRAME = 8192 * 8192  # pixels of one frame of a film
HEAD = 64  # bytes that tell what a file is
DEMUXERS = {
    "mp4": "mov", "mov": "mov", "m4a": "mov", "webm": "matroska", "avi": "avi", "wav": "wav", "mp3": "mp3",
    "flac": "flac", "ogg": "ogg",
}  # fmt: skip

_TEXT = {
    "txt": "text/plain", "csv": "text/csv", "srt": "text/plain", "vtt": "text/vtt", "log": "text/plain",
}  # fmt: skip


class Started(TypedDict, total=False):
    """With what ffmpeg is started beside its command line."""

    pass_fds: tuple[int, ...]
    preexec_fn: Callable[[], None]


@dataclass(frozen=True)
class Sniffed:
    """What a file is. suffix: the ending it should have, without the dot."""

    kind: str
    media_type: str
    suffix: str
    facts: Mapping[str, object] = field(default_factory=dict)


def sniff(head: bytes) -> Sniffed | None:
    """Kind and type by the first bytes of a picture, sound or film; None for anything else. Containers that hold sound
    or film alike come back as video; `probe` tells."""
    brand = head[8:12]
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head[:4] == b"RIFF" and brand in _RIFF:
        return _RIFF[brand]
    for start, found in _STARTS:
        if head.startswith(start):
            return found
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # an MPEG layer III frame without a tag
        return Sniffed("audio", "audio/mpeg", "mp3")
    return None


def _by_brand(head: bytes) -> Sniffed:
    """What an ISO base media file is: AVIF and HEIC pictures, sound and film share one container, and its brands tell."""
    brand, length = head[8:12], min(int.from_bytes(head[:4], "big"), len(head))
    brands = {brand, *(head[at : at + 4] for at in range(16, length - 3, 4))}
    if brand in _PICTURE_BRANDS:
        if brands & {b"avif", b"avis"}:
            return Sniffed("image", "image/avif", "avif")
        return Sniffed("image", "image/heic", "heic")
    if brand in (b"M4A ", b"M4B "):
        return Sniffed("audio", "audio/mp4", "m4a")
    if brand == b"qt  ":
        return Sniffed("video", "video/quicktime", "mov")
    return Sniffed("video", "video/mp4", "mp4")


_PICTURE_BRANDS = {
    b"avif",
    b"avis",
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"mif1",
    b"msf1",
    b"mif2",
}
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


def examine(file: IO[bytes], filename: str) -> Sniffed:
    """What an uploaded file is, having read it: pictures are decoded, sound and film begun, text checked to be UTF-8.

    Raises UnreadableFile saying why and what can be read.
    """
    from studio.library import pictures

    file.seek(0)
    head = file.read(HEAD)
    if not head:
        raise UnreadableFile(f"{filename} is empty.", detail="It has 0 bytes.", hint="Choose another file.")
    found = sniff(head)
    if found is None:
        return _examine_text(file, filename)
    if found.kind == "image":
        try:
            return pictures.check(file, found)
        except UnreadableFile as error:
            raise UnreadableFile(
                f"{filename} cannot be read. {error.message}", detail=error.detail, hint=error.hint
            ) from None
    facts = probe(file, found)
    if facts.get("width", 0) * facts.get("height", 0) > MAX_FRAME:
        raise _unreadable(
            filename,
            f"Its frames have {facts['width']} × {facts['height']} pixels; {MAX_FRAME // 1_000_000} million is the most.",
        )
    if not facts:
        raise _unreadable(
            filename, f"It starts like {found.media_type}, but no sound or picture can be read from it."
        )
    if "width" not in facts:
        kind = found.media_type.replace("video/", "audio/")
        return Sniffed("audio", kind, "m4a" if found.suffix in ("mp4", "mov") else found.suffix, facts)
    return Sniffed("video", found.media_type.replace("audio/ogg", "video/ogg"), found.suffix, facts)


def probe(file: IO[bytes], found: Sniffed) -> dict[str, float]:
    """width, height (as seen, after rotation), fps, seconds, sample_rate, channels as far as ffmpeg can tell.

    Empty when nothing can be decoded: a file that only names media lying elsewhere has none of its own. Frames of more than
    MAX_FRAME pixels are told and not decoded.
    """
    # of a song the cover is a stream of pictures, and none of what makes it a song
    first = ["-vn"] if found.kind == "audio" and found.suffix != "ogg" else ["-frames:v", "1"]
    done = run_ffmpeg(file, found, [*first, "-sn", "-dn", "-t", "1", "-f", "framecrc", "pipe:1"])
    facts = _told(done.stderr.decode("utf-8", "replace"))
    if facts.get("width", 0) * facts.get("height", 0) > MAX_FRAME:
        return facts
    is_decoded = any(line and not line.startswith(b"#") for line in done.stdout.splitlines())
    return facts if is_decoded and {"width", "sample_rate"} & set(facts) else {}


def _told(said: str) -> dict[str, float]:
    """The facts in ffmpeg's description of its input."""
    said = said.split("\nOutput #")[0]
    facts: dict[str, float] = {}
    if match := re.search(r"Duration: (\d+):(\d\d):(\d\d\.\d+)", said):
        hours, minutes, seconds = match.groups()
        facts["seconds"] = round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 3)
    for stream in re.split(r"\n(?=  Stream #)", said)[1:]:
        line = stream.split("\n", 1)[0]
        if "Video:" in line and "attached pic" not in line and "width" not in facts:
            if match := re.search(r", (\d{1,5})x(\d{1,5})\b", line):
                size = (int(match[1]), int(match[2]))
                turn = re.search(r"Display Matrix: rotation of (-?[\d.]+) degrees", stream)
                is_turned = turn is not None and 45 < abs(float(turn[1])) % 180 < 135
                facts |= dict(zip(("width", "height"), size[::-1] if is_turned else size, strict=True))
            if match := re.search(r"([\d.]+) fps", line):
                facts["fps"] = float(match[1])
        elif "Audio:" in line and (match := re.search(r"(\d+) Hz, ([^,]+)", line)):
            facts |= {"sample_rate": int(match[1]), "channels": _channels(match[2])}
    too_large = re.search(r"Picture size (\d+)x(\d+) (?:exceeds|is invalid)", said)
    if too_large and not {"width", "sample_rate"} & set(facts):  # of a song it is the cover, and nobody minds
        facts |= {"width": int(too_large[1]), "height": int(too_large[2])}
    return facts


def run_ffmpeg(file: IO[bytes], found: Sniffed, output: list[str]) -> subprocess.CompletedProcess[bytes]:
    """ffmpeg on that open file, as the format its first bytes name; raises LibraryError without one or after too long."""
    command, more = ffmpeg_command(file, found, output)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **more)
    if done.returncode == -24:  # SIGXCPU, which Windows has no name for
        raise UnreadableFile(
            "The file took too long to read.", detail="ffmpeg used up the time it was given."
        )
    return done


def ffmpeg_command(file: IO[bytes], found: Sniffed, output: list[str]) -> tuple[list[str], Started]:
    """The command line, and what else to start it with: the open file, and that it ends with this process."""
    command = [ffmpeg(), "-hide_banner", "-nostdin", "-threads", "1", "-max_pixels", str(MAX_FRAME)]
    command += ["-f", DEMUXERS[found.suffix]]
    if os.name == "nt":  # no open file can be handed over
        return [*command, "-protocol_whitelist", "file", "-i", f"file:{file.name}", *output], {}
    os.lseek(
        file.fileno(), 0, os.SEEK_SET
    )  # the place is shared, and `seek` of a buffered file may not move it
    handle = file.fileno()
    return [*command, "-protocol_whitelist", "fd", "-fd", str(handle), "-i", "fd:", *output], {
        "pass_fds": (handle,),
        "preexec_fn": die_with_parent,
    }


def ffmpeg() -> str:
    """Where ffmpeg is; raises LibraryError when there is none."""
    if found := programs.ffmpeg():
        return found
    raise LibraryError("No ffmpeg on this machine.", hint="Install imageio-ffmpeg.")


def _examine_text(file: IO[bytes], filename: str) -> Sniffed:
    suffix = Path(filename).suffix.lower().lstrip(".")
    nbytes = os.fstat(file.fileno()).st_size
    if nbytes > MAX_TEXT:
        raise _unreadable(
            filename,
            f"It is no known picture, sound or video, and too long for a text: {readable_bytes(nbytes)}, "
            f"where {readable_bytes(MAX_TEXT)} is the most.",
        )
    file.seek(0)
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(
            filename, "It is neither a known picture, sound or video nor text in UTF-8."
        ) from None
    if "\0" in text:
        raise _unreadable(filename, "It is neither a known picture, sound or video nor text.")
    facts = {"lines": text.count("\n") + 1, "characters": len(text)}
    language = language_of_file(suffix)
    if language and not language.is_text:
        return Sniffed("code", "text/plain", suffix, {**facts, "language": language.fence})
    if language:
        return Sniffed("text", language.media_type, suffix, facts)
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
