"""Browsers a user logged in with before: their tries are counted by themselves.

Else a stranger who keeps trying a name would keep its owner from logging in. The mark is a signed cookie that opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets

from itsdangerous import BadSignature, Signer

COOKIE = "atelier_browser"


class Browsers:
    """Makes marks and reads them. key: this data folder's secret."""

    def __init__(self, key: str) -> None:
        self._signer = Signer(key, salt="atelier.browser", digest_method=hashlib.sha256)

    def mark(self, name: str) -> str:
        """A new mark for a browser this user has just logged in with."""
        return self._signer.sign(f"{secrets.token_urlsafe(12)}.{_short(name)}").decode()

    def tries_of(self, name: str, mark: str) -> str:
        """Whose tries these are counted as: this browser's when it has been this user's before; "" for a stranger's."""
        try:
            told = self._signer.unsign(mark.encode("utf-8", "replace")).decode()
        except (BadSignature, UnicodeDecodeError):
            return ""
        return f"browser {told}" if told.endswith("." + _short(name)) else ""


def _short(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
