"""ffmpeg as a child process: where it is, how it is fed, and what its failures mean. The tags every file carries."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from pipelines.errors import OutOfDisk, StudioError, readable_bytes
from pipelines.words import programs


@dataclass(frozen=True)
class FileType:
    """How a format is written: file ending, media type, and ffmpeg's options for it."""

    suffix: str
    media_type: str
    codec: tuple[str, ...] = ()


def recipe_tags(recipe: dict[str, object] | None) -> dict[str, str]:
    """Tags of a file: `title`, the start of the prompt, and `comment`, the recipe as JSON. None writes no tags at all."""
    if recipe is None:
        return {}
    words = " ".join(str(recipe["prompt"]).split())
    return {
        "title": words if len(words) <= 80 else words[:79] + "…",
        "comment": json.dumps(recipe, ensure_ascii=False),
        "software": "Atelier",
    }


def ffmpeg() -> str:
    """Where ffmpeg is; raises StudioError when there is none."""
    if found := programs.ffmpeg():
        return found
    raise StudioError("No ffmpeg on this machine.", hint="Install imageio-ffmpeg, or put ffmpeg on the PATH.")


class Ffmpeg:
    """One running ffmpeg. Its messages are drained as they come (a full pipe would stop it), the last ones kept."""

    def __init__(self, arguments: list[str], target: Path) -> None:
        self.target = target
        command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", *arguments, str(target)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self._words: deque[str] = deque(maxlen=6)
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def feed(self, data: memoryview | bytes) -> None:
        assert self._process.stdin is not None
        rest = memoryview(data).cast("B")
        try:
            while len(rest):  # an unbuffered pipe takes what fits
                rest = rest[self._process.stdin.write(rest) :]
        except OSError:  # ffmpeg ended early; it knows why
            self.finish()
            raise self._failure() from None

    def finish(self) -> None:
        """Wait for the end; raises when ffmpeg did not make the file."""
        assert self._process.stdin is not None
        with _ignoring_broken_pipe():
            self._process.stdin.close()
        code = self._process.wait()
        self._listener.join()
        if code:
            raise self._failure()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        with _ignoring_broken_pipe():
            self._process.stdin.close()
        self._listener.join()

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._words.append(line.decode(errors="replace").strip())

    def _failure(self) -> StudioError:
        words = " / ".join(self._words)[-500:] or f"It ended with code {self._process.returncode}."
        if "No space left on device" in words:
            return disk_full(self.target.parent)
        return StudioError(
            f"ffmpeg could not write the {self.target.suffix[1:]} file.",
            detail=words,
            hint="Try another format; if it happens again, please report these words.",
        )


class _ignoring_broken_pipe:
    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EINVAL)  # EINVAL: Windows


def disk_full(folder: Path) -> OutOfDisk:
    free = shutil.disk_usage(folder).free
    return OutOfDisk(
        "The disk is full.",
        detail=f"{readable_bytes(free)} are free where {folder} lies.",
        hint="Free some space and try again; what was made before is untouched.",
    )


def disk_error(error: OSError, folder: Path) -> BaseException:
    """`OutOfDisk` for a full disk, the error itself for anything else."""
    return disk_full(folder) if error.errno in (errno.ENOSPC, errno.EDQUOT) else error


def metadata_file(folder: Path, tags: dict[str, str]) -> Path | None:
    """An ffmetadata file: a command line has no room for long prompts on Windows. None when there are no tags."""
    if not tags:
        return None
    escape = str.maketrans({char: "\\" + char for char in "=;#\\\n"})
    lines = [f"{key}={value.translate(escape)}" for key, value in tags.items()]
    path = folder / "tags.txt"
    path.write_text(";FFMETADATA1\n" + "\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path
