"""Where this process puts what it needs for a moment: a folder of its own under the data folder, which the next start sweeps.

Temporary files of ours and of every library go there, so a crash leaves them in one known place and never in the system's.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from studio.folder.lock import FolderLock

log = logging.getLogger(__name__)


class Scratch:
    """One process's temporary folder, `data/tmp/<name>`. Alive while its lock is held; the system frees that at the end."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "tmp"
        self.folder = self.root / secrets.token_hex(6)
        self._lock = FolderLock(self.folder / ".lock")
        self._before = tempfile.tempdir, os.environ.get("TMPDIR")

    def enter(self) -> None:
        """Have this process and those it starts use the folder from now on."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:  # a full disk; the system's own place may have room
            log.warning("no temporary folder in %s: %s", self.root, error)
            return
        tempfile.tempdir = os.environ["TMPDIR"] = str(self.folder)

    def leave(self) -> None:
        """Back to what was before; what is left in the folder goes."""
        tempfile.tempdir, told = self._before
        os.environ.pop("TMPDIR", None)
        if told is not None:
            os.environ["TMPDIR"] = told
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep_dead(folder: Path) -> None:
    """Remove one such folder if its process is gone."""
    lock = FolderLock(folder / ".lock")
    if folder.is_dir() and not folder.is_symlink() and lock.acquire():
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
