"""The pages around the page: logging in, logging out, and the account with its keys. Plain HTML without any script."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from pipelines.errors import InvalidRequest
from studio.accounts import browsers
from studio.accounts.accounts import Accounts, TooManyTries, Visitor
from studio.accounts.headers import PLAIN
from studio.accounts.keys import LONGEST_NAME, Key
from studio.accounts.rights import administrator

if TYPE_CHECKING:
    from starlette.requests import Request

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
    told = f"<p class=wrong role=alert>{escape(wrong)}</p>" if wrong else ""
    inside = (
        f'<form class=card method=post action="{_to(request, "/login")}?next={there}"><h1>Atelier</h1>{told}'
        f'<label>Name<input name=username value="{escape(name)}" autocomplete=username autocapitalize=none required{"" if name else " autofocus"}></label>'
        f"<label>Password<input name=password type=password autocomplete=current-password required{' autofocus' if name else ''}></label>"
        "<button>Log in</button></form>"
    )
    return page(request, "Log in", inside, status)


def logout_page(request: Request, visitor: Visitor | None) -> Response:
    """A link may lead here, but only the button ends the session: else any page could log people out."""
    if visitor is None:
        return RedirectResponse(_to(request, "/login"), 303)
    inside = (
        f'<form class=card method=post action="{_to(request, "/logout")}"><h1>Log out?</h1>'
        f"<p>You are logged in as <b>{escape(visitor.owner)}</b>.</p><button>Log out</button>"
        f'<p class=back><a href="{_to(request, "/")}">Back to the studio</a></p></form>'
    )
    return page(request, "Log out", inside)


# ---- the account ------------------------------------------------------------------------------------------------------------


async def account(
    request: Request, accounts: Accounts, visitor: Visitor, told: str = "", status: int = 200
) -> Response:
    """Who one is, where one is logged in, and the keys of one's programs. told: HTML about what was just done."""
    if not accounts.is_required:
        return page(request, "Account", _no_login(request))
    keys = await accounts.ask(lambda: accounts.keys.list(visitor.owner))
    browsers = await accounts.ask(lambda: accounts.sessions.count(visitor.owner))
    role = ", the administrator" if visitor.owner == administrator(accounts.settings) else ""
    places = "1 browser" if browsers == 1 else f"{browsers} browsers"
    logout, here = _to(request, "/logout"), _to(request, "/account")
    inside = (
        f'<main class="card wide"><p class=back><a href="{_to(request, "/")}">Back to the studio</a></p><h1>Account</h1>'
        f"<p>You are <b>{escape(visitor.owner)}</b>{role}, logged in with {places}.</p>"
        f"<div class=row><form method=post action={logout}><button>Log out</button></form>"
        f"<form method=post action={here}><button class=quiet name=do value=everywhere>Log out everywhere</button></form></div>"
        f"<h2>Keys</h2><p class=faint>A program shows a key instead of your password: <code>Authorization: Bearer sk-…</code></p>"
        f"{told}{_key_list(here, keys)}"
        f"<form class=row method=post action={here}><label>Name of the program<input name=name maxlength={LONGEST_NAME} required></label>"
        "<button name=do value=add>Make a key</button></form></main>"
    )
    return page(request, "Account", inside, status)


async def change(request: Request, accounts: Accounts, visitor: Visitor) -> Response:
    """What the account's buttons ask."""
    form = await read_form(request)
    name, told, status = form.get("name", ""), "", 200
    if not accounts.is_required or visitor.by == "key":
        return RedirectResponse(_to(request, "/account"), 303)
    try:
        match form.get("do"):
            case "everywhere":
                await accounts.log_out_everywhere(visitor.owner)
                return logged_out(request)
            case "add":
                key, text = await accounts.ask(lambda: accounts.keys.add(visitor.owner, name))
                told = _new_key(key, text)
            case "revoke":
                await accounts.revoke(visitor.owner, name)
                told = f"<p role=status>The key {escape(name)} opens nothing any more.</p>"
    except InvalidRequest as error:
        told, status = f"<p class=wrong role=alert>{escape(str(error.problem()))}</p>", 400
    return await account(request, accounts, visitor, told, status)


