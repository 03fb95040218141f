"""The store on a disk of this machine: one folder, whose names people can read (`files.py` says how they are dealt out)."""

from __future__ import annotations

import logging
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipelines.messages import MODALITIES
from studio.library.files import Numbers, place, write_beside
from studio.library.store import Placed, Source, Stray

if TYPE_CHECKING:
    from starlette.responses import Response

log = logging.getLogger(__name__)


class FolderStore:
    """Everything in one folder, which is made when the first file comes."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._numbers = Numbers()

    def path(self, name: str) -> Path:
        """Where that is, or should be: for those who know that it is a folder."""
        return self.root / name

    def place(
        self, folder: str, label: str, suffix: str, source: Source, before: Callable[[Placed], None]
    ) -> Placed:
        return place(self.root, folder, label, suffix, source, numbers=self._numbers, before=before)

    def write(self, name: str, data: bytes) -> None:
        write_beside(self.path(name), data)

    def open(self, name: str) -> IO[bytes]:
        return self.path(name).open("rb")

    def has(self, name: str) -> bool:
        return self.path(name).exists()

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def serve(self, name: str, media_type: str, headers: Mapping[str, str]) -> Response:
        from starlette.responses import FileResponse  # here: the command line answers no requests

        return FileResponse(self.path(name), media_type=media_type, headers=headers)

    def where(self, name: str) -> str:
        return str(self.path(name))

    def strays(self, known: Collection[str], before: float) -> Iterator[Stray]:
        """What is no plain file inside the folder is left alone, as is what cannot be looked at."""
        for folder in (day for kind in MODALITIES for day in _entries(self.root / kind)):
            for path in _entries(folder) if folder.is_dir() and not folder.is_symlink() else ():
                stray = self._stray(path, before)
                if stray is not None and stray.file not in known:
                    yield stray

    def sweep(self, before: float) -> None:
        for folder in self.root.glob("upload-*"):  # of versions that examined what was brought in here
            if _touched(folder) < before:
                shutil.rmtree(folder, ignore_errors=True)
        for file in self.root.glob("thumbnails/**/.*.part"):
            if _touched(file) < before:
                file.unlink(missing_ok=True)

    def _stray(self, path: Path, before: float) -> Stray | None:
        try:
            about = path.lstat()
            path.name.encode()  # a name that is no text cannot be kept in a row
        except (OSError, ValueError) as error:
            log.warning("%a in the library is left alone: %s", str(path), error)
            return None
        if not stat.S_ISREG(about.st_mode) or max(about.st_mtime, about.st_ctime) >= before:
            return None
        return Stray(path.relative_to(self.root).as_posix(), about.st_size, about.st_mtime)


def _touched(path: Path) -> float:
    """Seconds since 1970; one that is gone was touched just now."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return float("inf")


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing of one that cannot be read."""
    try:
        return sorted(folder / name for name in os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("%a in the library cannot be read: %s", str(folder), error)
        return []
