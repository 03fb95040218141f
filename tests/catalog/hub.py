"""A hub on this machine: the few routes huggingface_hub asks, over real HTTP with ranges, so the real client is tested."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """repos: name → {file name: bytes}. requests: (method, path, range header) of all that was asked."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.requests: list[tuple[str, str, str]] = []
        self.break_after: int | None = None  # cut the connection after so many bytes of a large file, once
        self.damage = False  # serve wrong bytes

    def answer(self, handler: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = unquote(handler.path.split("?")[0])
        self.requests.append((handler.command, path, handler.headers.get("Range", "")))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self.listing(handler, "/".join(parts[2:4]), parts[4:])
        repo, name = "/".join(parts[:2]), "/".join(parts[4:])
        data = self.repos.get(repo, {}).get(name)
        if repo in self.gated:
            return self.send(
                handler, 403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}
            )
        if data is None:
            code = "EntryNotFound" if repo in self.repos else "RepoNotFound"
            return self.send(handler, 404, b"{}", {"X-Error-Code": code})
        digest = hashlib.sha256(data).hexdigest()
        headers = {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{digest}"',
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        start = 0
        if wanted := handler.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if self.damage:
            data = bytes(reversed(data))
        payload = data[start:]
        if body and self.break_after is not None and len(payload) > self.break_after:
            cut, self.break_after = self.break_after, None
            handler.send_response(206 if start else 200)
            for key, value in {**headers, "Content-Length": str(len(payload))}.items():
                handler.send_header(key, value)
            handler.end_headers()
            handler.wfile.write(payload[:cut])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.close()
            return None
        return self.send(
            handler, 206 if start else 200, payload if body else b"", headers, length=len(payload)
        )

    def listing(self, handler: BaseHTTPRequestHandler, repo: str, rest: list[str]) -> None:
        if repo in self.gated:
            return self.send(
                handler, 403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}
            )
        if repo not in self.repos:
            return self.send(handler, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
        files = self.repos[repo]
        if rest[:1] == ["tree"]:
            rows = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                    "lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134},
                }
                for name, data in files.items()
            ]
            return self.send(handler, 200, json.dumps(rows).encode(), {"Content-Type": "application/json"})
        info = {
            "_id": "1",
            "id": repo,
            "modelId": repo,
            "sha": COMMIT,
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [
                {
                    "rfilename": name,
                    "size": len(data),
                    "blobId": hashlib.sha1(data).hexdigest(),
                    "lfs": {
                        "sha256": hashlib.sha256(data).hexdigest(),
                        "size": len(data),
                        "pointerSize": 134,
                    },
                }
                for name, data in files.items()
            ],
        }
        return self.send(handler, 200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        *,
        length: int | None = None,
    ) -> None:
        handler.send_response(status)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        if body:
            handler.wfile.write(body)


@contextmanager
def running() -> Iterator[tuple[Hub, str]]:
    """A hub on a free port of this machine, and its address."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.answer(self, body=True)

        def do_HEAD(self) -> None:
            hub.answer(self, body=False)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
