"""Files that come from workers in pieces, until the library takes them.

They grow among this process's temporary files, so nothing of them outlives it.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.messages import Piece, Produced
from studio.library.errors import LibraryError, explain_write
from studio.library.store import Source


def _somewhere() -> Path:
    return Path(tempfile.gettempdir()) / f"arriving-{secrets.token_hex(8)}"


@dataclass
class _Arriving:
    job_id: str
    path: Path = field(default_factory=_somewhere)
    trouble: LibraryError | None = None


class Arrivals:
    """Files on their way, by the name their worker gave them. Pieces of one come in order, on one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, _Arriving] = {}

    def take(self, piece: Piece) -> None:
        """Put it behind those before it. A full disk is told when the file is wanted: until then nobody asks."""
        with self._lock:
            file = self._files.setdefault(piece.file, _Arriving(piece.job_id))
        if file.trouble is not None:
            return
        try:
            with file.path.open("ab") as growing:
                growing.write(piece.data)
        except OSError as error:
            file.trouble = explain_write(error, file.path.parent, len(piece.data))
            file.path.unlink(missing_ok=True)

    def of(self, produced: Produced) -> Source:
        """What was made: the bytes that came with the word of it, or the file that came before. Raises DiskFull, LibraryError."""
        if produced.artifact.data is not None:
            return produced.artifact.data
        with self._lock:
            file = self._files.get(produced.file)
        if file is None:
            raise LibraryError("A worker told of a file that did not come.", hint="Try again.")
        if file.trouble is not None:
            raise file.trouble
        return file.path

    def drop(self, job_id: str) -> None:
        """After the last word about a job: what the library did not take goes."""
        with self._lock:
            gone = [name for name, file in self._files.items() if file.job_id == job_id]
            files = [self._files.pop(name) for name in gone]
        for file in files:
            file.path.unlink(missing_ok=True)
