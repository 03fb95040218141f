"""What comes in is bounded, timed and looked at before anything parses it, through real sockets; a refusal names the bound."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from fastapi import FastAPI, Request, UploadFile

from studio.api.connection import timed
from studio.api.door import Door
from studio.api.limits import JSON_BYTES, JSON_DEPTH, JSON_VALUES, MB, UPLOAD, json_fault, limit_of
from tests.api.conftest import served

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 1.0  # injected seconds for what is 20 in earnest


def echo(**door: Any) -> FastAPI:
    """An application that takes what the door lets through."""
    app = FastAPI()

    @app.post("/api/json")
    async def take(http: Request) -> Any:
        return await http.json()

    @app.post("/api/uploads")
    async def keep(file: UploadFile) -> int:
        return len(await file.read())

    @app.post("/gradio_api/queue/join")
    async def join(http: Request) -> Any:
        return await http.json()

    app.add_middleware(Door, **door)
    return app


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with served(echo()) as address:
        yield address


@pytest.fixture(scope="module")
def hasty() -> Iterator[str]:
    """The same where nobody waits long."""
    with served(echo(idle_seconds=PATIENCE), http=timed(PATIENCE)) as address:
        yield address


def connected(place: str) -> socket.socket:
    parts = urlsplit(place)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def answer_on(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


def start(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


# ---- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/json", "/gradio_api/queue/join"])
def test_a_declared_body_beyond_the_bound_is_refused_before_a_byte_of_it_came(place: str, path: str) -> None:
    with connected(place) as connection:
        connection.sendall(start(path, f"Content-Length: {300 * MB}"))
        status, body = answer_on(connection)
    assert (status, body["error"]["code"]) == (413, "request_too_large")
    assert "4.0 MB" in body["error"]["message"]


def test_a_chunked_body_is_refused_while_it_streams(place: str) -> None:
    piece = b"10000\r\n" + b"1" * 0x10000 + b"\r\n"
    with connected(place) as connection:
        connection.sendall(start("/api/json", "Transfer-Encoding: chunked"))
        for _ in range(JSON_BYTES // 0x10000 + 1):
            connection.sendall(piece)
        status, body = answer_on(connection)  # and the body has no end yet
    assert (status, body["error"]["code"]) == (413, "request_too_large")


def test_a_client_in_mid_sentence_hears_the_refusal(place: str) -> None:
    """httpx sends everything before it listens; cut off at once, it would see a broken pipe."""
    answer = httpx.post(f"{place}/api/json", content=b"1" * (16 * MB), timeout=30)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "invalid_request_error")


def test_uploads_may_be_larger_than_requests(place: str) -> None:
    file = b"\0" * (JSON_BYTES + MB)
    answer = httpx.post(f"{place}/api/uploads", files={"file": ("a.bin", file)}, timeout=30)
    assert (answer.status_code, answer.json()) == (200, len(file))
    with connected(place) as connection:
        connection.sendall(
            start(
                "/api/uploads",
                f"Content-Length: {UPLOAD.nbytes + 1}",
                "Content-Type: multipart/form-data; boundary=x",
            )
        )
        assert answer_on(connection)[0] == 413


def test_every_route_has_a_bound_and_few_a_large_one() -> None:
    large = {
        path
        for path in ("/api/uploads", "/gradio_api/upload", "/gradio_api/upload/", "/page/recipe")
        if limit_of(path).nbytes > JSON_BYTES
    }
    assert len(large) == 4
    for path in ("/", "/api/uploads/x", "/gradio_api/uploads", "/gradio_api/run/x", "/login", "/metrics"):
        assert limit_of(path).nbytes <= JSON_BYTES
    assert limit_of("/v1/chat/completions").nbytes == JSON_BYTES


def test_a_stream_hears_that_its_listener_is_gone() -> None:
    """Gradio only glances at the connection between two events; behind the door it never saw the end: streams stayed."""
    seen = asyncio.run(_glance())
    assert seen == [False, True]


async def _glance() -> list[bool]:
    """What a glance says before and after the listener went away."""
    there = asyncio.Event()
    there.set()
    gone = False
    found: list[bool] = []

    async def receive() -> Any:
        await there.wait()
        there.clear()
        return (
            {"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False}
        )

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal gone
        request = Request(scope, receive)
        found.append(await request.is_disconnected())
        gone = True
        there.set()
        found.append(await request.is_disconnected())

    async def send(message: Any) -> None:
        pass

    await Door(application)({"type": "http", "path": "/stream", "headers": []}, receive, send)
    return found


# ---- seconds ----------------------------------------------------------------------------------------------------------


def test_a_half_sent_body_is_answered_and_let_go(hasty: str) -> None:
    with connected(hasty) as connection:
        connection.sendall(start("/api/json", "Content-Length: 100") + b'{"a": ')
        status, body = answer_on(connection)
        assert (status, body["error"]["code"]) == (408, "request_timeout")
        assert "1 s" in body["error"]["message"]
        assert connection.recv(1) == b""


@pytest.mark.parametrize("said", [b"", b"POST /api/js", b"POST /api/json HTTP/1.1\r\nHost: x\r\n"])
def test_a_half_sent_head_is_let_go(hasty: str, said: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(said)
        assert connection.recv(1) == b""


def test_a_head_that_drips_is_let_go_all_the_same(hasty: str) -> None:
    """Each byte in time, the whole never."""
    with connected(hasty) as connection:
        connection.settimeout(PATIENCE / 5)
        connection.sendall(b"POST /api/json HTTP/1.1\r\nX: ")
        while _is_open(connection):
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"x")


def _is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_a_body_that_was_answered_unread_is_let_go_when_it_drips(hasty: str) -> None:
    """uvicorn's own clock for the pause after an answer stops at the first byte of the rest."""
    with connected(hasty) as connection:
        connection.sendall(start("/nowhere", "Content-Length: 1000"))
        assert answer_on(connection)[0] == 404
        connection.sendall(b"x")
        assert connection.recv(1) == b""


