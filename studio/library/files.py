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
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio.library.errors import explain_write

PART = ".part"  # ends the name of a file that is not whole yet
BLOCK = 1 << 20


@dataclass(frozen=True)
class Placed:
    """A file in its final place. file: relative to the library folder, with forward slashes."""

    file: str
    nbytes: int
    sha256: str


def place(
    root: Path, kind: str, when: float, label: str, suffix: str, data: bytes | None, spool: Path | None
) -> Placed:
    """Put bytes, or a spool file that is moved, under the next free name of that day.

    label: the seed or another short word for the name. Never overwrites; after an error the spool file is where it was and
    nothing half-written remains. Raises DiskFull, LibraryError.
    """
    folder = root / kind / datetime.fromtimestamp(when).strftime("%Y-%m-%d")
    nbytes = len(data) if data is not None else _size(spool)
    part = folder / f".{uuid.uuid4().hex}{PART}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest = _take(spool, part) if spool is not None else _write(part, data or b"")
        target = _reserve(folder, label, suffix)
        os.replace(part, target)
        _sync_folder(folder)
    except OSError as error:
        if spool is not None and part.exists() and not spool.exists():
            shutil.move(part, spool)
        part.unlink(missing_ok=True)
        raise explain_write(error, folder, nbytes) from error
    return Placed(target.relative_to(root).as_posix(), nbytes, digest)


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


def safe_word(text: str, most: int = 40) -> str:
    """The text as part of a file name: letters, digits, dash and underscore of any script."""
    return re.sub(r"[^\w-]+", "-", text).strip("-_")[:most]


def _reserve(folder: Path, label: str, suffix: str) -> Path:
    """Claim the next number of the folder by creating an empty file, which fails when someone was faster."""
    number = 1 + max(
        (int(entry.name[:5]) for entry in os.scandir(folder) if re.match(r"\d{5}\b", entry.name)), default=0
    )
    while True:
        target = folder / f"{number:05}{'-' + label if label else ''}.{suffix}"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            return target
        number += 1


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
