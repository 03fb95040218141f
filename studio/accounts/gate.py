"""Gradio's own routes: closed, except those that our page and `gradio_client` use, and these bound to whoever began them.

The page is one set of calls: `queue/join` asks, `queue/data` streams the answers of a session whose name the browser makes up.
That name belongs to the first who uses it. Uploads, files, deep links, monitoring and the rest are not for us: what people bring
and make goes through our own routes and the library; a call that names a file is refused. Gradio's CORS, which trusts every page
on this machine, gets no origin to trust.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import JSONResponse
from starlette.routing import Mount

from studio.accounts.users import LOCAL_OWNER

if TYPE_CHECKING:
    from fastapi import FastAPI
    from gradio.routes import App
    from starlette.types import Message, Receive, Scope, Send

OPEN = (
    ("GET", r"/"),
    ("GET", r"/(static|assets|svelte)/.+"),
    ("GET", r"/(favicon\.ico|robots\.txt|manifest\.json|theme\.css|gradio_api/theme\.css)"),
    ("GET", r"/config/?"),
    ("GET", r"/gradio_api/(info|app_id)/?"),
    ("GET", r"/gradio_api/heartbeat/(?P<session>[^/]+)"),
    ("GET", r"/gradio_api/queue/data"),
    ("POST", r"/gradio_api/queue/join"),
    ("POST", r"/gradio_api/(cancel|reset)/?"),
)
"""Methods and paths that are answered; HEAD goes with GET."""
LONGEST_BODY = 8 << 20
LONGEST_NAME = 100
LONGEST_PATH = 250
"""Gradio answers 500 where a name is longer than the file system's longest."""
LARGE = 1 << 16
REMEMBERED = 5_000


def close(app: FastAPI) -> None:
    """Put the gate before the Gradio application mounted last."""
    mount = next(route for route in reversed(app.routes) if isinstance(route, Mount))
    mount.app = Gate(mount.app)
    _keep_no_values()


def _keep_no_values() -> None:
    """Gradio keeps what each session last sent, maybe megabytes, to make deep links of. There are none here."""
    from gradio.state_holder import SessionState

    SessionState._update_value_in_config = lambda self, key, value: None


class Owned:
    """Names and whose they are: the first who uses one. Of each owner the oldest are forgotten; nobody can guess one."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._names: dict[str, OrderedDict[str, None]] = {}

    def claim(self, name: str, owner: str) -> bool:
        """Whether it is this owner's, who gets it when it is nobody's."""
        if self._owners.setdefault(name, owner) != owner:
            return False
        names = self._names.setdefault(owner, OrderedDict())
        names[name] = None
        names.move_to_end(name)
        if len(names) > REMEMBERED:  # one's own: else whoever makes up many would end the pages of others
            del self._owners[names.popitem(last=False)[0]]
        return True

    def is_of(self, name: str, owner: str) -> bool:
        return self._owners.get(name) == owner


class Gate:
    """The application around Gradio's `App`. Knows the owner from the guard."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.sessions, self.events = Owned(), Owned()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _open(scope) if scope["type"] == "http" else None
        if found is None:
            await _nothing(scope, receive, send)
            return
        owner = str(scope.get("state", {}).get("owner", LOCAL_OWNER))
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != b"origin"]}
        query = parse_qs(scope["query_string"].decode("latin-1"))
        body = None
        if scope["method"] == "POST":
            body = await _body(receive)
            if body is None:
                await _told(413, f"This is longer than {LONGEST_BODY >> 20} MB.")(scope, receive, send)
                return
            receive = _again(body, receive)
        if query.get("deep_link") or not await self._is_theirs(found, query, body, owner):
            await _nothing(scope, receive, send)
        elif found.string.endswith("/queue/join"):
            await self.app(scope, receive, self._noting_event(send, owner))
        else:
            await self.app(scope, receive, send)

    async def _is_theirs(
        self, found: re.Match[str], query: dict[str, list[str]], body: bytes | None, owner: str
    ) -> bool:
        """Whether the session and the event this call names are this owner's."""
        path = found.string
        if "session" in found.re.groupindex:
            return self._claims(found["session"], owner)
        if path.endswith("/queue/data"):
            return self.sessions.is_of(query.get("session_hash", [""])[0], owner)
        if body is None:
            return True
        told = await asyncio.to_thread(_told_by, body) if len(body) > LARGE else _told_by(body)
        if path.endswith("/queue/join"):
            is_ours = self._has(told.get("fn_index")) and not _names_a_file(told)
            return is_ours and self._claims(told.get("session_hash"), owner)
        if "/cancel" in path:
            return self.sessions.is_of(str(told.get("session_hash")), owner) and self.events.is_of(
                str(told.get("event_id")), owner
            )
        return True

    def _has(self, number: object) -> bool:
        """Whether the page has a handler of that number; Gradio answers 500 where it has none."""
        return type(number) is int and number in self.app.get_blocks().fns

    def _claims(self, session: object, owner: str) -> bool:
        return (
            isinstance(session, str)
            and 0 < len(session) <= LONGEST_NAME
            and self.sessions.claim(session, owner)
        )

    def _noting_event(self, send: Send, owner: str) -> Send:
        """A `send` that remembers whose event the answer of `queue/join` names."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.body":
                event = _told_by(message.get("body", b"")).get("event_id")
                if isinstance(event, str):
                    self.events.claim(event, owner)
            await send(message)

        return sent


def _open(scope: Scope) -> re.Match[str] | None:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if len(path.encode("utf-8", "replace")) > LONGEST_PATH:
        return None
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    tries = (re.fullmatch(pattern, path) for wanted, pattern in OPEN if wanted == method)
    return next((found for found in tries if found), None)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is too long or its sender left."""
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > LONGEST_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that tells the body once more, then goes on with what comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received


def _told_by(body: bytes) -> dict[str, object]:
    """A JSON object, or an empty one for anything else."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _names_a_file(told: object) -> bool:
    """Whether a file is told of anywhere inside, as Gradio writes one: it would copy whatever path or address stands there.

    Our page brings none: its files go through our own routes.
    """
    if isinstance(told, dict):
        return told.keys() >= {"path", "meta"} or any(map(_names_a_file, told.values()))
    return isinstance(told, list) and any(map(_names_a_file, told))


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await _told(404, f"There is nothing at {scope['path'][:200]}.")(scope, receive, send)


def _told(status: int, words: str) -> JSONResponse:
    error = {"message": words, "type": "invalid_request_error", "param": None, "code": "not_found"}
    return JSONResponse({"error": error, "detail": words}, status)  # `detail` is what Gradio's script reads