def test_a_second_request_on_a_connection_may_take_its_time_to_begin(hasty: str) -> None:
    """A browser keeps connections; only a request that has begun is timed."""
    with connected(hasty) as connection:
        for _ in range(2):
            connection.sendall(start("/api/json", "Content-Length: 2") + b"{}")
            assert answer_on(connection) == (200, {})
            threading.Event().wait(2 * PATIENCE)


def test_a_hundred_half_open_connections_keep_nobody_waiting(hasty: str) -> None:
    silent = [connected(hasty) for _ in range(100)]
    try:
        for connection in silent[::2]:
            connection.sendall(start("/api/json", "Content-Length: 9") + b"{")
        assert httpx.post(f"{hasty}/api/json", content=b"[1]", timeout=30).json() == [1]
        for connection in silent:
            while connection.recv(4096):
                pass
    finally:
        for connection in silent:
            connection.close()


# ---- shape ------------------------------------------------------------------------------------------------------------

GOOD = [
    b"",
    b"{}",
    json.dumps({"prompt": 'a "quoted" [word] \\ {x} 😀', "n": [1, 2.5, None, True]}).encode(),
    json.dumps({"prompt": "a \\ud800 that is only written about"}).encode(),
    '{"prompt": "😀"}'.encode(),
    b'{"a": "\\ud83d\\ude00\\ud83d\\ude01"}',
    b"[" * JSON_DEPTH + b"]" * JSON_DEPTH,
    json.dumps({"code": "]]]]" * 5_000}).encode(),
]
BAD = [
    (b"[" * 100_000, "too many values"),
    (b"[" * 1_000 + b"]" * 1_000, "1,000 deep; at most 32"),
    (b'{"a":' * 100_000, "too many values"),
    (b"[" + b"0," * (JSON_VALUES + 1) + b"0]", f"at most {JSON_VALUES:,}"),
    (b'["' + b'","' * 300_000 + b'"]', "too many values"),
    (b'{"a": "\\ud800"}', "half of a character"),
    (b'{"a": "\\udc00\\ud800"}', "half of a character"),
    (b'{"a": "\\ud800\\ud800\\udc00"}', "half of a character"),
    (b'{"\\uD83D": 1}', "half of a character"),
    (b'{"a": "\\\\\\ud800"}', "half of a character"),
    (b'{"a": "\\ud83d\\\\\\ude00"}', "half of a character"),
    (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    (b"\xff\xfe{\0}\0", "not UTF-8"),
    ("{}".encode("utf-16"), "not UTF-8"),
    ('{"\\"": [[[]]]}'.encode("utf-16-le"), "zero byte"),  # its quote looks like no escaped one
    ('{"a": "\\ud800"}'.encode("utf-32-be"), "zero byte"),
    (b"]" * (JSON_VALUES + 1), "too many values"),
]


@pytest.mark.parametrize("body", GOOD)
def test_what_clients_send_passes(body: bytes) -> None:
    assert json_fault(body) == ""


@pytest.mark.parametrize(("body", "reason"), BAD, ids=range(len(BAD)))
def test_json_of_no_use_is_refused_by_its_bytes(place: str, body: bytes, reason: str) -> None:
    assert reason in json_fault(body)
    answer = httpx.post(f"{place}/gradio_api/queue/join", content=body, timeout=30)
    assert (answer.status_code, reason in answer.json()["error"]["message"]) == (400, True)


def test_a_long_text_of_quotes_and_backslashes_is_looked_at_quickly() -> None:
    for piece in (b"\\", b'\\"', b'"', b"\\ud83d\\ude00", b"\\ud800", b"[", b'"]'):
        json_fault(piece * (JSON_BYTES // len(piece)))


# ---- memory -----------------------------------------------------------------------------------------------------------

SERVER = """
import sys, uvicorn
from fastapi import FastAPI, Request
from studio.api.door import Door
app = FastAPI()
@app.post("/api/json")
async def take(http: Request):
    return len(await http.body())
app.add_middleware(Door)
config = uvicorn.Config(app, log_level="warning", port=0)
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(config).run()
"""


def test_a_large_body_costs_the_server_no_memory() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            place = f"http://127.0.0.1:{int(server.stdout.readline())}"
            assert httpx.post(f"{place}/api/json", content=b"1" * MB, timeout=30).json() == MB
            before = psutil.Process(server.pid).memory_info().rss
            sent = 0
            piece = b"100000\r\n" + b"1" * 0x100000 + b"\r\n"
            with connected(place) as connection:
                connection.sendall(start("/api/json", "Transfer-Encoding: chunked"))
                try:
                    for _ in range(64):
                        connection.sendall(piece)
                        sent += 1
                    status = answer_on(connection)[0]
                except ConnectionError:  # it stopped listening after two seconds
                    status = 413
            assert status == 413
            assert psutil.Process(server.pid).memory_info().rss - before < 32 * MB, sent
        finally:
            server.terminate()
