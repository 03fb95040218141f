"""What is kept here is its owner's alone: folders 700 and files 600, from the start, and mended where they were not.

On a system without such modes nothing is done. Only what a studio makes is touched: a data folder may hold other things too.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

OURS = (".lock", "cache", "gradio", "library", "login.json", "logs", "models.json", "spool", "tmp")
"""What a studio makes in its data folder, beside its database."""
OTHERS = 0o077
"""The rights of everybody else on this machine."""


def from_now_on() -> None:
    """New files of this process and of those it starts are its user's alone."""
    if os.name == "posix":
        os.umask(OTHERS)


def shut(path: Path) -> None:
    """Take everybody else's rights to this file or folder away. A link is left alone, and so is what is not ours to change."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if mode & OTHERS and not path.is_symlink():
            path.chmod(mode & 0o700)


def shut_database(file: Path) -> None:
    """A database and the files SQLite keeps beside it."""
    for path in (file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm"))):
        shut(path)


def mend(data_dir: Path) -> threading.Thread:
    """Shut what an earlier version, or another umask, left open; on a thread, since a library may be large."""

    def run() -> None:
        for name in OURS:
            for path in _all(data_dir / name):
                shut(path)

    thread = threading.Thread(target=run, name="file modes", daemon=True)
    thread.start()
    return thread


def _all(path: Path) -> Iterator[Path]:
    """The path and all below it; never through a link."""
    yield path
    for folder, folders, files in os.walk(path):
        yield from (Path(folder, name) for name in (*folders, *files))
