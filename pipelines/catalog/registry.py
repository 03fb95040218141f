"""The small JSON file that remembers folders added one by one, and the ids of models that share a name.

Read by any number of processes, written whole or not at all. A file that cannot be read is never written over: it is told of,
and set aside when something new is to be remembered.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from pipelines.disk import whole

log = logging.getLogger(__name__)


class _Kept(TypedDict, total=False):
    """What the file holds."""

    folders: list[str]
    names: dict[str, str]


class Registry:
    """file: where it lies; None for a registry that lasts as long as this object."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._kept: _Kept = {}

    def folders(self) -> list[Path]:
        return [Path(path) for path in self._read()[0].get("folders", ())]

    def names(self) -> dict[str, str]:
        """Path of a model → the id it was given."""
        return dict(self._read()[0].get("names", {}))

    def trouble(self) -> str:
        """Why the file cannot be read, in a sentence or two; "" when it can."""
        return self._read()[1]

    def stamp(self) -> tuple[int, ...]:
        """Changes when the file does."""
        try:
            told = os.stat(self.file) if self.file is not None else None
        except OSError:
            return ()
        return (told.st_mtime_ns, told.st_size, told.st_ino) if told else ()

    def remember(self, folders: Iterable[Path] | None = None, names: Mapping[str, str] | None = None) -> None:
        """Replace what is given; the rest stays. Raises OSError when it cannot be written."""
        found, trouble = self._read()
        if folders is not None:
            found["folders"] = [str(path) for path in folders]
        if names is not None:
            found["names"] = dict(names)
        if self.file is None:
            self._kept = found
            return
        with whole(self.file, private=True) as part:
            part.write_text(
                json.dumps(found, indent=1), encoding="ascii"
            )  # names that are no Unicode are escaped
            if trouble:
                aside = self.file.with_name(f"{self.file.name}.broken")
                os.replace(self.file, aside)
                log.warning("%s could not be read and was set aside as %s", self.file, aside.name)

    def _read(self) -> tuple[_Kept, str]:
        """What the file holds, and what is wrong with it."""
        if self.file is None:
            return self._kept.copy(), ""
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
            folders, names = found.get("folders", []), found.get("names", {})
            if not all(isinstance(path, str) and "\0" not in path for path in folders):
                raise TypeError("a folder is no text")
            if not all(isinstance(word, str) for word in (*names, *names.values())):
                raise TypeError("a name is no text")
            return {"folders": list(folders), "names": dict(names)}, ""
        except FileNotFoundError:
            return {}, ""
        except OSError as error:
            return {}, f"{self.file} cannot be read ({error.strerror}): folders added before are not listed."
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            return {}, (
                f"{self.file} is damaged ({str(error)[:120]}): folders added before are not listed. Mend it, or add them"
                f" again: it is then kept as {self.file.name}.broken."
            )
