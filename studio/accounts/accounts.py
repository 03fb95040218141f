"""Names, sessions and keys of one data folder, asked from the event loop without holding it up.

Looking into the database and hashing passwords have threads of their own, so that neither waits for the studio's other work.
What was looked up is remembered for a second: a page asks for a hundred files at once, and a key revoked beside us ends as soon.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

from sqlalchemy import Engine

from pipelines.errors import StudioError
from studio.accounts.brakes import Brakes
from studio.accounts.browsers import Browsers
from studio.accounts.keys import Key, Keys
from studio.accounts.sessions import Session, Sessions
from studio.accounts.users import LOCAL_OWNER, LONGEST_NAME, Users, is_required, logins, secrets_of, tidy
from studio.settings import Settings

REMEMBERED_SECONDS = 1.0
MOST_REMEMBERED = 2000
PASSWORDS_AT_ONCE = 2
MOST_WAITING = 40
"""Passwords waiting to be looked at, all visitors together: two seconds of work."""
T = TypeVar("T")
By = Literal["nothing", "session", "password", "key"]


@dataclass(frozen=True)
class Visitor:
    """Whose request it is, and what showed it. session: its cookie, when that did."""

    owner: str
    by: By
    session: str = ""


class TooManyTries(StudioError):
    """Too many wrong passwords for this name or from this address; seconds until the next may be tried."""

    kind = "too_many_tries"

    def __init__(self, seconds: float, why: str = "Too many wrong passwords.") -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(
            f"{why} Try again in {self.seconds} seconds.",
            hint="Whoever is logged in already stays so, and keys keep working.",
        )


class Accounts:
    """clock: seconds since 1970, for the records; timer: seconds that only grow, for the brakes."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings, self.timer = settings, timer
        self.is_required = is_required(settings)
        key = secrets_of(settings.data_dir)["key"] if self.is_required else ""
        self.users = Users(logins(settings) if self.is_required else {}, key.encode())
        self.sessions, self.keys = Sessions(engine, key, clock), Keys(engine, clock)
        self.brakes, self.browsers = Brakes(timer), Browsers(key)
        self._waiting = 0
        # the last right password of each user, as a digest under a key that lives as long as this process
        self._right: dict[str, bytes] = {}
        self._forgotten = secrets.token_bytes(32)
        self._found: dict[str, tuple[float, Session | Key | None]] = {}
        self._lookups = ThreadPoolExecutor(4, "accounts")
        self._hashing = ThreadPoolExecutor(PASSWORDS_AT_ONCE, "passwords")

    # ---- who it is ------------------------------------------------------------------------------------------------

    async def by_session(self, cookie: str) -> Visitor | None:
        if not self.is_required or not self.sessions.is_ours(cookie):
            return None
        session = await self._remembered("session " + cookie, lambda: self.sessions.find(cookie))
        if not isinstance(session, Session) or session.owner not in self.users:
            return None
        is_current = session.proof == self.users.proof(session.owner)
        return Visitor(session.owner, "session", cookie) if is_current else None

    async def by_key(self, text: str) -> Visitor | None:
        key = await self._remembered("key " + text, lambda: self.keys.find(text))
        return Visitor(key.owner, "key") if isinstance(key, Key) and key.owner in self.users else None

    async def by_password(self, name: str, password: str, address: str, mark: str = "") -> Visitor | None:
        """Raises TooManyTries before the password is looked at. mark: of a browser that was this user's before."""
        name = tidy(name.strip())
        if not name or len(name) > LONGEST_NAME:
            return None
        own = self.browsers.tries_of(name, mark)
        counted = (own, "") if own else (f"name {name}", address)
        wait = self.brakes.wait_seconds(*counted)
        if wait:
            raise TooManyTries(wait)
        if not await self._knows(name, password):
            return None
        self.brakes.was_right(*counted)
        return Visitor(name, "password")

    async def _knows(self, name: str, password: str) -> bool:
        """The slow look; a program that shows the same right password again, as HTTP Basic does, is known at once."""
        words = hmac.digest(self._forgotten, f"{name}\n{tidy(password)}".encode("utf-8", "replace"), "sha256")
        if name in self._right and hmac.compare_digest(self._right[name], words):
            return True
        if self._waiting >= MOST_WAITING:
            raise TooManyTries(2, "So many are logging in at once.")
        self._waiting += 1
        try:
            is_right = await asyncio.wrap_future(self._hashing.submit(self.users.knows, name, password))
        finally:
            self._waiting -= 1
        if is_right:
            self._right[name] = words
        return is_right

    # ---- coming and going -----------------------------------------------------------------------------------------

    async def log_in(self, visitor: Visitor, old_cookie: str = "") -> str:
        """A new session's cookie; the one this browser had before is over."""
        cookie = await self.ask(lambda: self.sessions.begin(visitor.owner, self.users.proof(visitor.owner)))
        await self.log_out(old_cookie)
        return cookie

    async def log_out(self, cookie: str) -> None:
        if self.sessions.is_ours(cookie):
            await self.ask(lambda: self.sessions.end(cookie))
            self._found.pop("session " + cookie, None)

    async def log_out_everywhere(self, owner: str) -> None:
        await self.ask(lambda: self.sessions.end_all(owner))
        self._found.clear()

    async def revoke(self, owner: str, name: str) -> None:
        """Raises InvalidRequest when there is no such key."""
        await self.ask(lambda: self.keys.revoke(owner, name))
        self._found.clear()

    # ---- asking ---------------------------------------------------------------------------------------------------

    async def ask(self, look: Callable[[], T]) -> T:
        """The answer of something that reads or writes the database."""
        return await asyncio.wrap_future(self._lookups.submit(look))

    async def _remembered(self, what: str, look: Callable[[], Session | Key | None]) -> Session | Key | None:
        at, found = self._found.get(what, (-math.inf, None))
        if self.timer() - at < REMEMBERED_SECONDS:
            return found
        found = await self.ask(look)
        if len(self._found) >= MOST_REMEMBERED:
            self._found.clear()
        if found is not None:
            self._found[what] = (self.timer(), found)
        return found


def local() -> Visitor:
    """Whoever sits at a studio that only this machine can reach."""
    return Visitor(LOCAL_OWNER, "nothing")
