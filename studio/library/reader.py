"""Reader: what the server asks about strangers' files. It opens them and never looks inside; a process of its own does.

The process (`reader_process.py`) is started at the first question, reads one file at a time behind fences (`sandbox.py`), and is
replaced when it dies or takes too long. A few of them work side by side; further questions wait for their turn, and one is kept
for what was made here, so that nobody's heap of uploads holds up the work of others.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, LifoQueue
from typing import IO, Unpack

from studio.library.errors import ReaderBusy, UnreadableFile, explain_write
from studio.library.link import Answer, Asked, Given, Link
from studio.library.media import Sniffed
from studio.library.metadata import Reading
from studio.library.sandbox import Fences

COMMAND = (sys.executable, "-P", "-m", "studio.library.reader_process")
AT_ONCE = 2
CPU_SECONDS = {
    "examine": 5,
    "recipe": 2,
    "thumbnail": 5,
    "placeholder": 5,
    "picture": 10,
    "view": 10,
    "samples": 60,
}
PATIENCE = 6.0  # seconds on the clock for each second of computing: a busy machine is no fault of the file
WAIT_SECONDS = 120.0  # for one's turn
Source = Path | bytes | IO[bytes]


class Reader:
    """Reads files through a few fenced processes, given by path, by content, or open.

    Safe to use from many threads; every method blocks until the answer is there.

    at_once: how many brought files are read side by side. cpu_seconds: what a question may compute before it is ended; patience:
    how many seconds on the clock for each of them. command: starts the process. Methods raise UnreadableFile for a file that
    cannot be read, is too large or takes too long, ReaderBusy when no turn came, LibraryError when none can be read here.
    """

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        cpu_seconds: Mapping[str, int] | None = None,
        patience: float = PATIENCE,
        wait_seconds: float = WAIT_SECONDS,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.cpu_seconds = CPU_SECONDS | dict(cpu_seconds or {})
        self.patience, self.wait_seconds = patience, wait_seconds
        # the one that worked last is taken first: a second process only where two are needed
        self._brought: LifoQueue[Link] = LifoQueue()
        self._made: LifoQueue[Link] = LifoQueue()
        self._links = [Link(command) for _ in range(at_once + 1)]
        for link, lane in zip(self._links, [self._made, *[self._brought] * at_once], strict=True):
            lane.put(link)

    def examine(self, source: Source, filename: str) -> Sniffed:
        """Kind, type and facts of a file; raises UnreadableFile naming what can be read."""
        kind, media_type, suffix, facts = self._ask("examine", source, filename=filename)[0]
        return Sniffed(str(kind), str(media_type), str(suffix), facts if isinstance(facts, dict) else {})

    def recipe(self, source: Source, filename: str = "") -> Reading:
        """The recipe inside a file, or the reason why there is none; never raises for what is in the file."""
        try:
            found, program, reason = self._ask("recipe", source, filename=filename)[0]
        except UnreadableFile as error:
            return Reading(None, reason=error.message)
        return Reading(found if isinstance(found, dict) else None, str(program), str(reason))

    def thumbnail(self, source: Source, kind: str, title: str = "", *, made_here: bool = False) -> bytes:
        """A small WebP."""
        return self._ask("thumbnail", source, made_here=made_here, kind=kind, title=title[:500])[1]

    def placeholder(self, kind: str, words: str) -> bytes:
        """What stands in for a thumbnail, as WebP."""
        return self._ask("placeholder", None, made_here=True, kind=kind, words=words)[1]

    def picture(self, source: Source) -> bytes:
        """The picture as a PNG of 8-bit RGB or RGBA, right way up, at most `pictures.MAX_AREA` pixels.

        For a job that is about to run: it does not wait behind uploads.
        """
        return self._ask("picture", source, made_here=True)[1]

    def view(self, source: Source) -> bytes:
        """The picture as a WebP that every browser shows."""
        return self._ask("view", source)[1]

    def samples(self, source: Source, rate: int) -> bytes:
        """The sound as 16-bit samples of one channel, little-endian."""
        return self._ask("samples", source, made_here=True, rate=rate)[1]

    def fences(self) -> Fences:
        """What keeps the process in on this machine, and what this machine does not offer."""
        with self._turn(self._made) as link:
            return link.started()

    def close(self) -> None:
        """End the processes; a later question starts one again."""
        for link in self._links:
            link.stop()

    def _ask(
        self, what: str, source: Source | None, *, made_here: bool = False, **more: Unpack[Given]
    ) -> Answer:
        seconds = self.cpu_seconds[what]
        asked = Asked(what=what, cpu_seconds=seconds, **more)
        lane = self._made if made_here else self._brought
        with _opened(source) as file, self._turn(lane) as link:
            return link.ask(asked, file, seconds * self.patience)

    @contextlib.contextmanager
    def _turn(self, lane: LifoQueue[Link]) -> Iterator[Link]:
        try:
            link = lane.get(timeout=self.wait_seconds)
        except Empty:
            raise ReaderBusy(
                "Too many files are being read at once.",
                detail=f"No turn came in {self.wait_seconds:g} s.",
                hint="Try again in a moment.",
            ) from None
        try:
            yield link
        finally:
            lane.put(link)


@functools.cache
def shared_reader() -> Reader:
    """The reader of this process, for everyone who brings none of their own."""
    reader = Reader()
    atexit.register(reader.close)
    return reader


@contextlib.contextmanager
def _opened(source: Source | None) -> Iterator[IO[bytes] | None]:
    """The file, open for reading; bytes become a nameless file."""
    if source is None:
        yield None
    elif isinstance(source, bytes):
        with tempfile.TemporaryFile(prefix="atelier-read-") as file:
            try:
                file.write(source)
                file.flush()
            except OSError as error:
                raise explain_write(error, Path(tempfile.gettempdir()), len(source)) from error
            yield file
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        source.fileno()  # what was kept in memory so far becomes a file
        source.flush()
        yield source
