"""Files kept for years: written under a temporary name, forced to disk, then given a name nobody else has.

Names are for people: `image/2026-03-01/00007-1234.png` is the seventh file of that day, made with seed 1234.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio.library.errors import explain_write

PART = ".part"  # ends the name of a file that is not whole yet
BLOCK = 1 << 20
LONGEST_LABEL = 40  # characters of the word in a name; a file system takes 255 bytes for all of it
FOLDERS = 32  # so many folders are remembered: a few days of every kind


@dataclass(frozen=True)
class Placed:
    """A file in its final place. file: relative to the library folder, with forward slashes."""

    file: str
    nbytes: int
    sha256: str


class Numbers:
    """The next number of each day's folder: looked up once, then counted. Safe to ask from several threads.

    Another process that files at the same time may give the same number; the names differ all the same.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[Path, int] = {}

    def take(self, folder: Path) -> int:
        with self._lock:
            number = self._next.get(folder) or 1 + _highest(folder)
            self._next.pop(folder, None)
            self._next[folder] = number + 1
            if len(self._next) > FOLDERS:
                del self._next[next(iter(self._next))]
        return number


def place(
    root: Path,
    kind: str,
    when: float,
    label: str,
    suffix: str,
    data: bytes | None,
    spool: Path | None,
    *,
    numbers: Numbers,
    before: Callable[[Placed], None] = lambda placed: None,
) -> Placed:
    """Put bytes, or a spool file that is moved, under the next free name of that day.

    label: the seed or another short word for the name. before: called when the name is taken and before the file is there.
    Never overwrites; after an error the spool file is where it was and nothing half-written remains. Raises DiskFull, LibraryError.
    """
    folder = root / kind / datetime.fromtimestamp(when).strftime("%Y-%m-%d")
    nbytes = len(data) if data is not None else _size(spool)
    part = folder / f".{uuid.uuid4().hex}{PART}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest = _take(spool, part) if spool is not None else _write(part, data or b"")
        target = _reserve(folder, label, suffix, numbers)
        placed = Placed(target.relative_to(root).as_posix(), nbytes, digest)
        before(placed)
        os.replace(part, target)
        _sync_folder(folder)
    except OSError as error:
        if spool is not None and part.exists() and not spool.exists():
            shutil.move(part, spool)
        part.unlink(missing_ok=True)
        raise explain_write(error, folder, nbytes) from error
    return placed


def write_beside(target: Path, data: bytes) -> None:
    """Write a small companion file (sidecar, thumbnail) whole or not at all, replacing an older one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{uuid.uuid4().hex}{PART}")
    try:
        part.write_bytes(data)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise explain_write(error, target.parent, len(data)) from error


def safe_word(text: str, most: int = LONGEST_LABEL) -> str:
    """The text as part of a file name: letters, digits, dash and underscore of any script."""
    return re.sub(r"[^\w-]+", "-", text).strip("-_")[:most]


def _reserve(folder: Path, label: str, suffix: str, numbers: Numbers) -> Path:
    """Claim the next number of the folder by creating an empty file, which fails when someone was faster."""
    while True:
        target = folder / f"{numbers.take(folder):05}{'-' + label if label else ''}.{suffix}"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            return target


def _highest(folder: Path) -> int:
    found = (re.match(r"(\d{5,})\b", entry.name) for entry in os.scandir(folder))
    return max((int(match[1]) for match in found if match), default=0)


def _write(part: Path, data: bytes) -> str:
    with part.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(data).hexdigest()


def _take(spool: Path, part: Path) -> str:
    """Move the spool file to `part`, by name where it can be, else by copy; returns its hash."""
    digest = hashlib.sha256()
    with spool.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    try:
        os.rename(spool, part)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(spool, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        spool.unlink()
    else:
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    return digest.hexdigest()


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.exists() else 0


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and keeps its names in a journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
