"""`launch.py backup` and `restore`: the whole of a data folder as a folder, taken while the studio runs.

The database is copied first, by SQLite's own online backup, so its rows are of one moment. Then every file its rows name: files
are never changed once they are written, and a file is there before its row, so all are there, but for those deleted meanwhile,
whose rows leave the copy too. A checksum of everything comes last; a folder without it is no backup. Models are not part of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from pipelines.errors import InvalidRequest, OutOfDisk, StudioError, readable_bytes
from studio import __version__
from studio.flags import add_arguments
from studio.folder.inspection import inspect_database, read_only, telling
from studio.library.sidecar import sidecar_of
from studio.settings import Settings

DATABASE = "studio.db"
LIST = "backup.json"
KEPT = ("studio.toml", "models.json", "login.json")
"""Files beside the database that are worth keeping, where they are there."""
FORMAT = 1
BLOCK = 1 << 20
SPARE = 64 << 20
"""Bytes left free on the disk of a copy."""


class NoBackup(InvalidRequest):
    """What was given is no whole backup; nothing was restored from it."""


class Entry(TypedDict):
    """A file of a backup."""

    nbytes: int
    sha256: str


@dataclass(frozen=True)
class Taken:
    """A backup that was made or restored. missing: files that were gone already, with their rows kept."""

    folder: Path
    files: int
    nbytes: int
    missing: tuple[str, ...] = ()


def main_backup(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py backup",
        description="Copy the data folder, also while the studio runs. Models are left out.",
    )
    parser.add_argument(
        "target",
        nargs="?",
        type=Path,
        help="a new folder (default: beside the data folder, named by the time)",
    )
    add_arguments(parser, page=False)
    told = parser.parse_args(argv)
    data = Settings.from_args(told).data_dir
    now = datetime.fromtimestamp(time.time()).strftime("%Y-%m-%d-%H%M%S")
    taken = back_up(
        data, (told.target or data.with_name(f"{data.name}-backup-{now}")).expanduser().absolute()
    )
    for name in taken.missing:
        print(f"{name} was missing already and is not in the backup.", file=sys.stderr)
    print(f"{taken.files} files, {readable_bytes(taken.nbytes)}, every one checked.", file=sys.stderr)
    print(taken.folder)
    return 0


def main_restore(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py restore",
        description="Put a backup into a new or empty data folder. Nothing is ever overwritten.",
    )
    parser.add_argument("source", type=Path, help="the folder that `launch.py backup` made")
    add_arguments(parser, page=False)
    told = parser.parse_args(argv)
    taken = restore(told.source.expanduser().absolute(), Settings.from_args(told).data_dir)
    print(f"{taken.files} files, {readable_bytes(taken.nbytes)}, every one checked.", file=sys.stderr)
    print(taken.folder)
    return 0


def back_up(data: Path, target: Path) -> Taken:
    """Copy the data folder into a new folder; raises StudioError, and then there is no target."""
    if inspect_database(data / DATABASE) is None:
        raise InvalidRequest(
            f"There is nothing to back up in {data}.",
            hint="Name the data folder with --data-dir or STUDIO_DATA.",
        )
    if target.is_relative_to(data) or data.is_relative_to(target):
        raise InvalidRequest(
            "A backup cannot lie inside the data folder, nor around it.",
            detail=f"{target} and {data}.",
            hint="Name another folder.",
        )
    with made_whole(target) as part:
        with telling(data / DATABASE, "read"):
            _copy_database(data / DATABASE, part / DATABASE)
        rows = _rows(part / DATABASE)
        _check_room(part, sum(nbytes for _, nbytes, _ in rows))
        sums = {name: _copy(data / name, part / name) for name in KEPT if (data / name).is_file()}
        missing = [file for file, _, digest in rows if not _copy_asset(data, part, file, digest, sums)]
        gone = _forget_deleted(data / DATABASE, part / DATABASE, missing)
        sums[DATABASE] = _sum(part / DATABASE)
        note = {"format": FORMAT, "version": __version__, "made_at": time.time(), "files": sums}
        (part / LIST).write_text(json.dumps(note, indent=1), encoding="utf-8")
    nbytes = sum(entry["nbytes"] for entry in sums.values())
    return Taken(target, len(sums), nbytes, tuple(sorted(set(missing) - gone)))


def restore(source: Path, data: Path) -> Taken:
    """Copy a backup into a data folder that is not there or empty; raises StudioError, and then it is as it was."""
    note = read_list(source)
    inspect_database(source / DATABASE)
    nbytes = sum(entry["nbytes"] for entry in note.values())
    with made_whole(data) as part:
        _check_room(part, nbytes)
        for name, entry in note.items():
            _check_plain(source, name)
            if _copy(source / name, part / name) != entry:
                raise NoBackup(
                    f"{source / name} is not what was backed up.",
                    detail="Its checksum differs. Nothing was restored.",
                    hint="Use another backup.",
                )
        _check_rows(part / DATABASE)
    return Taken(data, len(note), nbytes)


def read_list(source: Path) -> dict[str, Entry]:
    """File → its size and checksum, as the backup tells; raises NoBackup."""
    try:
        told = json.loads((source / LIST).read_text(encoding="utf-8"))
        files = {
            str(name): Entry(nbytes=int(at["nbytes"]), sha256=str(at["sha256"]))
            for name, at in told["files"].items()
        }
        newer = told["format"] > FORMAT
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise NoBackup(
            f"{source} is not a backup, or not a whole one.",
            detail=f"Its list {LIST} cannot be read: {error}",
            hint="Name a folder that launch.py backup made.",
        ) from None
    if newer:
        raise NoBackup(
            f"{source} was made by a later version of the studio.", hint="Update this one, then restore."
        )
    away = [name for name in files if _leads_away(name)]
    if away or DATABASE not in files:
        raise NoBackup(
            f"{source} is not a backup.",
            detail=f"Its list names {away[:3] or 'no database'}.",
            hint="Use another backup.",
        )
    return files


@contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """A folder to fill that becomes the target at the end, or goes after an error. Raises InvalidRequest when it is not empty."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequest(
            f"{target} is there already and not empty.",
            detail="Nothing is ever overwritten.",
            hint="Name a folder that is new or empty.",
        )
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.mkdir(mode=0o700, parents=True)
        yield part
        if hasattr(os, "sync"):
            os.sync()  # all of it is on the disk before it gets its name
        if target.exists():
            target.rmdir()
        os.rename(part, target)
    except OSError as error:
        full = StudioError(
            f"{target} cannot be written.", detail=str(error), hint="Check its disk, or name another folder."
        )
        raise full from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _leads_away(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def _check_plain(source: Path, name: str) -> None:
    """Raise NoBackup for what we never write into one: a link leads elsewhere, and a pipe or a device has no end."""
    file = source / name
    inside = [path for path in (file, *file.parents) if path.is_relative_to(source) and path != source]
    if file.exists() and (not file.is_file() or any(path.is_symlink() for path in inside)):
        raise NoBackup(
            f"{file} is no plain file.",
            detail="A backup has no links, pipes or devices. Nothing was restored.",
            hint="Use another backup.",
        )


def _check_rows(database: Path) -> None:
    """Raise NoBackup where a row names a file outside the library: it would be shown, and deleted, as an asset."""
    with telling(database, "read"), closing(read_only(database)) as rows:
        named = rows.execute("SELECT id, file FROM assets").fetchall()
    away = [file for number, file in named if not str(number).isalnum() or _leads_away(str(file))]
    if away:
        raise NoBackup(
            f"{database.name} is not what a studio wrote.",
            detail=f"It names {away[:3]} as files of the library. Nothing was restored.",
            hint="Use another backup.",
        )


def _copy_database(source: Path, target: Path) -> None:
    """All rows as of one moment, while others read and write."""
    _check_room(target.parent, source.stat().st_size)
    with closing(read_only(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)
        there.execute("PRAGMA journal_mode = DELETE")  # one file, whole by itself
    target.chmod(0o600)


def _rows(database: Path) -> list[tuple[str, int, str]]:
    """File, size and checksum of every asset."""
    with closing(sqlite3.connect(database)) as copy:
        return list(copy.execute("SELECT file, nbytes, sha256 FROM assets ORDER BY number"))


def _copy_asset(data: Path, part: Path, file: str, digest: str, sums: dict[str, Entry]) -> bool:
    """Copy an asset's file and its sidecar; False when it is not there, or not what its row says."""
    name = f"library/{file}"
    try:
        sums[name] = _copy(data / name, part / name)
    except FileNotFoundError:
        return False
    beside = sidecar_of(name)
    if (data / beside).is_file():
        sums[beside] = _copy(data / beside, part / beside)
    if sums[name]["sha256"] != digest:
        print(f"{name} was changed after it was made; it is kept as it is.", file=sys.stderr)
    return True


def _forget_deleted(live: Path, copy: Path, missing: list[str]) -> set[str]:
    """Take the rows of files that were deleted while we copied out of the copy; those files.

    Only what is in the trash is deleted, file first: without its file such a row is on its way out too.
    """
    gone: set[str] = set()
    if not missing:
        return gone
    with closing(read_only(live)) as now, closing(sqlite3.connect(copy)) as rows:
        for file in missing:
            if (
                now.execute("SELECT 1 FROM assets WHERE file = ? AND trashed_at IS NULL", (file,)).fetchone()
                is None
            ):
                gone.add(file)
                rows.execute(
                    "DELETE FROM asset_tags WHERE asset_id IN (SELECT id FROM assets WHERE file = ?)", (file,)
                )
                rows.execute("DELETE FROM assets WHERE file = ?", (file,))
        rows.commit()
    return gone


def _copy(source: Path, target: Path) -> Entry:
    """Copy a file, rights and times too; its size and checksum as read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, nbytes = hashlib.sha256(), 0
    with source.open("rb") as data, target.open("xb") as copy:
        while block := data.read(BLOCK):
            digest.update(block)
            nbytes += len(block)
            copy.write(block)
    shutil.copystat(source, target)
    return {"nbytes": nbytes, "sha256": digest.hexdigest()}


def _sum(file: Path) -> Entry:
    with file.open("rb") as content:
        return {"nbytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


def _check_room(folder: Path, nbytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < nbytes + SPARE:
        raise OutOfDisk(
            "There is not enough room for the copy.",
            detail=f"It needs {readable_bytes(nbytes + SPARE)}; {readable_bytes(free)} is free in {folder.parent}.",
            hint="Free some space, or name a folder on another disk.",
        )
