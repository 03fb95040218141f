"""Names and passwords: those the settings give, or one login made once for a data folder.

Passwords are compared by argon2, which is slow on purpose: call `Users.knows` off the event loop. The password that was made
here stays readable in `login.json`, because every start prints it; that file is as private as the library beside it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from pipelines.disk import write_whole
from studio.settings import Settings

LOCAL_OWNER = "local"
DEFAULT_USER = "atelier"
SHORT_PASSWORD = 10
LONGEST_NAME = 200
# OWASP's smallest advice: 19 MiB and two rounds, about 25 ms of one core, so that a few at once stay small
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def is_required(settings: Settings) -> bool:
    """Whether people must log in."""
    return settings.needs_login or bool(settings.logins)


def logins(settings: Settings) -> dict[str, str]:
    """User → password: as given, or one generated once and kept in the data folder, readable by this user alone."""
    return settings.logins or {DEFAULT_USER: secrets_of(settings.data_dir)["password"]}


def announcement(settings: Settings) -> list[str]:
    """Lines for the terminal: how to log in, and what is weak about it. Passwords people chose are not repeated."""
    if not is_required(settings):
        return []
    if not settings.logins:
        (user, password), *_ = logins(settings).items()
        return [
            f"Log in as {user} with the password {password}",
            "It was generated and stays the same for this data folder; choose your own with --auth user:password.",
            "Programs use a key: make one on the Account page or with: launch.py keys add NAME",
        ]
    users = ", ".join(settings.logins)
    weak = [user for user, password in settings.logins.items() if len(password) < SHORT_PASSWORD]
    chief = f" {next(iter(settings.logins))} is the administrator." if len(settings.logins) > 1 else ""
    lines = [f"Log in as {users}.{chief}"]
    if weak and settings.needs_login:
        lines.append(
            f"The password of {', '.join(weak)} is short, and others can reach this page: "
            f"use {SHORT_PASSWORD} characters or more."
        )
    return lines


class Users:
    """Who may log in. key: this data folder's secret, so that hashes made at each start are the same ones."""

    def __init__(self, passwords: Mapping[str, str], key: bytes) -> None:
        self._key = key
        self._hashes = {tidy(name): self._hash(tidy(name), word) for name, word in passwords.items()}
        # a hash takes a tenth of a second of the start, and where nobody can log in none is compared
        self._nobody = self._hash("", secrets.token_hex()) if passwords else ""

    def __contains__(self, name: str) -> bool:
        return name in self._hashes

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def knows(self, name: str, password: str) -> bool:
        """Whether that is the password; takes the same time for a name nobody has."""
        if not self._hashes:
            return False
        try:
            HASHER.verify(self._hashes.get(name, self._nobody), _bytes(tidy(password)))
        except VerificationError:
            return False
        return name in self._hashes

    def proof(self, name: str) -> str:
        """Changes with the password: a session begun under another one is over. Tells nothing about it."""
        return hashlib.sha256(self._hashes[name].encode()).hexdigest()

    def _hash(self, name: str, password: str) -> str:
        salt = hmac.digest(self._key, _bytes(name), "sha256")[:16]
        return HASHER.hash(_bytes(tidy(password)), salt=salt)


def tidy(text: str) -> str:
    """One spelling of the same letters: an `ä` may be typed as one character or as two."""
    return unicodedata.normalize("NFC", text)


def secrets_of(data_dir: Path) -> dict[str, str]:
    """Password and signing key of this data folder, made on first use; a file only this user can read."""
    file = data_dir / "login.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("password") and found.get("key"):
            return {"password": str(found["password"]), "key": str(found["key"])}
    except (OSError, ValueError):
        pass
    made = {"password": secrets.token_urlsafe(12), "key": secrets.token_hex(32)}
    write_whole(file, json.dumps(made), private=True)
    return made


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a command line that is no UTF-8 brings half characters
