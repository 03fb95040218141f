"""Reader: what the server asks about strangers' files. It opens them and never looks inside; a process of its own does.

The process (`reader_process.py`) is started at the first question, reads one file at a time behind fences (`sandbox.py`), and is
replaced when it dies or takes too long. A few of them work side by side; further questions wait for their turn, and one is kept
for what was made here, so that nobody's heap of uploads holds up the work of others.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, LifoQueue
from typing import IO, TypedDict, Unpack

from studio.library.errors import LibraryError, ReaderBusy, UnreadableFile, explain_write
from studio.library.media import Sniffed
from studio.library.metadata import Reading
from studio.library.sandbox import Fences

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-P", "-m", "studio.library.reader_process")
AT_ONCE = 2
CPU_SECONDS = {
    "examine": 5,
    "recipe": 2,
    "thumbnail": 5,
    "placeholder": 5,
    "picture": 10,
    "view": 10,
    "samples": 60,
}
PATIENCE = 6.0  # seconds on the clock for each second of computing: a busy machine is no fault of the file
START_SECONDS = 120.0  # for the process to be ready, once
WAIT_SECONDS = 120.0  # for one's turn
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "IMAGEIO_FFMPEG_EXE",
                  "COVERAGE_PROCESS_START")  # fmt: skip
"""What the process gets of the environment: whatever else stands there, such as a token, is not for it."""

Source = Path | bytes | IO[bytes]
Answer = tuple[list[object], bytes]
"""What was found, and bytes; each question says what it finds."""


class Given(TypedDict, total=False):
    """What questions are given; each takes some of these (`reader_process.py`)."""

    filename: str
    kind: str
    title: str
    words: str
    rate: int
    path: str


class Asked(Given):
    """A question to the process."""

    what: str
    cpu_seconds: int


class Reader:
    """Reads files through a few fenced processes, given by path, by content, or open. Safe to use from many threads; every method blocks until the answer is there.

    at_once: how many brought files are read side by side. cpu_seconds: what a question may compute before it is ended; patience: how many
    seconds on the clock for each of them. command: starts the process. Methods raise UnreadableFile for a file that cannot be
    read, is too large or takes too long, ReaderBusy when no turn came, LibraryError when nothing can be read here at all.
    """

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        cpu_seconds: Mapping[str, int] | None = None,
        patience: float = PATIENCE,
        wait_seconds: float = WAIT_SECONDS,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.cpu_seconds = CPU_SECONDS | dict(cpu_seconds or {})
        self.patience, self.wait_seconds = patience, wait_seconds
        # the one that worked last is taken first: a second process only where two are needed
        self._brought: LifoQueue[_Link] = LifoQueue()
        self._made: LifoQueue[_Link] = LifoQueue()
        self._links = [_Link(command) for _ in range(at_once + 1)]
        for link, lane in zip(self._links, [self._made, *[self._brought] * at_once], strict=True):
            lane.put(link)

    def examine(self, source: Source, filename: str) -> Sniffed:
        """Kind, type and facts of a file; raises UnreadableFile naming what can be read."""
        kind, media_type, suffix, facts = self._ask("examine", source, filename=filename)[0]
        return Sniffed(str(kind), str(media_type), str(suffix), facts if isinstance(facts, dict) else {})

    def recipe(self, source: Source, filename: str = "") -> Reading:
        """The recipe inside a file, or the reason why there is none; never raises for what is in the file."""
        try:
            found, program, reason = self._ask("recipe", source, filename=filename)[0]
        except UnreadableFile as error:
            return Reading(None, reason=error.message)
        return Reading(found if isinstance(found, dict) else None, str(program), str(reason))

    def thumbnail(self, source: Source, kind: str, title: str = "", *, made_here: bool = False) -> bytes:
        """A small WebP."""
        return self._ask("thumbnail", source, made_here=made_here, kind=kind, title=title[:500])[1]

    def placeholder(self, kind: str, words: str) -> bytes:
        """What stands in for a thumbnail, as WebP."""
        return self._ask("placeholder", None, made_here=True, kind=kind, words=words)[1]

    def picture(self, source: Source) -> bytes:
        """The picture as a PNG of 8-bit RGB or RGBA, right way up, at most `pictures.MAX_AREA` pixels.

        For a job that is about to run: it does not wait behind uploads.
        """
        return self._ask("picture", source, made_here=True)[1]

    def view(self, source: Source) -> bytes:
        """The picture as a WebP that every browser shows."""
        return self._ask("view", source)[1]

    def samples(self, source: Source, rate: int) -> bytes:
        """The sound as 16-bit samples of one channel, little-endian."""
        return self._ask("samples", source, made_here=True, rate=rate)[1]

    def fences(self) -> Fences:
        """What keeps the process in on this machine, and what this machine does not offer."""
        with self._turn(self._made) as link:
            return link.started()

    def pids(self) -> list[int]:
        """The processes that run now."""
        return [link.pid for link in self._links if link.pid]

    def close(self) -> None:
        """End the processes; a later question starts one again."""
        for link in self._links:
            link.stop()

    def _ask(
        self, what: str, source: Source | None, *, made_here: bool = False, **more: Unpack[Given]
    ) -> Answer:
        seconds = self.cpu_seconds[what]
        asked = Asked(what=what, cpu_seconds=seconds, **more)
        lane = self._made if made_here else self._brought
        with _opened(source) as file, self._turn(lane) as link:
            return link.ask(asked, file, seconds * self.patience)

    @contextlib.contextmanager
    def _turn(self, lane: LifoQueue[_Link]) -> Iterator[_Link]:
        try:
            link = lane.get(timeout=self.wait_seconds)
        except Empty:
            raise ReaderBusy(
                "Too many files are being read at once.",
                detail=f"No turn came in {self.wait_seconds:g} s.",
                hint="Try again in a moment.",
            ) from None
        try:
            yield link
        finally:
            lane.put(link)


@functools.cache
def shared_reader() -> Reader:
    """The reader of this process, for everyone who brings none of their own."""
    reader = Reader()
    atexit.register(reader.close)
    return reader


class _Lost(Exception):
    """The process went away in the middle."""


class _Link:
    """One reader process and the socket to it; used by one thread at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._fences = Fences((), ())

    def ask(self, asked: Asked, file: IO[bytes] | None, seconds: float) -> Answer:
        """The value and the bytes of the answer. A process that was ended by someone else is asked again, once."""
        for last in (False, True):
            self.started()
            try:
                return self._answer(asked, file, seconds)
            except _Lost:
                self.stop()
                if last:
                    raise UnreadableFile(
                        "The file could not be read: what reads it was ended twice.", hint="Try again."
                    ) from None
        raise AssertionError("unreachable")

    def started(self) -> Fences:
        """Start the process unless it runs; what keeps it in."""
        if self._process is not None and self._process.poll() is None:
            return self._fences
        self.stop()
        try:
            self._start()
            _status, said = self._receive(time.monotonic() + START_SECONDS)
        except (OSError, _Lost) as error:
            self.stop()
            raise LibraryError(
                "What reads files could not be started.",
                detail=str(error)[:200] or "It ended at once.",
                hint="python3 launch.py doctor tells more.",
            ) from None
        held, missing = map(_texts, _unpacked(said)[0])
        self._fences = Fences(held, missing)
        if missing:
            _log_missing(", ".join(missing))
        return self._fences

    @property
    def pid(self) -> int:
        """0 while no process runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def stop(self) -> None:
        """End the process and whatever it started, now."""
        process, self._process = self._process, None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if process is None or process.poll() is not None:
            return  # what a dead one had started ended with it, and its number may be someone else's by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()

    # ---- behind the scenes ----

    def _start(self) -> None:
        here, there = socket.socketpair()
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        # one thread: numpy's own would be lost in a fork
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with there:
            self._process = process = subprocess.Popen(
                self._command,
                stdin=there.fileno() if os.name == "posix" else subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env={**environment, **threads, "PYTHONPATH": path},
                start_new_session=True,  # a group of its own: killed as a whole, and Ctrl-C is ours alone
            )
            self._socket = here
            if os.name != "posix":
                assert process.stdin is not None
                told: bytes = there.share(process.pid)  # type: ignore[attr-defined]
                process.stdin.write(len(told).to_bytes(4, "big") + told)
                process.stdin.flush()

    def _answer(self, asked: Asked, file: IO[bytes] | None, seconds: float) -> Answer:
        deadline = time.monotonic() + seconds
        try:
            self._send(asked, file)
            status, said = self._receive(deadline)
        except TimeoutError:
            self.stop()
            raise _too_long(seconds) from None
        except OSError:
            raise _Lost from None
        if status == 0:
            return _unpacked(said)
        self.stop()  # and with it whatever a dead reading left behind
        if status == -signal.SIGKILL:
            raise _Lost
        if status == -24:  # SIGXCPU, which Windows has no name for
            raise _too_long(asked["cpu_seconds"])
        raise UnreadableFile(
            "The file cannot be read.", detail=f"It made its decoder fail (exit status {status})."
        )

    def _send(self, asked: Asked, file: IO[bytes] | None) -> None:
        assert self._socket is not None
        by_path = {"path": file.name} if file is not None and os.name != "posix" else {}
        words = json.dumps({**asked, **by_path}).encode()
        start = len(words).to_bytes(4, "big")
        self._socket.settimeout(START_SECONDS)
        if file is not None and os.name == "posix":
            socket.send_fds(self._socket, [start], [file.fileno()])
            self._socket.sendall(words)
        else:
            self._socket.sendall(start + words)

    def _receive(self, deadline: float) -> tuple[int, bytes]:
        """Exit status of the reading and what it said; raises TimeoutError, _Lost, OSError."""
        head = self._exactly(12, deadline)
        status, length = int.from_bytes(head[:4], "big", signed=True), int.from_bytes(head[4:], "big")
        return status, self._exactly(length, deadline)

    def _exactly(self, length: int, deadline: float) -> bytes:
        assert self._socket is not None
        data = bytearray()
        while len(data) < length:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            block = self._socket.recv(min(1 << 20, length - len(data)))
            if not block:
                raise _Lost
            data += block
        return bytes(data)


def _unpacked(said: bytes) -> Answer:
    """Value and bytes; raises the library's error where the answer is one. A number that is none becomes nothing."""
    length = int.from_bytes(said[:4], "big")
    try:
        told = json.loads(said[4 : 4 + length], parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise UnreadableFile(
            "The file cannot be read.", detail="What was read from it makes no sense."
        ) from None
    if error := told.get("error"):
        kind = UnreadableFile if error["unreadable"] else LibraryError
        raise kind(error["message"], detail=error["detail"], hint=error["hint"])
    return told["value"], said[4 + length :]


def _texts(told: object) -> tuple[str, ...]:
    return tuple(map(str, told)) if isinstance(told, list) else ()


def _too_long(seconds: float) -> UnreadableFile:
    return UnreadableFile(
        "The file takes too long to read.",
        detail=f"It was given up after {seconds:g} s.",
        hint="Save it anew with another program, or make it smaller, and try again.",
    )


@contextlib.contextmanager
def _opened(source: Source | None) -> Iterator[IO[bytes] | None]:
    """The file, open for reading; bytes become a nameless file."""
    if source is None:
        yield None
    elif isinstance(source, bytes):
        with tempfile.TemporaryFile(prefix="atelier-read-") as file:
            try:
                file.write(source)
                file.flush()
            except OSError as error:
                raise explain_write(error, Path(tempfile.gettempdir()), len(source)) from error
            yield file
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        source.fileno()  # what was kept in memory so far becomes a file
        source.flush()
        yield source


_told = threading.Lock()
_missing: set[str] = set()


def _log_missing(words: str) -> None:
    """Say once what this machine cannot do."""
    with _told:
        if words not in _missing:
            _missing.add(words)
            log.warning("files people bring are read in a process of its own, but without: %s", words)
