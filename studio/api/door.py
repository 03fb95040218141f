"""The door: every request's body is counted, timed and looked at while it comes in, whatever route it is for.

A pure ASGI middleware, so that nothing is read for a request that a guard inside refuses, nor gathered beyond its bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

from pipelines.errors import InvalidRequest
from studio.api.errors import error_body
from studio.api.limits import IDLE_SECONDS, json_fault, limit_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_SECONDS = 2.0
"""So long a refused body is still read and thrown away: a client that is cut off in mid-sentence does not hear the answer."""


class Refused(InvalidRequest):
    """This body is not taken. Whatever the application makes of the error, the door answers in its place."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Door:
    """The middleware. idle_seconds: the longest silence within a body; the limit of a route may allow less in all."""

    def __init__(self, app: ASGIApp, idle_seconds: float = IDLE_SECONDS) -> None:
        self.app, self.idle_seconds = app, idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(scope, receive, self.idle_seconds)
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if body.refusal is None or begun:
                begun = True
                await send(message)

        try:
            await self.app(scope, body.receive, answer)
        except Exception:
            if body.refusal is None or begun:
                raise
        if body.refusal is not None and not begun:
            await _refuse(body.refusal, body.is_whole, receive, send)


class _Body:
    """A body as it comes in, held to its limit."""

    def __init__(self, scope: Scope, receive: Receive, idle_seconds: float) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        self.limit, self.idle_seconds = limit_of(path), idle_seconds
        self.refusal: Refused | None = None
        self.is_whole = False
        self._receive = receive
        self._nbytes = 0
        self._until: float | None = None
        declared = dict(scope["headers"]).get(b"content-length", b"")
        self._declared = int(declared) if declared.isdigit() and len(declared) < 20 else 0

    async def receive(self) -> Message:
        """What the application gets: a JSON body in one piece and looked at, any other as it comes."""
        if self.is_whole:
            return await self._receive()
        if self.refusal is not None:
            raise self.refusal
        return await (self._all() if self.limit.is_json else self._next())

    async def _all(self) -> Message:
        parts = []
        while not self.is_whole:
            message = await self._next()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
        body = b"".join(parts)
        fault = await asyncio.to_thread(json_fault, body) if len(body) > 10_000 else json_fault(body)
        if fault:
            raise self._refused(400, fault)
        return {"type": "http.request", "body": body, "more_body": False}

    async def _next(self) -> Message:
        self._count(self._declared)
        now = asyncio.get_running_loop().time()
        self._until = self._until or now + self.limit.seconds
        patience = min(self.idle_seconds, self._until - now)
        try:
            # not `wait_for`: what is there already must come without a pause, or who only glances (`Request.is_disconnected`)
            # never sees it
            async with asyncio.timeout(patience):
                message = await self._receive()
        except TimeoutError:
            raise self._refused(408, self._late(), "Send it again in one go.") from None
        if message["type"] == "http.request":
            self._nbytes += len(message.get("body", b""))
            self._count(self._nbytes)
            self.is_whole = not message.get("more_body", False)
        return message

    def _count(self, nbytes: int) -> None:
        if nbytes > self.limit.nbytes:
            message = f"The body is too large: {self.limit.said} at most."
            raise self._refused(413, message, "Send less, or bring files by POST /api/uploads.")

    def _late(self) -> str:
        return (
            f"The rest of the request did not come: it waits {self.idle_seconds:g} s for the next piece,"
            f" and {self.limit.seconds:g} s for the whole."
        )

    def _refused(self, status: int, message: str, hint: str = "") -> Refused:
        self.refusal = Refused(status, message, hint)
        return self.refusal


async def _refuse(refusal: Refused, is_whole: bool, receive: Receive, send: Send) -> None:
    """Answer, then listen a moment longer, so that the other side has heard it before the connection closes."""
    code = {413: "request_too_large", 408: "request_timeout"}.get(refusal.status, refusal.kind)
    told = error_body(refusal.status, str(refusal.problem()), None, code)
    data = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    if not is_whole:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": data, "more_body": True})
    if not is_whole and refusal.status != 408:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
