"""Who is asking: one login for page and API, and a guard against web pages that try to drive a local studio.

On this machine alone there is no login; then only requests addressed to this machine by its own name are answered, and none
that another web page sends. Anything wider (`--listen`, `--share`, `--auth`) asks for a login everywhere: a cookie from the
sign-in page, HTTP Basic, or the password as an API key (`Authorization: Bearer …`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import json
import os
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import cookie_parser

from studio.settings import LOOPBACK, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL_OWNER = "local"
COOKIE = "atelier_session"
SESSION_SECONDS = 30 * 24 * 3600
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SHORT_PASSWORD = 10
FORM_BYTES = 10_000


def install(app: FastAPI, settings: Settings) -> None:
    """Put the guard before everything the application answers, the mounted page included."""
    app.add_middleware(Guard, settings=settings)


def gradio_auth(settings: Settings) -> Callable[[Request], str]:
    """For `mount_gradio_app(auth_dependency=…)`: the user the guard let in, so that `gr.Request.username` is the owner."""
    return owner_of


def owner_of(request: Request) -> str:
    """Whose library and queue this request is about."""
    return str(getattr(request.state, "owner", LOCAL_OWNER))


def is_required(settings: Settings) -> bool:
    """Whether people must log in."""
    return settings.needs_login or bool(settings.logins)


def announcement(settings: Settings) -> list[str]:
    """Lines for the terminal: how to log in, and what is weak about it. Passwords people chose are not repeated."""
    if not is_required(settings):
        return []
    if not settings.logins:
        (user, password), *_ = logins(settings).items()
        return [
            f"Log in as {user} with the password {password}",
            "It was generated and stays the same for this data folder; choose your own with --auth user:password.",
        ]
    users = ", ".join(settings.logins)
    weak = [user for user, password in settings.logins.items() if len(password) < SHORT_PASSWORD]
    lines = [f"Log in as {users}."]
    if weak and settings.needs_login:
        lines.append(
            f"The password of {', '.join(weak)} is short, and others can reach this page: "
            f"use {SHORT_PASSWORD} characters or more."
        )
    return lines


def logins(settings: Settings) -> dict[str, str]:
    """User → password: as given, or one generated once and kept in the data folder, readable by this user alone."""
    return settings.logins or {"atelier": _secrets(settings)["password"]}


class Guard:
    """The middleware. clock: seconds since 1970, for how long a session lasts."""

    def __init__(self, app: ASGIApp, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.app, self.settings, self.clock = app, settings, clock
        self.logins = logins(settings) if is_required(settings) else {}
        self._key = _secrets(settings)["key"].encode() if self.logins else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._foreign(scope, headers)
        if refusal:
            await _refuse(scope, receive, send, 403, refusal, "forbidden")
            return
        owner: str | None = LOCAL_OWNER
        if self.logins:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if scope["type"] == "http" and path in ("/login", "/logout"):
                await self._sign_in_or_out(path, scope, headers, receive, send)
                return
            owner = self._user(headers)
        if owner is None:
            await self._ask(scope, headers, receive, send)
            return
        scope.setdefault("state", {})["owner"] = owner
        await self.app(scope, receive, send)

    # ---- where it comes from ----

    def _foreign(self, scope: Scope, headers: dict[str, str]) -> str:
        """Why a request must not be answered because of where it comes from; "" when it may."""
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "Another web page sent this request. Use the studio's own page, or a program outside the browser."
        if self.logins:
            return ""  # a foreign page has no cookie (SameSite) and no password
        host = headers.get("host", "")
        if _name(host) not in (*LOOPBACK, self.settings.host):  # a foreign name that points at this machine
            return (
                f"This studio answers only as 127.0.0.1 or localhost, not as {host or 'an unnamed host'}. "
                "To reach it under another name, start it with --listen; a login protects it then."
            )
        origin = headers.get("origin")
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return f"A page at {origin} sent this request; the studio only takes orders from its own page."
        return ""

    # ---- who it is ----

    def _user(self, headers: dict[str, str]) -> str | None:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            matching = [
                user for user, password in self.logins.items() if _same(credentials.strip(), password)
            ]
            return matching[0] if matching else None
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            return user if self._knows(user, password) else None
        # starlette sets the cookie, so its parser reads it: a value with `=` in it goes out in quotes
        return self._session_user(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))

    def _knows(self, user: str, password: str) -> bool:
        known = self.logins.get(user)
        return _same(password, known if known is not None else secrets.token_hex()) and known is not None

    def _session(self, user: str) -> str:
        until = int(self.clock()) + SESSION_SECONDS
        name = base64.urlsafe_b64encode(user.encode()).decode()
        return f"{name}.{until}.{self._sign(user, until)}"

    def _session_user(self, cookie: str) -> str | None:
        try:
            name, until, signature = cookie.split(".")
            user = base64.urlsafe_b64decode(name).decode()
            is_valid = user in self.logins and _same(signature, self._sign(user, int(until)))
            return user if is_valid and int(until) > self.clock() else None
        except (ValueError, binascii.Error):
            return None

    def _sign(self, user: str, until: int) -> str:
        """Signed with the password too, so that changing it ends every session."""
        words = f"{user}\n{until}\n{self.logins[user]}".encode()
        return hmac.new(self._key, words, hashlib.sha256).hexdigest()

    # ---- answers ----

    async def _ask(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        from starlette.responses import RedirectResponse

        if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            there = quote(scope["path"].removeprefix(scope.get("root_path", "")), safe="/")
            await RedirectResponse(f"{scope.get('root_path', '')}/login?next={there}", 303)(
                scope, receive, send
            )
            return
        words = "Log in first: send the password as `Authorization: Bearer PASSWORD`, or user and password as Basic."
        await _refuse(scope, receive, send, 401, words, "invalid_api_key")

    async def _sign_in_or_out(
        self, path: str, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        from starlette.requests import Request
        from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

        root = scope.get("root_path", "")
        query = parse_qs(scope["query_string"].decode("latin-1"))
        there = _inside(query.get("next", ["/"])[0])
        response: Response
        if path == "/logout":
            response = RedirectResponse(f"{root}/login", 303)
            response.delete_cookie(COOKIE, path=root or "/")
        elif scope["method"] == "POST":
            body = b""
            async for part in Request(scope, receive).stream():
                body += part
                if len(body) > FORM_BYTES:
                    break
            form = parse_qs(body[:FORM_BYTES].decode("utf-8", "replace"))
            user, password = form.get("username", [""])[0].strip(), form.get("password", [""])[0]
            wants_page, is_right = "text/html" in headers.get("accept", ""), self._knows(user, password)
            if wants_page:
                response = (
                    RedirectResponse(root + there, 303) if is_right else _sign_in_page(root, there, user, 401)
                )
            else:  # gradio_client signs in here
                response = JSONResponse({"success": is_right}, 200 if is_right else 401)
            if is_right:
                response.set_cookie(
                    COOKIE,
                    self._session(user),
                    max_age=SESSION_SECONDS,
                    path=root or "/",
                    secure=scope["scheme"] == "https",
                    httponly=True,
                    samesite="lax",
                )
        elif scope["method"] in ("GET", "HEAD"):
            response = _sign_in_page(root, there)
        else:
            response = HTMLResponse("", 405)
        await response(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, words: str, code: str) -> None:
    from starlette.responses import JSONResponse

    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": words[:120]})
        return
    kind = "authentication_error" if status == 401 else "invalid_request_error"
    body = {"error": {"message": words, "type": kind, "param": None, "code": code}}
    asking = {"WWW-Authenticate": 'Bearer realm="Atelier"'} if status == 401 else None
    await JSONResponse(body, status, headers=asking)(scope, receive, send)


def _secrets(settings: Settings) -> dict[str, str]:
    """Password and signing key of this data folder, made on first use; a file only this user can read."""
    file = settings.data_dir / "login.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("password") and found.get("key"):
            return {"password": str(found["password"]), "key": str(found["key"])}
    except (OSError, ValueError):
        pass
    made = {"password": secrets.token_urlsafe(12), "key": secrets.token_hex(32)}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".login-{secrets.token_hex(4)}")
    with os.fdopen(
        os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8"
    ) as target:
        json.dump(made, target)
    os.replace(part, file)
    return made


def _same(given: str, wanted: str) -> bool:
    """Equal, taking the same time wherever they differ."""
    return hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), hashlib.sha256(wanted.encode()).digest()
    )


def _name(host: str) -> str:
    """`localhost:7860` → `localhost`, `[::1]:7860` → `::1`; "" for what is no host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _inside(path: str) -> str:
    """The path when it leads to this site, else `/`."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def _sign_in_page(root: str, there: str, user: str = "", status: int = 200) -> Any:
    from starlette.responses import HTMLResponse

    wrong = "<p role=alert>That name and password do not match. Try again.</p>" if status == 401 else ""
    page = SIGN_IN.format(
        action=html.escape(f"{root}/login?next={quote(there, safe='/')}"), user=html.escape(user), wrong=wrong
    )
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store", "X-Frame-Options": "DENY"})


SIGN_IN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · Atelier</title><style>
:root {{ color-scheme: light dark; --paper: light-dark(#f6f4ef, #151311); --card: light-dark(#fff, #1d1b18);
  --ink: light-dark(#211e1a, #ece8e1); --faint: light-dark(#6a645b, #a8a196); --line: light-dark(#d3cdc2, #3d3934);
  --accent: #c23d1a; --on-accent: #fff; --wrong: light-dark(#a03215, #f09d82); }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }}
form {{ width: min(22rem, calc(100vw - 4rem)); padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; }}
h1 {{ margin: 0 0 1.25rem; font-size: 1.4rem; font-weight: 600; }}
label {{ display: block; margin: 0 0 1rem; color: var(--faint); font-size: .9rem; }}
input {{ display: block; box-sizing: border-box; width: 100%; min-height: 44px; margin-top: .3rem; padding: .5rem .75rem;
  font: inherit; font-size: 1rem; color: var(--ink); background: transparent; border: 1px solid var(--line); border-radius: 8px; }}
input:focus-visible, button:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px; }}
button {{ width: 100%; min-height: 44px; font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent);
  border: 0; border-radius: 8px; cursor: pointer; }}
p {{ margin: 0 0 1rem; color: var(--wrong); }}
</style></head><body><form method="post" action="{action}"><h1>Atelier</h1>{wrong}
<label>Name<input name="username" value="{user}" autocomplete="username" autocapitalize="none" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form></body></html>
"""
