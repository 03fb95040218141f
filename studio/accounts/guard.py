"""The middleware before everything: where a request comes from, whose it is, and the headers of every answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser

from studio.accounts import gate, headers, pages
from studio.accounts.accounts import Accounts, TooManyTries, Visitor, local
from studio.accounts.keys import PREFIX
from studio.accounts.users import LOCAL_OWNER
from studio.settings import LOOPBACK, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine
    from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
KEY_WANTED = (
    "This is not a key of this studio: a key begins with sk-, and a password is none. "
    "Make one on the Account page or with `launch.py keys add NAME`; name and password go as HTTP Basic."
)
KEY_UNKNOWN = "This key is not known here; it may have been revoked. Make another on the Account page."
LOGIN_WANTED = (
    "Log in first: send a key as `Authorization: Bearer sk-…`, or name and password as HTTP Basic. "
    "Keys are made on the Account page or with `launch.py keys add NAME`."
)
WRONG = "That name and password do not match."


def install(app: FastAPI, settings: Settings, engine: Engine | None = None) -> Accounts:
    """Put the guard before everything the application answers, the mounted page included. engine: the data folder's database."""
    from studio.database import open_database

    accounts = Accounts(settings, engine or open_database(settings.data_dir / "studio.db"))
    app.add_middleware(Guard, accounts=accounts)
    return accounts


def close_page(app: FastAPI, scripts: str) -> None:
    """Put the gate before the Gradio page mounted last, name its scripts, and put the headers around everything.

    scripts: the page's own, which stand before Gradio's.
    """
    from gradio.routes import templates

    headers.name_scripts(templates, scripts)
    gate.close(app)
    app.add_middleware(headers.SecurityHeaders)


def gradio_auth(settings: Settings) -> Callable[[Request], str]:
    """For `mount_gradio_app(auth_dependency=…)`: the user the guard let in, so that `gr.Request.username` is the owner."""
    return owner_of


def owner_of(request: Request) -> str:
    """Whose library and queue this request is about."""
    return str(getattr(request.state, "owner", LOCAL_OWNER))


class Guard:
    """The middleware. Behind it, `request.state` has `owner`, `visitor` and `accounts`."""

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self.app, self.accounts, self.settings = app, accounts, accounts.settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        told = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        scope.setdefault("state", {})["accounts"] = self.accounts
        refusal = self._foreign(scope, told)
        if refusal:
            await _refuse(scope, receive, send, 403, refusal, "forbidden")
            return
        try:
            visitor = await self._visitor(scope, told)
        except TooManyTries as error:
            words = str(error.problem())
            await _refuse(scope, receive, send, 429, words, error.kind, {"Retry-After": str(error.seconds)})
            return
        if scope["type"] == "http" and path in ("/login", "/logout", "/account"):
            answer = await pages.answer(path, Request(scope, receive), self.accounts, visitor)
            if answer is not None:
                await answer(scope, receive, send)
                return
        if visitor is None:
            await self._ask(scope, told, path, receive, send)
            return
        scope["state"].update(owner=visitor.owner, visitor=visitor)
        await self.app(scope, receive, send)

    # ---- where it comes from ----

    def _foreign(self, scope: Scope, told: Headers) -> str:
        """Why a request must not be answered because of where it comes from; "" when it may."""
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and told.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "Another web page sent this request. Use the studio's own page, or a program outside the browser."
        host, origin = told.get("host", ""), told.get("origin")
        if self.accounts.is_required:
            # another site has no session (SameSite); a page on another port of this host would have it
            is_neighbour = changes and origin is not None and _is_another_port(origin, host)
            return f"A page at {origin} sent this request." if is_neighbour else ""
        if _name(host) not in (*LOOPBACK, self.settings.host):  # a foreign name that points at this machine
            return (
                f"This studio answers only as 127.0.0.1 or localhost, not as {host or 'an unnamed host'}. "
                "To reach it under another name, start it with --listen; a login protects it then."
            )
        if changes and origin is not None and _place(origin) != host:
            return f"A page at {origin} sent this request; the studio only takes orders from its own page."
        return ""

    # ---- who it is ----

    async def _visitor(self, scope: Scope, told: Headers) -> Visitor | None:
        """Raises TooManyTries when wrong passwords were shown too often."""
        if not self.accounts.is_required:
            return local()
        scheme, _, credentials = told.get("authorization", "").partition(" ")
        match scheme.lower():
            case "bearer":
                return await self.accounts.by_key(credentials.strip())
            case "basic":
                return await self._by_basic(scope, credentials, told)
        cookie = cookie_parser(told.get("cookie", "")).get(pages.COOKIE, "")
        return await self.accounts.by_session(cookie)

    async def _by_basic(self, scope: Scope, credentials: str, told: Headers) -> Visitor | None:
        try:
            words = base64.b64decode(credentials.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None
        name, _, password = _text(words).partition(":")
        address = scope["client"][0] if scope.get("client") else ""
        return await self.accounts.by_password(name, password, address)

    # ---- answers ----

    async def _ask(self, scope: Scope, told: Headers, path: str, receive: Receive, send: Send) -> None:
        from starlette.responses import RedirectResponse

        root = scope.get("root_path", "")
        if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in told.get("accept", ""):
            there = RedirectResponse(f"{root}/login?next={quote(path, safe='/')}", 303)
            await there(scope, receive, send)
            return
        await _refuse(scope, receive, send, 401, _why(told.get("authorization", "")), "invalid_api_key")


def _why(authorization: str) -> str:
    """What is wrong with what was shown."""
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return KEY_UNKNOWN if credentials.strip().startswith(PREFIX) else KEY_WANTED
        case "basic":
            return WRONG
    return LOGIN_WANTED


async def _refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    words: str,
    code: str,
    extra: dict[str, str] | None = None,
) -> None:
    from starlette.responses import JSONResponse

    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": words[:120]})
        return
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
    body = {"error": {"message": words, "type": kind, "param": None, "code": code}}
    asking = {"WWW-Authenticate": 'Bearer realm="Atelier"'} if status == 401 else {}
    await JSONResponse(body, status, headers={**asking, **(extra or {})})(scope, receive, send)


def _text(words: bytes) -> str:
    """Name and password as text: UTF-8 as the standard wishes, or what older programs send."""
    try:
        return words.decode()
    except UnicodeDecodeError:
        return words.decode("latin-1")


def _name(host: str) -> str:
    """`localhost:7860` → `localhost`, `[::1]:7860` → `::1`; "" for what is no host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_another_port(origin: str, host: str) -> bool:
    """Whether the page is at this very host, but at another port."""
    place = _place(origin)
    return bool(place) and _name(place) == _name(host) and ":" in place and ":" in host and place != host
