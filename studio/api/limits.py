"""How much may come in over HTTP, declared once: bytes and seconds of a body by its route, and the shape of its JSON.

`door.py` holds every request to it, Gradio's own routes among them. What a text inside may be: `pipelines/words/texts.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipelines.errors import readable_bytes
from pipelines.words.texts import REQUEST_CHARS

MB = 10**6
FORM_AROUND = 1 * MB  # what a multipart form adds to the file inside
UPLOAD_BYTES = 1000 * MB
DROP_BYTES = 200 * MB  # a file dropped for its settings
# the longest request still fits when every character is written as \uXXXX; beyond the Basic Plane a client sends UTF-8
JSON_BYTES = 4 * MB
assert JSON_BYTES > 6 * REQUEST_CHARS

# a part of a form up to a megabyte is kept in memory, and the framework would take a thousand files and as many fields
FORM: dict[str, int] = {"max_files": 1, "max_fields": 10, "max_part_size": 64 << 10}

JSON_DEPTH = 32
JSON_VALUES = 50_000

# threads for who waits for the file reader: apart from everybody's forty, or a heap of slow files would hold up all other routes
BROUGHT_AT_ONCE, SHOWN_AT_ONCE = 4, 8

IDLE_SECONDS = 20.0  # without one byte of a body that has begun
HEADER_SECONDS = 20.0  # until the last line of a request's head is there


@dataclass(frozen=True)
class Limit:
    """What one body may take. seconds: until all of it is there. is_json: read whole, and looked at before anything parses it."""

    what: str
    nbytes: int
    seconds: float
    is_json: bool = False

    @property
    def said(self) -> str:
        return f"{self.what} may have {readable_bytes(self.nbytes)}"


REQUEST = Limit("a request", JSON_BYTES, 60, is_json=True)
LOGIN = Limit("a login", 64 << 10, 20)
UPLOAD = Limit("an upload", UPLOAD_BYTES + FORM_AROUND, 3600)
DROP = Limit("a file dropped for its settings", DROP_BYTES + FORM_AROUND, 600)
BY_PATH = {
    "/login": LOGIN,
    "/api/uploads": UPLOAD,
    "/gradio_api/upload": UPLOAD,
    "/page/recipe": DROP,
}


def limit_of(path: str) -> Limit:
    """The limit of a route; whatever is not named takes small JSON requests only."""
    return BY_PATH.get(path.rstrip("/"), REQUEST)


def json_fault(body: bytes) -> str:
    """Why a body must not be parsed as JSON, with the bound it breaks; "" when it may.

    Looks at the bytes without recursion and before Python objects are made: a value costs fifty times the bytes it is written in.
    """
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"The body is not UTF-8 (byte {error.start:,}). Send JSON as UTF-8."
    if b"\0" in body:  # a parser would take it for UTF-16 or -32, and nothing below would be what it reads
        return "The body holds a zero byte. Send JSON as UTF-8."
    body = body.replace(rb"\\", b"__")
    if is_torn_json(body):
        return "The body holds half of a character (a lone surrogate such as \\ud800). Send whole characters."
    body = body.replace(rb"\"", b"__")
    if body.count(b'"') > 4 * JSON_VALUES:
        return _too_many()
    outside = b"".join(body.split(b'"')[::2])
    if any(sum(map(outside.count, marks)) > JSON_VALUES for marks in ((b",", b"[", b"{"), (b"]", b"}"))):
        return _too_many()
    depth = deepest = 0
    for mark in re.finditer(rb"[\[{]|[\]}]", outside):
        depth += 1 if mark[0] in (b"[", b"{") else -1
        deepest = max(deepest, depth)
    if deepest > JSON_DEPTH:
        return f"The JSON is nested {deepest:,} deep; at most {JSON_DEPTH} levels are taken."
    return ""


def is_torn_json(body: bytes) -> bool:
    r"""Whether an escape \uD800 to \uDFFF stands without its other half. Doubled backslashes must be gone already."""
    high, low = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    return re.search(high + b"|" + low, re.sub(high + low, b"-", body)) is not None


def _too_many() -> str:
    return f"The JSON holds too many values; at most {JSON_VALUES:,} are taken."
