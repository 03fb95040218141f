"""Several hundred made-up requests to every route of /v1, /api and the page's own: whatever is sent, no answer is a 500.

The whole application, Gradio included, over a studio that runs nothing: its owner has as many jobs waiting as one may have, so
that what is valid ends at the queue.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.messages import AudioRequest
from studio.library import Library, UnreadableFile
from studio.library.reader import Reader
from studio.settings import Settings
from studio.studio import Studio
from tests.library.conftest import png

REQUESTS_MADE = 500
PAGE = [("GET", "/page/status"), ("POST", "/page/recipe")]
UPLOADS = ("/api/uploads", "/page/recipe")
NUMBERS: list[Any] = [0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**400), 1e308, 0.1, 1e-320]
WORDS = [
    "", " ", "x", "\0", "a\nb", "é", "😀", "\u202e", "../../etc/passwd", "%s%n", "x" * 30_000, "'; DROP TABLE jobs; --", "null",
    "NaN", "1e999", "-1", "9" * 400, "0001-01-01", "9999-12-31", "true", "espeak", "starter/image", "audio", "image", "text",
    "code", "video", "64x64", "https://127.0.0.1/x", "<script>", "asset", "user", "system", "write", "complete", "wav",
]  # fmt: skip
FIELDS = [
    "prompt", "model", "messages", "role", "content", "input", "voice", "modality", "seed", "n", "size", "stop", "stream",
    "max_tokens", "temperature", "history", "system", "code", "suffix", "task", "language", "width", "height", "init_image",
    "mask_image", "seconds", "fps", "format", "tags", "logit_bias", "stream_options", "tools", "response_format", "quality",
    "num_images", "text", "name", "type",
]  # fmt: skip
ODD_BODIES = [
    b"", b"null", b"[]", b"{", b"\xff\xfe\0", b"\xed\xa0\x80", b'"\\ud800"', b'{"prompt": "\\udc00"}', b"NaN", b"[" * 5_000,
    b'{"a":' * 5_000, b"1" * 5_000, b'{"seed": 1e999}', b"--x\r\n", b"\0" * 100, b'{"prompt": NaN}', b'{"\\ud800": 1}',
]  # fmt: skip
FILES = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"text",
    b"\xff\xfe",
    b"\0" * 1000,
    b'{"nodes": []}',
    b"RIFF\0\0\0\0WAVE",
    b"<svg/>",
    b"ftyp" * 50,
]
NAMES = [
    "a.png",
    "",
    "..",
    "/etc/passwd",
    "é😀.txt",
    "a" * 300 + ".png",
    "x.mp4",
    "CON",
    'a"b.wav',
    ".hidden",
]


GOOD: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}]},
    "/v1/completions": {"prompt": "x"},
    "/v1/images/generations": {"prompt": "x"},
    "/v1/audio/speech": {"input": "x", "model": "espeak", "voice": ""},
    "/api/jobs": {"modality": "audio", "model": "espeak", "prompt": "x"},
    "/api/plan": {"modality": "audio", "model": "espeak", "prompt": "x"},
}


class Ask(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    sent: dict[str, Any]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[TestClient, list[tuple[str, str]], list[str]]]:
    from studio.app import create_app

    # port 80, as the client's Host names none
    studio = Studio(
        Settings(data_dir=tmp_path_factory.mktemp("hostile"), max_waiting=1, device="cpu"), warm_up=False
    )
    over = studio.submit(AudioRequest(prompt="Over.", model="espeak"))
    studio.cancel(over.id)
    studio.submit(AudioRequest(prompt="Waits for ever.", model="espeak"))
    asset = studio.library.add_upload(png(size=(32, 32)), "start.png")
    app = create_app(studio)
    routes = [
        (method.upper(), path) for path, operations in app.openapi()["paths"].items() for method in operations
    ]
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client, routes + PAGE, [over.id, asset.id]
    studio.close()


def values() -> st.SearchStrategy[Any]:
    plain = st.one_of(
        st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.text(max_size=20)
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)
        ),
        max_leaves=12,
    )


@st.composite
def asks(draw: st.DrawFn, routes: list[tuple[str, str]], ids: list[str]) -> Ask:
    method, path = draw(st.sampled_from(routes))
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        there = draw(st.sampled_from([*ids, "x", "%00", "%ff", "%F0%9F%98%80", "..", "a" * 500, "%ED%A0%80"]))
        path = path[:start] + there + path[end + 1 :]
    query = st.sampled_from(
        [
            "text",
            "kind",
            "model",
            "since",
            "until",
            "starred",
            "tag",
            "trashed",
            "limit",
            "offset",
            "active",
            "job_id",
            "modality",
            "prompt",
            "seed",
            "width",
            "download",
        ]
    )
    given_query = draw(
        st.dictionaries(query, st.sampled_from(WORDS[:-1]).filter(lambda word: len(word) < 1000), max_size=4)
    )
    headers = draw(
        st.dictionaries(
            st.sampled_from(["content-type", "accept", "range", "x-note", "cookie", "authorization"]),
            st.sampled_from(
                [
                    "application/json",
                    "text/plain",
                    "bytes=0-",
                    "bytes=9-1",
                    "multipart/form-data",
                    "*/*",
                    "Basic !!!",
                    "a=b;c",
                    "x" * 500,
                ]
            ),
            max_size=2,
        )
    )
    sent: dict[str, Any] = {}
    if method in ("POST", "PUT", "PATCH"):
        kind = draw(
            st.sampled_from(["json", "odd", "file"] if path in UPLOADS else ["json", "json", "json", "odd"])
        )
        if kind == "file":
            headers.pop("content-type", None)
            sent = {
                "files": {
                    draw(st.sampled_from(["file", "other"])): (
                        draw(st.sampled_from(NAMES)),
                        draw(st.sampled_from(FILES)),
                    )
                }
            }
        elif kind == "odd":
            sent = {"content": draw(st.sampled_from(ODD_BODIES))}
        else:
            good = GOOD.get(path, {}) if draw(st.integers(0, 3)) else {}
            body = good | draw(st.dictionaries(st.sampled_from(FIELDS), values(), max_size=2 if good else 6))
            sent = {"content": json.dumps(body).encode("utf-8", "surrogatepass")}
            headers["content-type"] = "application/json"
    return Ask(method, path, given_query, headers, sent)


def test_no_request_is_answered_with_a_500(
    world: tuple[TestClient, list[tuple[str, str]], list[str]],
) -> None:
    client, routes, ids = world
    assert len(routes) > 25
    answered: dict[int, int] = {}

    @settings(
        max_examples=REQUESTS_MADE,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(asks(routes, ids))
    def sent(ask: Ask) -> None:
        answer = client.request(ask.method, ask.path, params=ask.query, headers=ask.headers, **ask.sent)
        answered[answer.status_code] = answered.get(answer.status_code, 0) + 1
        assert answer.status_code < 500 or answer.status_code in (503, 507), (ask, answer.text[:500])
        if answer.status_code >= 400 and answer.content and ask.method != "HEAD":
            assert set(answer.json()["error"]) >= {"message"}, answer.text[:300]

    sent()
    assert sum(answered.values()) >= REQUESTS_MADE
    assert {200, 400, 404, 429} <= set(answered), answered


SEEN = [
    ("POST", "/page/recipe", {"files": {"file": ("a.png", b"\x89PNG\r\n\x1a\n")}}),
    ("POST", "/page/recipe", {"content": b"{}"}),
    ("POST", "/page/recipe", {"files": {"file": ("a.json", b"[" * 100_000)}}),
    ("POST", "/page/recipe", {"files": {"file": ("a.json", b'{"prompt": "\\ud800", "seed": 1}')}}),
    ("POST", "/page/recipe", {"files": {"file": ("a.txt", b"\xff\xfe\xed\xa0\x80")}}),
    ("POST", "/api/jobs", {"content": b"[" * 100_000}),
    ("POST", "/api/jobs", {"content": b'{"modality": "text", "prompt": "x", "seed": ' + b"9" * 400 + b"}"}),
    ("POST", "/api/jobs", {"content": b'{"modality": "text", "prompt": "x", "seed": ' + b"9" * 5000 + b"}"}),
    ("POST", "/api/jobs", {
        "content": b'{"modality": "text", "prompt": "x", "history": [{"role": "user", "content": "\\ud800"}]}',
    }),
    ("POST", "/api/jobs", {"content": b'{"modality": ["text"], "prompt": "x"}'}),
    ("POST", "/api/jobs", {"content": b'{"modality": {}, "prompt": "x"}'}),
    ("GET", "/api/assets?offset=99999999999999999999", {}),
    ("GET", "/api/assets?limit=99999999999999999999", {}),
    ("GET", "/api/assets?since=0001-01-01", {}),
    ("GET", "/api/assets?since=nan&until=1e999", {}),
    ("GET", "/api/assets?text=%00%FF", {}),
    ("GET", "/api/jobs?limit=1e5", {}),
    ("GET", "/api/plan?modality=text&seed=" + "9" * 400, {}),
    ("PUT", "/api/assets/x/tags", {"content": b'{"tags": ["\\ud800"]}'}),
    ("POST", "/v1/completions", {"content": b'{"prompt": ["a", "b"], "logit_bias": {"a": 1e999}}'}),
    ("POST", "/v1/audio/speech", {"content": '{"input": "x", "voice": {"id": "é"}}'.encode()}),
    ("POST", "/api/jobs", {"content": ('{"a": "\\"", "b": ' + "[" * 100_000).encode("utf-16-le")}),
    ("POST", "/gradio_api/queue/join", {"content": b"[" * 100_000}),
    ("POST", "/gradio_api/run/x", {"content": b'{"data": ["\\ud800"]}'}),
    ("POST", "/gradio_api/upload", {"content": b"odd"}),
    ("POST", "/login", {"content": b"\xff" * 100}),
]  # fmt: skip


@pytest.mark.parametrize("path", UPLOADS)
@pytest.mark.parametrize(
    "parts",
    [
        [("file", ("a.txt", b"x")), ("more", ("b.txt", b"x"))],
        [("file", ("a.txt", b"x")), *[(f"field{n}", (None, b"x")) for n in range(20)]],
        [("file", ("a.txt", b"x")), ("field", (None, b"x" * 100_000))],
    ],
    ids=["files", "fields", "bytes"],
)
def test_a_form_is_one_file_and_little_else(
    world: tuple[TestClient, Any, Any], path: str, parts: list[Any]
) -> None:
    """Each part up to a megabyte is kept in memory: a thousand files and a thousand fields were two gigabytes."""
    answer = world[0].post(path, files=parts)
    assert (answer.status_code, "aximum" in answer.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize(("method", "path", "sent"), SEEN, ids=range(len(SEEN)))
def test_what_once_was_a_500_is_none(
    world: tuple[TestClient, Any, Any], method: str, path: str, sent: dict[str, Any]
) -> None:
    answer = world[0].request(method, path, **sent)
    assert answer.status_code < 500, answer.text[:500]


def test_a_heap_of_slow_files_holds_up_nothing_else(
    world: tuple[TestClient, Any, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waited for the file reader on one of the forty threads that every other route needs too."""
    client, _, (_, asset_id) = world
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        begun.release()
        go_on.wait(60)
        raise UnreadableFile("Too slow.")

    for what in ("examine", "recipe", "view", "thumbnail"):
        monkeypatch.setattr(Reader, what, slow)
    monkeypatch.setattr(Library, "shown", slow)
    asked = [
        *[("POST", path, {"files": {"file": ("a.txt", b"%d" % n)}}) for path in UPLOADS for n in range(45)],
        *[("GET", f"/api/assets/{asset_id}/view", {}) for _ in range(45)],
    ]
    with ThreadPoolExecutor(len(asked) + 1) as people:
        for method, path, sent in asked:
            people.submit(client.request, method, path, **sent)
        assert all(begun.acquire(timeout=30) for _ in range(3))
        account = people.submit(client.get, "/api/account")
        waiting = wait([account], timeout=30).not_done
        go_on.set()
        assert not waiting
        assert account.result().status_code == 200


def test_the_description_is_of_this_api_and_not_of_the_page(world: tuple[TestClient, Any, Any]) -> None:
    found = world[0].get("/openapi.json").json()
    assert "/v1/chat/completions" in found["paths"]
    assert not [path for path in found["paths"] if "gradio" in path]


def test_a_recipe_with_half_a_character_is_read_and_answered(
    world: tuple[TestClient, Any, Any], tmp_path: Path
) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("atelier", json.dumps({"modality": "image", "prompt": "a\ud800b", "seed": 3}))
    info.add_text("parameters", "a cat\nSteps: 20, Seed: " + "9" * 400)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    answer = world[0].post("/page/recipe", files={"file": ("a.png", (tmp_path / "a.png").read_bytes())})
    assert answer.status_code < 500, answer.text
    uploaded = world[0].post("/api/uploads", files={"file": ("a.png", (tmp_path / "a.png").read_bytes())})
    assert uploaded.status_code < 500, uploaded.text
    assert world[0].get("/api/assets").status_code == 200
