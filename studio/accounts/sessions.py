"""Who is logged in: one row a browser, so that logging out ends the session here and not only in the cookie.

The cookie holds a random id, signed (itsdangerous), so that a made-up one costs no look into the database. The row holds the
id's hash: whoever reads the database cannot log in with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from itsdangerous import BadSignature, Signer
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

IDLE_SECONDS = 30 * 24 * 3600
"""A session nobody used for that long is over."""
NOTED_SECONDS = 3600
"""How exactly it is kept when a session was last used."""

sessions = sa.Table(
    "sessions",
    sa.MetaData(),
    sa.Column("id_hash", sa.String, primary_key=True),
    sa.Column("owner", sa.String),
    sa.Column("proof", sa.String),
    sa.Column("created_at", sa.Float),
    sa.Column("seen_at", sa.Float),
)


@dataclass(frozen=True)
class Session:
    """A browser that is logged in. proof: of the password it logged in with."""

    id_hash: str
    owner: str
    proof: str
    seen_at: float


class Sessions:
    """The sessions of one data folder. Everything here reads or writes the database, except `is_ours`."""

    def __init__(self, engine: Engine, key: str, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock
        self._signer = Signer(key, salt="atelier.session", digest_method=hashlib.sha256)

    def begin(self, owner: str, proof: str) -> str:
        """A new session; returns its cookie. Those that are over are swept out."""
        token, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "id_hash": _hash(token),
            "owner": owner,
            "proof": proof,
            "created_at": now,
            "seen_at": now,
        }
        with self._engine.begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.seen_at <= now - IDLE_SECONDS))
            connection.execute(sa.insert(sessions).values(row))
        return self._signer.sign(token).decode()

    def is_ours(self, cookie: str) -> bool:
        """Whether we signed it; says nothing about whether it is still good."""
        return bool(cookie) and self._token(cookie) is not None

    def find(self, cookie: str) -> Session | None:
        """The session of that cookie while it lasts."""
        token = self._token(cookie)
        if token is None:
            return None
        now, wanted = self._clock(), sessions.c.id_hash == _hash(token)
        columns = (sessions.c.id_hash, sessions.c.owner, sessions.c.proof, sessions.c.seen_at)
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(*columns).where(wanted)).first()
        if row is None or row.seen_at <= now - IDLE_SECONDS:
            return None
        if row.seen_at <= now - NOTED_SECONDS:
            # a full or locked disk keeps nobody out
            with contextlib.suppress(DBAPIError), self._engine.begin() as connection:
                connection.execute(sa.update(sessions).where(wanted).values(seen_at=now))
        return Session(*row)

    def end(self, cookie: str) -> None:
        token = self._token(cookie)
        if token is not None:
            with self._engine.begin() as connection:
                connection.execute(sa.delete(sessions).where(sessions.c.id_hash == _hash(token)))

    def end_all(self, owner: str) -> None:
        """Log this user out everywhere."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.owner == owner))

    def count(self, owner: str) -> int:
        """In how many browsers this user is logged in."""
        lasting = (sessions.c.owner == owner) & (sessions.c.seen_at > self._clock() - IDLE_SECONDS)
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).where(lasting)).scalar_one()

    def _token(self, cookie: str) -> str | None:
        try:
            return self._signer.unsign(cookie.encode("utf-8", "replace")).decode()
        except (BadSignature, UnicodeDecodeError):
            return None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
