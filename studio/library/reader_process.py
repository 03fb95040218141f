"""`python -m studio.library.reader_process`: reads strangers' files, one at a time, each in a fork of its own behind fences.

This process itself never looks into a file. It imports what reading needs, waits on its standard input (a socket to the server),
and for each request forks a child that holds nothing but that one open file. What the child answers goes back as it is, with
how the child ended. When the server goes away the whole group ends.

A request is a length and JSON ({what, cpu_seconds, …}), the open file beside it; an answer is exit status and length, then a
length, JSON ({"value": …} or {"error": …}) and bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import socket
import struct
import sys
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipelines.errors import GB, readable_bytes
from studio.library import containers, media, metadata, pictures, sandbox, thumbnails
from studio.library.errors import LibraryError, UnreadableFile

if TYPE_CHECKING:
    from studio.library.link import Asked

REQUEST, ANSWER, PART = struct.Struct(">I"), struct.Struct(">iQ"), struct.Struct(">I")
MEMORY = 2 * GB  # bytes a reading may have; 150 million pixels with transparency take 600 MB
MAX_ANSWER = 256 << 20
MAX_SETTINGS = 256 * 10**6  # bytes of a file that is read whole to look for settings in it
MAX_DEPTH = 64  # of lists in lists in a recipe
BLOCK = 1 << 20

Answer = tuple[object, bytes]
Operation = Callable[[IO[bytes], "Asked"], Answer]


def examine(file: IO[bytes], asked: Asked) -> Answer:
    found = media.examine(file, asked["filename"])
    return [found.kind, found.media_type, found.suffix, found.facts], b""


def recipe(file: IO[bytes], asked: Asked) -> Answer:
    nbytes = os.fstat(file.fileno()).st_size
    if nbytes > MAX_SETTINGS:
        why = f"The file has {readable_bytes(nbytes)}; settings are looked for in {readable_bytes(MAX_SETTINGS)} at most."
        return [None, "", why], b""
    file.seek(0)
    found = metadata.read(file.read(), asked["filename"], file)
    if _depth(found.recipe) > MAX_DEPTH:
        return [None, found.source, f"Its settings are nested deeper than {MAX_DEPTH}."], b""
    return [found.recipe, found.source, found.reason], b""


def thumbnail(file: IO[bytes], asked: Asked) -> Answer:
    return None, thumbnails.draw(file, asked["kind"], asked["title"])


def placeholder(_file: IO[bytes], asked: Asked) -> Answer:
    return None, thumbnails.placeholder(asked["kind"], asked["words"])


def picture(file: IO[bytes], _asked: Asked) -> Answer:
    return None, pictures.png(pictures.upright(file))


def view(file: IO[bytes], _asked: Asked) -> Answer:
    return None, pictures.webp(pictures.upright(file, most_side=pictures.VIEW_SIDE), quality=90)


def samples(file: IO[bytes], asked: Asked) -> Answer:
    """The sound as 16-bit samples of one channel."""
    raw = ["-vn", "-f", "s16le", "-ac", "1", "-ar", str(int(asked["rate"])), "pipe:1"]
    file.seek(0)
    found = media.sniff(file.read(media.HEAD))
    if found is None or found.suffix not in media.DEMUXERS:
        raise UnreadableFile("There is no sound in this file.")
    return None, media.run_ffmpeg(file, found, raw).stdout


OPERATIONS: dict[str, Operation] = {
    "examine": examine, "recipe": recipe, "thumbnail": thumbnail, "placeholder": placeholder, "picture": picture,
    "view": view, "samples": samples,
}  # fmt: skip


def main() -> None:
    control = socket.socket(fileno=os.dup(0)) if os.name == "posix" else _shared_socket()
    _preload()
    fences = sandbox.survey(sandbox.leave_network())
    with contextlib.suppress(OSError, EOFError):  # the server is gone
        _send(control, 0, _packed({"value": [fences.held, fences.missing]}, b""))
        while True:
            asked, handle = _receive(control)
            _send(control, *_answered(control, asked, handle))


def _preload() -> None:
    """Import now what would be looked for behind the fences later."""
    from PIL import Image, ImageCms, ImageDraw, ImageFont, ImageOps  # noqa: F401

    with contextlib.suppress(ImportError):
        import pi_heif

        pi_heif.register_heif_opener()
    Image.init()
    Image.MAX_IMAGE_PIXELS = (
        2 * pictures.MAX_PIXELS
    )  # twice this is an error of Pillow's own; ours comes first
    with contextlib.suppress(LibraryError):
        media.ffmpeg()
    thumbnails.placeholder("image", "")  # loads the font and the WebP encoder
    containers.texts(pictures.png(Image.new("RGB", (1, 1))))


def _answered(control: socket.socket, asked: Asked, handle: int | None) -> tuple[int, bytes]:
    """How a reading ended (0, an exit code, or a signal as a negative number) and what it said."""
    if not hasattr(os, "fork"):
        return 0, _carried_out(asked, handle)
    inward, outward = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(inward)
        control.close()
        _read_behind_fences(asked, handle, outward)
    os.close(outward)
    if handle is not None:
        os.close(handle)
    try:
        said = _listen(control, inward)
    finally:
        os.close(inward)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def _listen(control: socket.socket, inward: int) -> bytes:
    """All the child says until it ends. The server never speaks in between: a word from it means that it went away."""
    said = bytearray()
    while True:
        ready, _, _ = select.select([control.fileno(), inward], [], [])
        if control.fileno() in ready:
            os.killpg(0, signal.SIGKILL)
        block = os.read(inward, BLOCK)
        said += block
        if not block or len(said) > MAX_ANSWER:
            return bytes(said)


def _read_behind_fences(asked: Asked, handle: int | None, outward: int) -> None:
    """The child's whole life; never returns."""
    code = 1
    try:
        sandbox.die_with_parent()
        quiet = os.open(os.devnull, os.O_RDWR)  # what libraries print of a file is nobody's business
        for standard in (0, 1, 2):
            os.dup2(quiet, standard)
        sandbox.limit(int(asked["cpu_seconds"]), MEMORY, MAX_ANSWER)
        sandbox.fence_files(libraries())
        sandbox.drop_privileges()
        said = memoryview(_carried_out(asked, handle))
        while said:
            said = said[os.write(outward, said) :]
        code = 0
    finally:
        os._exit(code)


