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
from collections.abc import Callable
from pathlib import Path

from pipelines.disk import part_of, write_whole
from studio.library.errors import explain_write
from studio.library.store import Placed, Source

BLOCK = 1 << 20
LONGEST_LABEL = 40  # characters of the word in a name; a file system takes 255 bytes for all of it
FOLDERS = 32  # so many folders are remembered: a few days of every kind


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
    folder: str,
    label: str,
    suffix: str,
    source: Source,
    *,
    numbers: Numbers,
    before: Callable[[Placed], None] = lambda placed: None,
) -> Placed:
    """Put bytes, or a file that is moved, under the next free name of that folder below root.

    label: the seed or another short word for the name. before: called when the name is taken and before the file is there.
    Never overwrites; after an error the source file is where it was and nothing half-written remains.
    Raises DiskFull, LibraryError.
    """
    day = root / folder
    nbytes = len(source) if isinstance(source, bytes) else _size(source)
    part, target = part_of(day / "file"), None
    try:
        day.mkdir(parents=True, exist_ok=True)
        digest = _write(part, source) if isinstance(source, bytes) else _take(source, part)
        target = _reserve(day, label, suffix, numbers)
        placed = Placed(target.relative_to(root).as_posix(), nbytes, digest)
        before(placed)
        os.replace(part, target)
        _sync_folder(day)
    except OSError as error:
        if part.exists():  # else the file has its name, and only the folder could not be forced to disk
            _undo(part, source, target)
        raise explain_write(error, day, nbytes) from error
    return placed


def write_beside(target: Path, data: bytes) -> None:
    """Write a small companion file (sidecar, thumbnail) whole or not at all, replacing an older one."""
    try:
        write_whole(target, data)
    except OSError as error:
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


def _take(source: Path, part: Path) -> str:
    """Move the file to `part`, by name where it can be, else by copy; returns its hash."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    try:
        os.rename(source, part)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        source.unlink()
    else:
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    return digest.hexdigest()


def _undo(part: Path, source: Source, target: Path | None) -> None:
    """Give back what was taken: the file to where it came from, the name to whoever comes next."""
    if isinstance(source, Path) and not source.exists():
        shutil.move(part, source)
    part.unlink(missing_ok=True)
    if target is not None:
        target.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and keeps its names in a journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
