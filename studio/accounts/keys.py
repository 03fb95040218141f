"""Keys for programs: made, named, shown once, listed, revoked. A key is 256 random bits, so a plain hash of it is enough.

Several processes may use one database: `launch.py keys` works beside a running studio.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from pipelines.errors import InvalidRequest
from studio.accounts.users import tidy

PREFIX = "sk-"
LONGEST_NAME = 60
MOST_KEYS = 100
NOTED_SECONDS = 60
"""How exactly it is kept when a key was last used."""

keys = sa.Table(
    "api_keys",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("owner", sa.String),
    sa.Column("name", sa.String),
    sa.Column("key_hash", sa.String),
    sa.Column("ending", sa.String),
    sa.Column("created_at", sa.Float),
    sa.Column("used_at", sa.Float),
)
SHOWN = (keys.c.owner, keys.c.name, keys.c.ending, keys.c.created_at, keys.c.used_at)


@dataclass(frozen=True)
class Key:
    """What may be shown of a key. ending: its last characters, to tell it from others. Times are seconds since 1970."""

    owner: str
    name: str
    ending: str
    created_at: float
    used_at: float | None = None


class Keys:
    """The keys of one data folder. Everything here reads or writes the database."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def add(self, owner: str, name: str) -> tuple[Key, str]:
        """A new key and its text, which is told this once. Raises InvalidRequest for a name that will not do."""
        name = self._checked(owner, name)
        text = PREFIX + secrets.token_urlsafe(32)
        key = Key(owner, name, text[-4:], self._clock())
        row = {
            "owner": owner,
            "name": name,
            "key_hash": _hash(text),
            "ending": key.ending,
            "created_at": key.created_at,
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(keys).values(row))
        except IntegrityError:
            hint = "Revoke that one first, or choose another name."
            raise InvalidRequest(f"There is a key called {name} already.", field="name", hint=hint) from None
        return key, text

    def list(self, owner: str) -> list[Key]:
        """Oldest first."""
        wanted = sa.select(*SHOWN).where(keys.c.owner == owner).order_by(keys.c.number)
        with self._engine.connect() as connection:
            return [Key(*row) for row in connection.execute(wanted)]

    def revoke(self, owner: str, name: str) -> None:
        """The key opens nothing any more; raises InvalidRequest when there is none of that name."""
        wanted = (keys.c.owner == owner) & (keys.c.name == tidy(name.strip()))
        with self._engine.begin() as connection:
            if connection.execute(sa.delete(keys).where(wanted)).rowcount:
                return
        known = ", ".join(key.name for key in self.list(owner)) or "none"
        raise InvalidRequest(f"There is no key called {name[:100]}.", field="name", detail=f"Keys: {known}.")

    def find(self, text: str) -> Key | None:
        """The key of that text; notes that it was used."""
        if not text.startswith(PREFIX):
            return None
        now, wanted = self._clock(), keys.c.key_hash == _hash(text)
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(*SHOWN).where(wanted)).first()
        if row is None:
            return None
        if row.used_at is None or row.used_at <= now - NOTED_SECONDS:
            # a full or locked disk keeps nobody out
            with contextlib.suppress(DBAPIError), self._engine.begin() as connection:
                connection.execute(sa.update(keys).where(wanted).values(used_at=now))
        return Key(*row)

    def _checked(self, owner: str, name: str) -> str:
        name = tidy(name.strip())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            words = f"A key's name has 1 to {LONGEST_NAME} characters on one line."
            raise InvalidRequest(words, field="name", hint="Name it after the program that will use it.")
        if len(self.list(owner)) >= MOST_KEYS:
            raise InvalidRequest(f"There are {MOST_KEYS} keys already.", hint="Revoke one that is not used.")
        return name


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