def libraries() -> list[Path]:
    """The files that reading needs: Python's own and its packages, the system's libraries, ffmpeg. No data of anyone's."""
    known = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    system = [Path(folder) for folder in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")]
    tools: list[Path] = []
    with contextlib.suppress(LibraryError):
        tools = [Path(media.ffmpeg())]
    return [path for path in dict.fromkeys([*known, *system, *tools]) if path.exists()]


def _carried_out(asked: Asked, handle: int | None) -> bytes:
    try:
        with _opened(asked, handle) as file:
            value, blob = OPERATIONS[asked["what"]](file, asked)
        return _packed({"value": value}, blob)
    except LibraryError as error:
        told = error
    except MemoryError:
        told = UnreadableFile(
            "The file needs too much memory to read.",
            detail=f"More than {readable_bytes(MEMORY)}.",
            hint="Make it smaller.",
        )
    except Exception as error:  # a decoder may raise anything; what it was belongs in the detail
        told = UnreadableFile("The file cannot be read.", detail=f"{type(error).__name__}: {error}"[:300])
    words = {"message": told.message, "detail": told.detail, "hint": told.hint}
    return _packed({"error": {"unreadable": isinstance(told, UnreadableFile), **words}}, b"")


def _opened(asked: Asked, handle: int | None) -> AbstractContextManager[IO[bytes]]:
    """The file; an empty one where the question is about none."""
    if handle is not None:
        return os.fdopen(handle, "rb")
    return open(asked["path"], "rb") if asked.get("path") else io.BytesIO()


def _packed(said: Mapping[str, object], blob: bytes) -> bytes:
    # half a surrogate pair is in no text anyone can store: it becomes a question mark here, once for all
    words = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
    return PART.pack(len(words)) + words + blob


def _depth(value: object) -> int:
    """How deep lists and objects lie in each other, without going so deep itself."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
    return depth


def _receive(control: socket.socket) -> tuple[Asked, int | None]:
    if os.name == "posix":
        first, handles, _, _ = socket.recv_fds(control, REQUEST.size, 1)
    else:
        first, handles = control.recv(REQUEST.size), []
    (length,) = REQUEST.unpack(first + _exactly(control, REQUEST.size - len(first), first))
    return json.loads(_exactly(control, length)), handles[0] if handles else None


def _exactly(control: socket.socket, length: int, before: bytes = b"more") -> bytes:
    if not before:
        raise EOFError
    data = bytearray()
    while len(data) < length:
        block = control.recv(min(BLOCK, length - len(data)))
        if not block:
            raise EOFError
        data += block
    return bytes(data)


def _send(control: socket.socket, status: int, said: bytes) -> None:
    control.sendall(ANSWER.pack(status, len(said)))
    control.sendall(said)


def _shared_socket() -> socket.socket:
    """Windows hands over a socket as a description of it, written to standard input."""
    length = REQUEST.unpack(sys.stdin.buffer.read(REQUEST.size))[0]
    shared: socket.socket = socket.fromshare(sys.stdin.buffer.read(length))  # type: ignore[attr-defined]
    return shared


if __name__ == "__main__":
    main()
