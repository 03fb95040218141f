"""A second store, as small as one can be: everything in a dictionary, as a bucket on another machine would look from here.

It has no paths, so whatever the library's tests find to work with it works without a folder.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from pipelines.messages import MODALITIES
from studio.library.store import Placed, Source, Stray


@dataclass
class Thing:
    data: bytes
    modified: float = field(default_factory=time.time)


class MemoryStore:
    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self._lock = threading.Lock()

    def place(
        self, folder: str, label: str, suffix: str, source: Source, before: Callable[[Placed], None]
    ) -> Placed:
        data = source if isinstance(source, bytes) else source.read_bytes()
        ending = f"{'-' + label if label else ''}.{suffix}"
        with self._lock:
            names = (f"{folder}/{number:05}{ending}" for number in itertools.count(1))
            numbers = {name[: len(folder) + 6] for name in self.things}
            name = next(name for name in names if name[: len(folder) + 6] not in numbers)
            self.things[name] = Thing(b"")  # the name is taken; nobody lists what is empty
        placed = Placed(name, len(data), hashlib.sha256(data).hexdigest())
        before(placed)
        self.things[name] = Thing(data)
        if isinstance(source, Path):
            source.unlink()
        return placed

    def write(self, name: str, data: bytes) -> None:
        self.things[name] = Thing(data)

    def open(self, name: str) -> IO[bytes]:
        if name not in self.things:
            raise FileNotFoundError(name)
        file = tempfile.TemporaryFile()  # noqa: SIM115  whoever asked for it closes it
        file.write(self.things[name].data)
        file.seek(0)
        return file

    def has(self, name: str) -> bool:
        return name in self.things

    def remove(self, name: str) -> None:
        self.things.pop(name, None)

    def serve(self, name: str, media_type: str, headers: Mapping[str, str]) -> Response:
        with tempfile.NamedTemporaryFile(delete=False) as copy:
            copy.write(self.things[name].data)
        gone = BackgroundTask(Path(copy.name).unlink)
        return FileResponse(copy.name, media_type=media_type, headers=headers, background=gone)

    def where(self, name: str) -> str:
        return f"memory:{name}"

    def strays(self, known: Collection[str], before: float) -> Iterator[Stray]:
        for name, thing in sorted(self.things.items()):
            if name.split("/")[0] in MODALITIES and name not in known and thing.modified < before:
                yield Stray(name, len(thing.data), thing.modified)

    def sweep(self, before: float) -> None:
        """Nothing is ever half there."""
