"""One database for queue and library: opened, set up for many threads, and brought to today's schema.

SQLite in WAL mode: readers never wait for the writer. Tables are described next to the code that uses them (`jobs.py`,
`library/`); how they came to be is told in `migrations/`, one numbered file per change, and only there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text

from studio import private

T = TypeVar("T")
MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(file: Path | str) -> Engine:
    """An engine on that SQLite file (made if missing) at today's schema. Safe to open from several processes at once."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    private.shut(Path(file).parent)
    engine = connect(file)
    migrate(engine)
    private.shut_database(Path(file))
    return engine


def connect(file: Path | str) -> Engine:
    """An engine on that SQLite file as it is, whatever its schema."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 30})
    event.listen(engine, "connect", _set_up)
    return engine


def migrate(engine: Engine, revision: str = "head") -> None:
    """Run the migrations that are missing up to `revision`, all or none, in one transaction."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # sqlite3 opens no transaction for CREATE TABLE by itself; this one also keeps a second process waiting
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        if _revision(connection) == (latest_revision() if revision == "head" else revision):
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
    return max(file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _set_up(dbapi_connection: Any, _record: Any) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a row outlives a power cut: files are fsynced, rows are too
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
