"""Routes there are not: 404, or 405 with the methods there are, in the shape of every other error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Match

from studio.api.errors import respond

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class Unknown:
    """An ASGI application for the paths that no route before it took."""

    def __init__(self, app: FastAPI) -> None:
        self._before = list(app.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))[:200]
        allowed = [method for method in METHODS if _is_taken(self._before, scope, method)]
        if allowed:
            response = respond(405, f"{path} takes {' and '.join(allowed)}.", code="method_not_allowed")
            response.headers["Allow"] = ", ".join(allowed)
        else:
            hint = "See docs/api.md, or /openapi.json for all there are."
            response = respond(404, f"There is no route {path}.\n{hint}", code="unknown_route")
        await response(scope, receive, send)


def _is_taken(routes: list[BaseRoute], scope: Scope, method: str) -> bool:
    asked = {**{key: scope[key] for key in ("type", "path", "root_path", "headers")}, "method": method}
    return any(route.matches({**asked, "path_params": {}})[0] is Match.FULL for route in routes)
