"""Ask the studio that runs on a data folder, from another process: found by the note beside the folder's lock.

None whenever it cannot be asked — none runs, it wants a login, it is behind a certificate of its own — and the caller does
without: what the file `models.json` says is seen by a running studio anyway.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from pipelines.errors import ModelUnavailable
from studio.folder.lock import FolderLock

SECONDS = 60.0
"""A large folder takes a while to be looked at."""


def address_of(data_dir: Path) -> str | None:
    """Where the studio of that data folder answers, or None when none runs."""
    note = FolderLock(data_dir / ".lock").holder()
    pid, address = note.get("pid"), note.get("address")
    if not isinstance(pid, int) or not isinstance(address, str) or not psutil.pid_exists(pid):
        return None
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
    host = everywhere.get(parts.hostname)
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}")) if host else address


def ask(data_dir: Path, method: str, path: str, body: Mapping[str, str]) -> dict[str, object] | None:
    """The JSON a running studio answers; None when it cannot be asked. Raises ModelUnavailable with what it refused."""
    address = address_of(data_dir)
    if address is None:
        return None
    request = urllib.request.Request(
        f"{address.rstrip('/')}/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        if error.code in (400, 409):
            raise ModelUnavailable(_reason(error)) from None
        return None
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The running studio refused it ({error.code})."
