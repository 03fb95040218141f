"""Files that lie in the library without a row, as a crash between file and row leaves them: found one by one, listed from their notes.

Whatever one of them holds, the others are listed: every error belongs to its file and is logged.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from studio.library.asset import KINDS, Asset
from studio.library.files import PART
from studio.library.reader import Reader
from studio.library.search import title_of
from studio.library.sidecar import NOTE, is_sidecar, note_of, read_sidecar, sidecar_of

log = logging.getLogger(__name__)


def strays(root: Path, known: Collection[str], before: float) -> Iterator[Path]:
    """Files of no row that nobody has touched since `before`. What is no plain file inside the library is left alone.

    known: those with a row, relative to root.
    """
    for folder in (day for kind in KINDS for day in _entries(root / kind)):
        for path in _entries(folder) if folder.is_dir() and not folder.is_symlink() else ():
            try:
                about = path.lstat()
                path.name.encode()  # a name that is no text cannot be kept in a row
            except (OSError, ValueError) as error:
                log.warning("%a in the library is left alone: %s", str(path), error)
                continue
            is_old = max(about.st_mtime, about.st_ctime) < before
            if stat.S_ISREG(about.st_mode) and is_old and path.relative_to(root).as_posix() not in known:
                yield path


def sweep(root: Path, path: Path, known: Collection[str]) -> bool:
    """Remove a stray that holds nothing: half-written, empty, or a note of a file whose row is written. Whether it was one."""
    is_empty = path.stat().st_size == 0 and not is_sidecar(path)
    if not (path.name.endswith((PART, NOTE)) or is_empty):
        return False
    if path.name.endswith(NOTE):
        file = path.with_name(path.name[1 : -len(NOTE)])
        if file.exists() and file.relative_to(root).as_posix() not in known:
            return False  # its file is still to be listed
    for left in (path, sidecar_of(path), note_of(path)) if is_empty else (path,):
        left.unlink(missing_ok=True)
    return True


def as_asset(root: Path, path: Path, reader: Reader) -> tuple[Asset, list[tuple[str, str]]]:
    """The stray as an asset with its parents. A whole file with its own note needs no reader; of others the reader tells."""
    note, about = read_sidecar(path), path.stat()
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if note.get("sha256") != digest or "media_type" not in note:
        seen = reader.examine(path, path.name)
        note = {"media_type": seen.media_type, "facts": seen.facts, **note}
        note["recipe"] = note.get("recipe") or reader.recipe(path, path.name).recipe or {}
    recipe = note.get("recipe", {})
    asset = Asset(
        id=note.get("id") or secrets.token_hex(8),
        kind=path.relative_to(root).parts[0],
        media_type=note["media_type"],
        file=path.relative_to(root).as_posix(),
        title=note.get("title") or title_of(recipe) or path.name,
        model=str(recipe.get("model", "")),
        owner=note.get("owner") or "local",
        created_at=note.get("created_at") or about.st_mtime,
        nbytes=about.st_size,
        sha256=digest,
        facts=note.get("facts", {}),
        recipe=recipe,
        job_id=note.get("job_id", ""),
        uploaded=note.get("uploaded", False),
    )
    return asset, note["parents"]


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing of one that cannot be read."""
    try:
        return sorted(folder / name for name in os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("%a in the library cannot be read: %s", str(folder), error)
        return []
