"""Who may do what. One place to ask, so that roles and teams have one place to grow.

Everybody who is logged in makes things and owns what they made. What belongs to all — the models on the disk and in memory, and
the machine's own numbers — is the administrator's: the first login given, or the one that was made here. Without a login
everything is allowed: only this machine can ask.
"""

from __future__ import annotations

from typing import Literal

from pipelines.errors import StudioError
from studio.accounts.users import DEFAULT_USER, is_required, tidy
from studio.settings import Settings

Action = Literal["make", "change_models", "change_memory", "see_machine"]
"""change_models: download, add, remove, look again. change_memory: unload, pin. see_machine: /metrics and monitoring."""
ADMINISTRATORS: frozenset[Action] = frozenset(["change_models", "change_memory", "see_machine"])
WORDS: dict[Action, str] = {
    "make": "make things",
    "change_models": "download, add or remove models",
    "change_memory": "unload or pin models",
    "see_machine": "read the machine's numbers",
}


class Forbidden(StudioError):
    """Known, but not allowed to."""

    kind = "forbidden"


def administrator(settings: Settings) -> str:
    """The login that may do everything."""
    return tidy(next(iter(settings.logins), DEFAULT_USER))


def may(settings: Settings, owner: str, action: Action) -> bool:
    return not is_required(settings) or action not in ADMINISTRATORS or owner == administrator(settings)


def require(settings: Settings, owner: str, action: Action) -> None:
    """Raise Forbidden, naming who may."""
    if not may(settings, owner, action):
        who = administrator(settings)
        raise Forbidden(f"Only {who} may {WORDS[action]} here.", hint=f"Ask {who}.")
