"""One studio at a time runs the jobs of a data folder: whoever holds its lock. The system frees it when that process ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO

from pipelines.errors import StudioError

FAR = 1 << 30
"""Windows locks bytes; this one is far behind the note, so that the note stays readable."""


class FolderBusy(StudioError):
    """Another process runs the jobs of this data folder."""

    kind = "busy"


class FolderLock:
    """The lock of a data folder. The file also holds a note about who has it, as JSON."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._held: IO[str] | None = None

    def acquire(self, **note: str) -> bool:
        """Take the lock and leave a note; False when another process has it. Raises OSError when the folder is read-only."""
        if self._held is not None:
            return True
        self.file.parent.mkdir(parents=True, exist_ok=True)
        stream = self.file.open("a+", encoding="utf-8")
        if not _lock(stream):
            stream.close()
            return False
        stream.truncate(0)
        stream.write(json.dumps({"pid": os.getpid(), **note}))
        stream.flush()
        self._held = stream
        return True

    def release(self) -> None:
        if self._held is not None:
            self._held.truncate(0)
            self._held.close()
            self._held = None

    def holder(self) -> dict[str, object]:
        """The note of whoever has the lock; empty when there is none."""
        try:
            note = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def busy(self) -> FolderBusy:
        """The error to tell when `acquire` said no."""
        note = self.holder()
        what = f"{note.get('what', 'a studio')} (process {note.get('pid', 'unknown')})"
        where = f" It is at {note['address']}." if note.get("address") else ""
        return FolderBusy(
            "Another studio is using this data folder.",
            detail=f"{what[:1].upper() + what[1:]} holds {self.file}.{where}",
            hint="Use that one, stop it, or start this one with another --data-dir.",
        )


if os.name == "nt":
    import msvcrt

    def _lock(stream: IO[str]) -> bool:
        stream.seek(FAR)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(stream: IO[str]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
