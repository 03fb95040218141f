"""Where the bytes of a library lie, as the library sees it: names and bytes, never a path.

`FolderStore` (`folder.py`) keeps them on a disk of this machine. A bucket or another machine's disk is one more class with these
methods in a file of its own; every test of the library takes it as it takes the folder (`tests/library/conftest.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.responses import Response

Source = bytes | Path
"""What is to be kept: bytes, or a file of this process, which is moved."""


class Stored(Protocol):
    """Something that lies in a store: the file of an asset, or what was drawn from it."""

    @property
    def file(self) -> str: ...

    @property
    def media_type(self) -> str: ...


@dataclass(frozen=True)
class Placed:
    """What was put away. file: its name in the store, with forward slashes."""

    file: str
    nbytes: int
    sha256: str


@dataclass(frozen=True)
class Stray:
    """A file that no row names. modified: seconds since 1970."""

    file: str
    nbytes: int
    modified: float


class Store(Protocol):
    """Named bytes, kept for years. Safe to use from many threads.

    Names have forward slashes: media lie as `<kind>/<day>/<number>-<label>.<suffix>`, companions wherever the library says.
    Whatever is written is there whole or not at all. A write that fails raises DiskFull or LibraryError.
    """

    def place(
        self, folder: str, label: str, suffix: str, source: Source, before: Callable[[Placed], None]
    ) -> Placed:
        """Keep media under the next free name of that folder; what lies there is never overwritten.

        before: called when the name is sure and before anybody can see the file. When this returns the file outlives a crash;
        when it raises, nothing of it is there, and a source file is where it was.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Keep something small beside the media (a note, a thumbnail), in the place of an older one."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """Open for reading, as a file the system knows by a number (another process is handed it). Raises FileNotFoundError."""
        ...

    def has(self, name: str) -> bool:
        """Whether it is there. Asked for every row of a list, so it is quick."""
        ...

    def remove(self, name: str) -> None:
        """Let it go; one that is gone already is no error. Raises OSError."""
        ...

    def serve(self, name: str, media_type: str, headers: Mapping[str, str]) -> Response:
        """It as the answer to an HTTP request, in ranges where these are asked for."""
        ...

    def where(self, name: str) -> str:
        """Where it lies, for a person or another program: a path, an address."""
        ...

    def strays(self, known: Collection[str], before: float) -> Iterator[Stray]:
        """Media and notes that are not `known` and that nobody has touched since `before`."""
        ...

    def sweep(self, before: float) -> None:
        """Remove what was begun before that moment and never ended."""
        ...
