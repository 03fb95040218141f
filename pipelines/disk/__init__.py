"""A file written whole or not at all: who reads meanwhile finds the old one or the new one, never half of either.

Standard library alone, so that everyone may use it. What is kept for years is forced to disk too, in `studio/library/files.py`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"
"""Ends the name of a file that is not whole yet; it begins with a dot."""


def part_of(target: Path) -> Path:
    """A name beside the target that nobody else has, for what is not whole yet."""
    return target.with_name(f".{uuid.uuid4().hex}{PART}")


@contextmanager
def whole(target: Path, *, private: bool = False) -> Iterator[Path]:
    """A path to write to, which takes the target's place at the end and goes after an error. Folders are made; raises OSError.

    private: nobody but this user may read it, whatever others may do here.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(target)
    try:
        if private:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(target: Path, data: bytes | str, *, private: bool = False) -> None:
    """Write bytes, or text in UTF-8, in the place of what was there. Raises OSError."""
    with whole(target, private=private) as part:
        part.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
