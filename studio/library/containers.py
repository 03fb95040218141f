"""The texts inside a file, by key, whatever its container. Strangers' files are read here, so everything has a bound.

Pixels are never decoded: a PNG is walked chunk by chunk, EXIF and tags are read from the headers.
"""

from __future__ import annotations

import io
import re
import struct
import tempfile
import zlib
from typing import IO

from studio.library.errors import LibraryError
from studio.library.media import Sniffed, run_ffmpeg, sniff
from studio.library.pictures import open_picture

MAX_TEXT = 4 << 20  # bytes of one text; a whole ComfyUI graph has a few hundred thousand
MAX_TEXTS = 64
XMP = "XML:com.adobe.xmp"  # the keyword PNG gives it


class Damaged(ValueError):
    """The container breaks its own rules, or a bound of ours; the words say which."""


def texts(data: bytes, file: IO[bytes] | None = None) -> dict[str, str]:
    """Texts found in the file: PNG keywords as they are, else `comment`, `description` and container tags in lower case.

    file: the same, open, where there is one; ffmpeg needs a file. Empty for a file without any, or of a kind that has none.
    Raises Damaged.
    """
    found = sniff(data[:64])
    if found is None:
        return {}
    if found.suffix == "png":
        return _png(data)
    if found.suffix == "gif":
        return _gif(data)
    if found.kind == "image":
        return _exif(data)
    if found.suffix == "wav" and (tags := _wav(data)):
        return tags
    return _tags(data, found, file)


def _png(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at, has_exif = 8, False
    while at + 8 <= len(data) and len(found) < MAX_TEXTS:
        length, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            if length > MAX_TEXT:
                raise Damaged(f"a text in it has {length} bytes, more than the {MAX_TEXT} we read")
            key, text = _png_text(name, body)
            found.setdefault(key, text)
        elif name == b"eXIf" and not has_exif:  # once: it reads the whole file
            found, has_exif = found | _exif(data), True
        elif name == b"IEND":
            break
        at += 12 + length
    return found


def _png_text(name: bytes, body: bytes) -> tuple[str, str]:
    key, _, rest = body.partition(b"\0")
    word = key.decode("latin-1")
    if name == b"tEXt":
        return word, _latin(rest)
    if name == b"zTXt":
        return word, _latin(_inflate(rest[1:]))
    packed, rest = rest[:1] == b"\1", rest[2:]
    _language, _, rest = rest.partition(b"\0")
    _translated, _, text = rest.partition(b"\0")
    return word, (_inflate(text) if packed else text).decode("utf-8", "replace")


def _latin(text: bytes) -> str:
    """Latin-1 by the book; many programs write UTF-8 there, which Latin-1 hardly ever looks like."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _inflate(packed: bytes) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_TEXT)
    except zlib.error as error:
        raise Damaged(f"a packed text in it is damaged: {error}") from None
    if unpacker.unconsumed_tail:
        raise Damaged(f"a packed text in it grows beyond the {MAX_TEXT} bytes we read")
    return text


def _exif(data: bytes) -> dict[str, str]:
    from PIL.ExifTags import IFD, Base  # here: the server imports this module and never Pillow

    try:
        with open_picture(io.BytesIO(data)) as picture:
            exif = picture.getexif()
            # by the book in the Exif IFD; Fooocus, Pillow and others put it into the first one
            comment = exif.get_ifd(IFD.Exif).get(Base.UserComment) or exif.get(Base.UserComment)
            plain = {
                "description": exif.get(Base.ImageDescription),
                "make": exif.get(Base.Make),
                "model": exif.get(Base.Model),
                XMP: picture.info.get("xmp"),
            }
            jpeg_comment = picture.info.get("comment")
    except LibraryError as error:
        raise Damaged(error.message) from None
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, EOFError, struct.error) as error:
        raise Damaged(f"its EXIF cannot be read: {error}") from None
    found = {key: text for key, value in plain.items() if (text := _plain(value))}
    if comment := _user_comment(comment) or _plain(jpeg_comment):
        found["comment"] = comment
    return found


def _user_comment(raw: object) -> str:
    """A comment whose first eight bytes name its letters, as far as its writer knew of that."""
    if isinstance(raw, str):
        return (
            _latin(raw[:MAX_TEXT].encode("latin-1", "replace"))
            if raw.isascii() or max(raw) < "\u0100"
            else raw[:MAX_TEXT]
        )
    if not isinstance(raw, bytes):
        return ""
    charset, text = raw[:8], raw[8 : 8 + MAX_TEXT]
    if charset == b"UNICODE\0" and 0 in text:
        return _utf16(text).strip("\0\ufeff")
    if charset == b"JIS\0\0\0\0\0":
        return text.decode("iso2022_jp" if b"\x1b" in text else "shift_jis", "replace").strip("\0")
    named = charset in (b"ASCII\0\0\0", b"UNICODE\0", b"\0" * 8)
    return (text if named else raw[:MAX_TEXT]).decode("utf-8", "replace").strip("\0\ufeff")


def _utf16(text: bytes) -> str:
    """The EXIF byte order in theory; in practice big-endian, now and then the other way round, or told by a mark."""
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return text.decode("utf-16", "replace")
    little = text[1::2].count(0) > text[0::2].count(0)
    return text.decode("utf-16-le" if little else "utf-16-be", "replace")


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value[:MAX_TEXT].decode("utf-8", "replace").strip("\0")
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _gif(data: bytes) -> dict[str, str]:
    at = data.find(b"\x21\xfe")
    if at < 0:
        return {}
    parts: list[bytes] = []
    at += 2
    while at < len(data) and (length := data[at]) and len(parts) * 255 < MAX_TEXT:
        parts.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return {"comment": b"".join(parts).decode("utf-8", "replace")}


def _wav(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 12
    while at + 8 <= len(data) and len(found) < MAX_TEXTS:
        name, length = struct.unpack("<4sI", data[at : at + 8])
        body = data[at + 8 : at + 8 + min(length, MAX_TEXT)]
        if name in (b"atlr", b"json"):  # ours, and Wan2GP's
            found["atelier" if name == b"atlr" else "comment"] = body.decode("utf-8", "replace").strip("\0")
        elif (
            name == b"LIST" and body[:4] == b"INFO" and (match := re.search(rb"ICMT(....)", body, re.DOTALL))
        ):
            end = match.end() + struct.unpack("<I", match[1])[0]
            found.setdefault("comment", body[match.end() : end].decode("utf-8", "replace").strip("\0"))
        at += 8 + length + length % 2
    return found


def _tags(data: bytes, kind: Sniffed, file: IO[bytes] | None) -> dict[str, str]:
    """Tags of sound and film as ffmpeg reads them, those of the container before those of its first stream."""
    if file is None:
        with tempfile.NamedTemporaryFile(prefix="atelier-tags-") as copy:
            copy.write(data)
            copy.flush()
            return _tags(data, kind, copy.file)
    found: dict[str, str] = {}
    try:
        for source in ("0:g", "0:s:0"):  # Ogg keeps its tags with the stream
            done = run_ffmpeg(file, kind, ["-map_metadata", source, "-f", "ffmetadata", "pipe:1"])
            found = _ffmetadata(done.stdout[: 4 * MAX_TEXT].decode("utf-8", "replace")) | found
            if "comment" in found or "prompt" in found:
                break
    except LibraryError as error:
        raise Damaged(error.message) from None
    return found


def _ffmetadata(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    lines = re.split(r"(?<!\\)\n", text)  # an escaped line break belongs to its value
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and not line.startswith((";", "[")):
            found[key.lower()] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    return found
