"""Whether a file can be the studio's database, told in plain words before anything is written to it.

Standard library alone: `doctor` asks too, perhaps before anything is installed.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from pipelines.errors import OutOfDisk, StudioError

MIGRATIONS = Path(__file__).parents[1] / "migrations"
SIGNATURE = b"SQLite format 3\0"
LEAST_FREE = 1 << 20
"""Bytes; a disk with less is called full."""
UNTOUCHED = "Nothing was changed."
OTHER_FOLDER = "Choose another folder with --data-dir or STUDIO_DATA."


class DatabaseUnusable(StudioError):
    """The file in the place of the database cannot be opened as one; it is as it was."""

    kind = "database_unusable"


def known_revisions() -> list[str]:
    """The numbers of the files in `migrations/versions`, which are their revision ids, oldest first."""
    return sorted(file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def inspect_database(file: Path) -> str | None:
    """The revision of the database there, None where there is none yet; raises DatabaseUnusable. Only reads.

    Called before every opening, so that a file of another program, of a later version or cut short is left as it is.
    """
    size = _size(file)
    if size is None:
        return None
    if size == 0 and not (file.parent / "library").exists():
        return None  # a first start that ended before it wrote anything
    with telling(file, "read"), file.open("rb") as content:
        head = content.read(len(SIGNATURE))
    if size and head != SIGNATURE[: len(head)]:
        raise DatabaseUnusable(
            f"{file} is not a database of the studio.",
            detail=f"It does not begin as an SQLite file does. {UNTOUCHED}",
            hint=f"Move it away if it is of another program. {OTHER_FOLDER}",
        )
    if size < 512:
        raise _cut(file, f"It has {size} bytes.")
    return _revision(file)


def check_writable(file: Path) -> None:
    """Raise DatabaseUnusable where the system lets us not write the database or the files SQLite keeps beside it."""
    for path, rights in ((file, os.W_OK), (file.parent, os.W_OK | os.X_OK)):
        if path.exists() and not os.access(path, rights):
            raise file_error(file, PermissionError(errno.EACCES, "Permission denied", str(path)))


@contextmanager
def telling(file: Path, what: str = "write") -> Iterator[None]:
    """Have whatever the system or SQLite says of the file inside told in plain words."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise file_error(file, error, what) from error


def file_error(file: Path, error: BaseException, what: str = "write") -> StudioError:
    """The words for an error of SQLite or the system about that database."""
    told = str(error)
    said = told.lower()
    is_full = "full" in said or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if is_full or (
        "disk i/o error" in said and _free(file) < LEAST_FREE
    ):  # SQLite's word where its index finds no room
        return OutOfDisk(
            f"The disk is full, so the database {file} cannot be opened.",
            detail=f"{told}. {UNTOUCHED}",
            hint="Free some space on it and try again.",
        )
    if "locked" in said or "busy" in said:
        return DatabaseUnusable(
            f"The database {file} is held by another program.",
            detail=f"{told}. {UNTOUCHED}",
            hint="Close what has it open, such as a database browser or a copy that is going on, and try again.",
        )
    if "malformed" in said or "not a database" in said or "corrupt" in said:
        return _cut(file, told)
    if (
        "readonly" in said
        or "read-only" in said
        or getattr(error, "errno", None) in (errno.EROFS, errno.EACCES, errno.EPERM)
    ):
        return DatabaseUnusable(
            f"The database {file} may not be written.",
            detail=f"{told}. {UNTOUCHED}",
            hint=f"Give this user the right to write the file and its folder, or remount the disk for writing. {OTHER_FOLDER}",
        )
    if "unable to open" in said:
        may = os.access(file.parent, os.W_OK | os.X_OK)
        return DatabaseUnusable(
            f"The database {file} cannot be opened.",
            detail=f"{told}; its folder may {'' if may else 'not '}be written by this user. {UNTOUCHED}",
            hint=f"Check who owns the folder and whether its disk is there. {OTHER_FOLDER}",
        )
    return DatabaseUnusable(
        f"The database {file} cannot be {what if what == 'read' else 'opened'}.",
        detail=f"{type(error).__name__}: {told}. {UNTOUCHED}",
        hint=f"Check the disk it lies on. {OTHER_FOLDER}",
    )


def _free(file: Path) -> int:
    try:
        return shutil.disk_usage(file.parent).free
    except OSError:
        return LEAST_FREE


def _size(file: Path) -> int | None:
    """Bytes of the file, None where there is none; raises DatabaseUnusable for what is no plain file."""
    try:
        about = file.stat()
    except FileNotFoundError:
        if file.is_symlink():
            raise DatabaseUnusable(
                f"{file} points to a file that is not there.",
                detail=f"It is a link to {os.readlink(file)}. {UNTOUCHED}",
                hint="Bring the disk back it points to, or remove the link to begin a new database.",
            ) from None
        return None
    except OSError as error:
        raise file_error(file, error, "read") from error
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "no plain file"
        raise DatabaseUnusable(
            f"{file} is {kind}, and the studio keeps its database there.",
            detail=UNTOUCHED,
            hint=f"Move it away. {OTHER_FOLDER}",
        )
    return about.st_size


def _revision(file: Path) -> str | None:
    with telling(file, "read"), closing(read_only(file)) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        known, found = known_revisions(), None
        if not tables:
            return None
        if "alembic_version" in tables:
            found = (database.execute("SELECT version_num FROM alembic_version").fetchone() or [None])[0]
        columns = {row[1] for row in database.execute("PRAGMA table_info(jobs)")}
    if found is None or not {"owner", "modality", "request"} <= columns:
        raise DatabaseUnusable(
            f"{file} is a database of another program.",
            detail=f"It holds {', '.join(sorted(tables)[:8])}. {UNTOUCHED}",
            hint=f"Move it away. {OTHER_FOLDER}",
        )
    if found not in known:
        raise DatabaseUnusable(
            f"{file} was last used by a later version of the studio.",
            detail=f"It is at step {found}; this version knows the steps up to {known[-1]}. {UNTOUCHED}",
            hint=f"Start that version again, or update this one. {OTHER_FOLDER}",
        )
    return str(found)


def read_only(file: Path) -> sqlite3.Connection:
    """A connection that writes nothing: not even the files SQLite puts beside a database that nobody has open."""
    log, shared = (file.with_name(file.name + end) for end in ("-wal", "-shm"))
    is_alone = not shared.exists() and not (
        log.exists() and log.stat().st_size
    )  # nobody has it open, all is in one file
    how = "mode=ro" + ("&immutable=1" if is_alone else "")
    return sqlite3.connect(f"file:{quote(str(file))}?{how}", uri=True, timeout=10)


def _cut(file: Path, told: str) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"The database {file} is damaged: a part of it is missing or was overwritten.",
        detail=f"{told.rstrip('.')}. {UNTOUCHED}",
        hint="Restore a backup into a new folder (launch.py restore), or move the file away: what was made is found in the "
        "library folder again, the history of jobs is not.",
    )
