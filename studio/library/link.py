"""One process that reads strangers' files, and the socket to it: started, asked, and ended when it dies or takes too long."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TypedDict

from studio.library.errors import LibraryError, UnreadableFile
from studio.library.sandbox import Fences

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0  # for the process to be ready, once
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "IMAGEIO_FFMPEG_EXE",
                  "COVERAGE_PROCESS_START")  # fmt: skip
"""What the process gets of the environment: whatever else stands there, such as a token, is not for it."""

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


class _Lost(Exception):
    """The process went away in the middle."""


class Link:
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


_told = threading.Lock()
_missing: set[str] = set()


def _log_missing(words: str) -> None:
    """Say once what this machine cannot do."""
    with _told:
        if words not in _missing:
            _missing.add(words)
            log.warning("files people bring are read in a process of its own, but without: %s", words)