def _key_list(here: str, keys: Sequence[Key]) -> str:
    if not keys:
        return "<p class=faint>There are none yet.</p>"
    items = "".join(
        f"<li><span><b>{escape(key.name)}</b> <code>sk-…{escape(key.ending)}</code>"
        f"<small>made {_day(key.created_at)}, {f'last used {_day(key.used_at)}' if key.used_at else 'never used'}</small></span>"
        f'<form method=post action={here}><input type=hidden name=name value="{escape(key.name)}">'
        f'<button class=quiet name=do value=revoke aria-label="Revoke {escape(key.name)}">Revoke</button></form></li>'
        for key in keys
    )
    return f"<ul>{items}</ul>"


def _new_key(key: Key, text: str) -> str:
    return (
        f"<div class=new role=status><p>The key <b>{escape(key.name)}</b>. Copy it now: it is shown this once.</p>"
        f'<input readonly value="{escape(text)}" aria-label="The new key" autofocus></div>'
    )


def _no_login(request: Request) -> str:
    return (
        f'<main class="card wide"><p class=back><a href="{_to(request, "/")}">Back to the studio</a></p><h1>Account</h1>'
        "<p>This studio has no login: only this machine can reach it, and everything is allowed here.</p>"
        "<p class=faint>Start it with <code>--listen</code>, <code>--share</code> or <code>--auth name:password</code> to let "
        "others in; then programs need a key, which is made here. Until then they may show any key or none.</p></main>"
    )


# ---- parts ------------------------------------------------------------------------------------------------------------------


def page(request: Request, title: str, inside: str, status: int = 200) -> Response:
    nonce = getattr(request.state, "nonce", "")
    scheme = {"light": "light", "dark": "dark"}.get(request.state.accounts.settings.theme, "light dark")
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title} · Atelier</title><style nonce="{nonce}">:root {{ color-scheme: {scheme}; }}{STYLE}</style></head>'
        f"<body>{inside}</body></html>"
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": PLAIN.format(nonce=nonce)}
    return HTMLResponse(text, status, headers=headers)


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
    return escape(request.scope.get("root_path", "") + path)


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


STYLE = """
:root { --paper: light-dark(#f6f4ef, #151311); --card: light-dark(#fff, #1d1b18); --ink: light-dark(#211e1a, #ece8e1);
  --faint: light-dark(#6a645b, #a8a196); --line: light-dark(#d3cdc2, #3d3934); --accent: #c23d1a;
  --wrong: light-dark(#a03215, #f09d82); --new: light-dark(#f4f2ed, #24211e); }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; padding: 16px; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
.card { width: min(24rem, 100%); padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
.wide { width: min(40rem, 100%); }
h1 { margin: 0 0 1.25rem; font-size: 1.4rem; font-weight: 600; }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; font-weight: 600; }
p { margin: 0 0 1rem; overflow-wrap: anywhere; }
a { color: inherit; }
code { font-size: .9em; }
label { display: block; flex: 1 1 14rem; margin: 0 0 1rem; color: var(--faint); font-size: .9rem; }
input { display: block; width: 100%; min-height: 44px; margin-top: .3rem; padding: .5rem .75rem; font: inherit; font-size: 1rem;
  color: var(--ink); background: transparent; border: 1px solid var(--line); border-radius: 8px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button { min-height: 44px; padding: 0 1.25rem; font: inherit; font-weight: 600; color: #fff; background: var(--accent); border: 0;
  border-radius: 8px; cursor: pointer; }
form.card > button { width: 100%; }
.quiet { color: var(--ink); background: transparent; border: 1px solid var(--line); font-weight: 500; }
.row { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; }
.row label { margin: 0; }
.back { font-size: .9rem; }
form .back { margin: 1rem 0 0; }
.wrong { color: var(--wrong); white-space: pre-line; }
.faint, small { color: var(--faint); }
small { display: block; }
ul { margin: 0 0 1rem; padding: 0; list-style: none; }
li { display: flex; gap: 1rem; justify-content: space-between; align-items: center; padding: .6rem 0; border-top: 1px solid var(--line); }
li span { min-width: 0; overflow-wrap: anywhere; }
.new { margin: 0 0 1rem; padding: 1rem; background: var(--new); border-radius: 8px; }
.new p { margin: 0; }
.new input { font-family: ui-monospace, monospace; font-size: .85rem; }
"""
