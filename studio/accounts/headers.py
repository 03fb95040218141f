"""Security headers on every answer. What an answer says of itself stays: an asset is stricter than the page.

The page's scripts are named by a nonce, so that markup somebody smuggles in runs nothing. Two wishes are left open, because
Gradio 6.31 needs them: `'unsafe-eval'`, since it builds a page's own event scripts (`js=`, `js_on_load=`) from text, and inline
styles, since components and our own pictures set sizes in `style=`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from fastapi.templating import Jinja2Templates
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
PLAIN = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""For pages of ours without any script."""
PRIVATE = ("/api/", "/v1/", "/page/")
"""What is somebody's own is not kept by a browser for the next person at it."""


class SecurityHeaders:
    """The outermost middleware: every answer has the headers, also one from before the guard."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            nonce = scope.setdefault("state", {})["nonce"] = secrets.token_urlsafe(16)
            send = with_headers(send, scope["path"].removeprefix(scope.get("root_path", "")), nonce)
        await self.app(scope, receive, send)


def with_headers(send: Send, path: str, nonce: str) -> Send:
    """A `send` that adds the headers which an answer does not have itself."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", PAGE.format(nonce=nonce))
            if path == "/" or path.startswith(PRIVATE):
                headers.setdefault("Cache-Control", "private, no-cache")
        await send(message)

    return sent


def name_scripts(templates: Jinja2Templates, ours: str) -> None:
    """Let Gradio's page carry the nonce of its request in every script it has; once, however many pages there are.

    ours: scripts to run before Gradio's first one.
    """
    from jinja2 import ChoiceLoader, FunctionLoader

    given = templates.env.loader
    if given is None or isinstance(given, ChoiceLoader):
        return

    def named(name: str) -> str | None:
        if not name.startswith("frontend/"):
            return None
        source: str = given.get_source(templates.env, name)[0]
        whole = source.replace("<script", f"{ours}<script", 1)
        return whole.replace("<script", '<script nonce="{{ request.state.nonce }}"')

    templates.env.loader = ChoiceLoader([FunctionLoader(named), given])
