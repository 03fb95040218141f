"""One database for queue and library: opened, set up for many threads, and brought to today's schema.

SQLite in WAL mode: readers never wait for the writer. Tables are described next to the code that uses them (`queue/rows.py`,
`library/`); how they came to be is told in `migrations/`, one numbered file per change, and only there.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from pipelines.errors import OutOfDisk
from studio.folder import private
from studio.folder.inspection import (
    MIGRATIONS,
    DatabaseUnusable,
    check_writable,
    file_error,
    inspect_database,
    known_revisions,
    telling,
)

__all__ = ["MIGRATIONS", "connect", "latest_revision", "migrate", "open_database", "storable"]
T = TypeVar("T")


def open_database(file: Path | str, wait_seconds: float = 30) -> Engine:
    """An engine on that SQLite file (made if missing) at today's schema. Safe to open from several processes at once.

    Raises DatabaseUnusable or OutOfDisk in plain words where that cannot be; then the file is as it was.
    """
    file = Path(file)
    with telling(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    inspect_database(file)
    check_writable(file)
    private.shut(file.parent)
    was_there, engine = file.exists(), connect(file, wait_seconds)
    try:
        migrate(engine)
    except (DBAPIError, OSError) as error:
        engine.dispose()
        told = file_error(file, getattr(error, "orig", None) or error)
        if isinstance(told, OutOfDisk) and not was_there:
            _remove_begun(file)
        raise told from error
    private.shut_database(file)
    return engine


def connect(file: Path | str, wait_seconds: float = 30) -> Engine:
    """An engine on that SQLite file as it is, whatever its schema. wait_seconds: for whoever writes before us."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": wait_seconds})
    event.listen(engine, "connect", _set_up)
    return engine


def migrate(engine: Engine, revision: str = "head") -> None:
    """Run the migrations that are missing up to `revision`, all or none, in one transaction."""
    wanted = latest_revision() if revision == "head" else revision
    with engine.connect() as connection:
        if _revision(connection) == wanted:  # nothing to wait for: another process may write meanwhile
            return
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # sqlite3 opens no transaction for CREATE TABLE by itself; this one also keeps a second process waiting
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        if _revision(connection) == wanted:
            return
        from alembic import command  # only when there is something to do: a fifth of a second at start-up
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def storable(value: T) -> T:
    """The same plain JSON or text without halves of characters (lone surrogates), which no database can keep and no JSON send."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # type: ignore[return-value]
    text = json.dumps(value, ensure_ascii=False)
    cleaned: T = value if text.isascii() else json.loads(text.encode("utf-8", "replace"))
    return cleaned


def latest_revision() -> str:
    """The number of the newest file in `migrations/versions`, which is its revision id."""
    return known_revisions()[-1]


def _remove_begun(file: Path) -> None:
    """Remove what a first opening left that found no room; it holds no table yet."""
    with contextlib.suppress(OSError, DatabaseUnusable):
        if inspect_database(file) is None:
            for path in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal"))):
                path.unlink(missing_ok=True)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _set_up(dbapi_connection: DBAPIConnection, _record: object) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a row outlives a power cut: files are fsynced, rows are too
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
