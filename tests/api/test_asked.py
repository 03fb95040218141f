"""A long JSON body is parsed beside the event loop, however a route asks for it."""

from __future__ import annotations

import json
import threading

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel

from studio.api.asked import SHORT_BYTES
from studio.api.errors import ErrorRoute
from tests.api.conftest import served


class Told(BaseModel):
    words: str


@pytest.mark.parametrize("path", ["/plain", "/typed"])
def test_a_long_body_is_not_parsed_on_the_loop(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loops: set[int] = set()
    routes = APIRouter(route_class=ErrorRoute)

    @routes.post("/plain")
    async def plain(http: Request) -> int:
        loops.add(threading.get_ident())
        return len((await http.json())["words"])

    @routes.post("/typed")
    async def typed(told: Told) -> int:
        loops.add(threading.get_ident())
        return len(told.words)

    app = FastAPI()
    app.include_router(routes)
    loads, threads = json.loads, list[int]()

    def noted(*given: object, **more: object) -> object:
        threads.append(threading.get_ident())
        return loads(*given, **more)  # type: ignore[arg-type]

    long = json.dumps({"words": "x" * SHORT_BYTES}).encode()
    with served(app) as place:
        monkeypatch.setattr(json, "loads", noted)
        answer = httpx.post(place + path, content=long, headers={"Content-Type": "application/json"})
        monkeypatch.undo()
        assert (answer.status_code, answer.text) == (200, str(SHORT_BYTES))
        assert len(threads) == 1
        assert not loops & set(threads)
