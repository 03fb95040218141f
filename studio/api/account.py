"""Our own routes about whoever asks: who one is, and the keys of one's programs. What these are is in `studio/accounts/`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from studio.accounts import Accounts, Forbidden
from studio.accounts.keys import Key
from studio.accounts.rights import ADMINISTRATORS, may
from studio.api.errors import ErrorRoute

if TYPE_CHECKING:
    from studio.studio import Studio


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(prefix="/api", route_class=ErrorRoute)

    @routes.get("/account")
    def who(http: Request) -> dict[str, object]:
        """Who is asking, how they showed it, and what belongs to all that they may change."""
        accounts, visitor = _accounts(http), http.state.visitor
        rights = [
            action for action in sorted(ADMINISTRATORS) if may(accounts.settings, visitor.owner, action)
        ]
        return {"name": visitor.owner, "login": accounts.is_required, "by": visitor.by, "may": rights}

    @routes.get("/keys")
    def keys(http: Request) -> dict[str, object]:
        """The keys of whoever asks, oldest first; never their texts."""
        return {"keys": [_body(key) for key in _accounts(http).keys.list(http.state.visitor.owner)]}

    @routes.post("/keys", status_code=201)
    def add(body: NewKey, http: Request) -> dict[str, object]:
        """A new key; its text is told this once."""
        _check_may_change(http)
        key, text = _accounts(http).keys.add(http.state.visitor.owner, body.name)
        return {**_body(key), "key": text}

    @routes.delete("/keys/{name}", status_code=204)
    async def revoke(name: str, http: Request) -> None:
        _check_may_change(http)
        await _accounts(http).revoke(http.state.visitor.owner, name)

    return routes


def _accounts(http: Request) -> Accounts:
    accounts: Accounts = http.state.accounts
    return accounts


def _check_may_change(http: Request) -> None:
    """A key makes no keys: who finds one must not be able to keep the door open. Without a login keys are of no use."""
    if http.state.visitor.by == "key":
        raise Forbidden("A key cannot make or revoke keys.", hint="Use your name and password, or the page.")
    if not _accounts(http).is_required:
        raise Forbidden("This studio has no login, so there are no keys.", hint="Programs may show any key.")


def _body(key: Key) -> dict[str, object]:
    body = dataclasses.asdict(key)
    del body["owner"]
    return body
