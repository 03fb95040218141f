"""The pages around the page: logging in, logging out, and the account with its keys. Plain HTML without any script."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from markupsafe import Markup
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from pipelines.errors import InvalidRequest
from studio.accounts import browsers
from studio.accounts.accounts import Accounts, TooManyTries, Visitor
from studio.accounts.headers import PLAIN
from studio.accounts.keys import LONGEST_NAME
from studio.accounts.rights import administrator
from studio.templates import Macros

if TYPE_CHECKING:
    from starlette.requests import Request

ACCOUNT = Macros("account.html")
COOKIE = "atelier_session"
COOKIE_SECONDS = 400 * 24 * 3600
"""As long as browsers keep one; when a session ends is decided on the server."""
LONGEST_FORM = 10_000
WRONG = "That name and password do not match. Try again."


async def answer(path: str, request: Request, accounts: Accounts, visitor: Visitor | None) -> Response | None:
    """What these pages say to a request, or None when it is not theirs. visitor: None when nobody is logged in."""
    is_post = request.method == "POST"
    if request.method not in ("GET", "HEAD", "POST"):
        return Response(status_code=405, headers={"Allow": "GET, HEAD, POST"})
    if path == "/account" and visitor is not None:
        return (
            await change(request, accounts, visitor) if is_post else await account(request, accounts, visitor)
        )
    if not accounts.is_required:
        return None
    if path == "/login":
        return await log_in(request, accounts) if is_post else login_page(request)
    if path == "/logout":
        return await log_out(request, accounts) if is_post else logout_page(request, visitor)
    return None


# ---- logging in and out -----------------------------------------------------------------------------------------------------


async def log_in(request: Request, accounts: Accounts) -> Response:
    form = await read_form(request)
    name, there = form.get("username", "").strip(), _inside(request.query_params.get("next", "/"))
    address = request.client.host if request.client else ""
    try:
        mark = request.cookies.get(browsers.COOKIE, "")
        visitor = await accounts.by_password(name, form.get("password", ""), address, mark)
    except TooManyTries as error:
        return _too_many(request, error, name)
    if visitor is None:
        return login_page(request, name, WRONG, 401) if wants_page(request) else _success(False)
    cookie = await accounts.log_in(visitor, request.cookies.get(COOKIE, ""))
    root = request.scope.get("root_path", "")
    response = RedirectResponse(root + there, 303) if wants_page(request) else _success(True)
    for kind, value in ((COOKIE, cookie), (browsers.COOKIE, accounts.browsers.mark(visitor.owner))):
        response.set_cookie(
            kind,
            value,
            max_age=COOKIE_SECONDS,
            path=root or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
    return response


async def log_out(request: Request, accounts: Accounts) -> Response:
    await accounts.log_out(request.cookies.get(COOKIE, ""))
    return logged_out(request)


def logged_out(request: Request) -> Response:
    """To the sign-in page, without the cookie and without what this browser remembered of the page."""
    root = request.scope.get("root_path", "")
    response = RedirectResponse(f"{root}/login", 303) if wants_page(request) else _success(True)
    response.delete_cookie(COOKIE, path=root or "/")
    response.headers["Clear-Site-Data"] = '"storage"'
    return response


def login_page(request: Request, name: str = "", wrong: str = "", status: int = 200) -> Response:
    there = quote(_inside(request.query_params.get("next", "/")), safe="/")
    return page(request, "Log in", ACCOUNT.login(_to(request, "/login"), there, name, wrong), status)


def logout_page(request: Request, visitor: Visitor | None) -> Response:
    """A link may lead here, but only the button ends the session: else any page could log people out."""
    if visitor is None:
        return RedirectResponse(_to(request, "/login"), 303)
    inside = ACCOUNT.logout(_to(request, "/logout"), _to(request, "/"), visitor.owner)
    return page(request, "Log out", inside)


# ---- the account ------------------------------------------------------------------------------------------------------------


async def account(
    request: Request, accounts: Accounts, visitor: Visitor, told: Markup | None = None, status: int = 200
) -> Response:
    """Who one is, where one is logged in, and the keys of one's programs. told: about what was just done."""
    home = _to(request, "/")
    if not accounts.is_required:
        return page(request, "Account", ACCOUNT.no_login(home))
    keys = await accounts.ask(lambda: accounts.keys.list(visitor.owner))
    browsers = await accounts.ask(lambda: accounts.sessions.count(visitor.owner))
    inside = ACCOUNT.account(
        _to(request, "/account"),
        home,
        _to(request, "/logout"),
        visitor.owner,
        ", the administrator" if visitor.owner == administrator(accounts.settings) else "",
        "1 browser" if browsers == 1 else f"{browsers} browsers",
        told or "",
        [(key, _day(key.created_at), _day(key.used_at) if key.used_at else "") for key in keys],
        LONGEST_NAME,
    )
    return page(request, "Account", inside, status)


async def change(request: Request, accounts: Accounts, visitor: Visitor) -> Response:
    """What the account's buttons ask."""
    form = await read_form(request)
    name, told, status = form.get("name", ""), Markup(), 200
    if not accounts.is_required or visitor.by == "key":
        return RedirectResponse(_to(request, "/account"), 303)
    try:
        match form.get("do"):
            case "everywhere":
                await accounts.log_out_everywhere(visitor.owner)
                return logged_out(request)
            case "add":
                key, text = await accounts.ask(lambda: accounts.keys.add(visitor.owner, name))
                told = ACCOUNT.new_key(key, text)
            case "revoke":
                await accounts.revoke(visitor.owner, name)
                told = ACCOUNT.revoked(name)
    except InvalidRequest as error:
        told, status = ACCOUNT.wrong(str(error.problem())), 400
    return await account(request, accounts, visitor, told, status)


# ---- parts ------------------------------------------------------------------------------------------------------------------


def page(request: Request, title: str, inside: Markup, status: int = 200) -> Response:
    nonce = getattr(request.state, "nonce", "")
    scheme = {"light": "light", "dark": "dark"}.get(request.state.accounts.settings.theme, "light dark")
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": PLAIN.format(nonce=nonce)}
    return HTMLResponse(ACCOUNT.page(title, inside, nonce, scheme), status, headers=headers)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form; what is beyond the longest a form of ours can be is not read."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            break
    fields = parse_qs(body[:LONGEST_FORM].decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _inside(path: str) -> str:
    """The path when it leads to this site, else `/`."""
    is_inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_inside else "/"


def _to(request: Request, path: str) -> str:
    return str(request.scope.get("root_path", "")) + path


def _success(is_right: bool) -> Response:
    return JSONResponse({"success": is_right}, 200 if is_right else 401)  # what gradio_client reads


def _too_many(request: Request, error: TooManyTries, name: str) -> Response:
    words = str(error.problem())
    response = (
        login_page(request, name, words, 429)
        if wants_page(request)
        else JSONResponse({"success": False, "error": {"message": words, "code": error.kind}}, 429)
    )
    response.headers["Retry-After"] = str(error.seconds)
    return response


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))
