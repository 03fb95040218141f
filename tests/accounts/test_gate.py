"""Gradio's own routes with two users and a real server: what the page needs works, and nobody sees into another's session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from studio.accounts.gate import Owned
from studio.app import MOST_SESSIONS, create_app
from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import served

PASSWORDS = {"ada": "lovelace1815", "bob": "another-one"}
OPEN = {
    "/", "/assets/{path:path}", "/config", "/config/", "/favicon.ico", "/gradio_api/app_id", "/gradio_api/app_id/",
    "/gradio_api/info", "/gradio_api/info/", "/gradio_api/reset", "/gradio_api/reset/", "/gradio_api/theme.css",
    "/manifest.json", "/robots.txt", "/static/{path:path}", "/svelte/{path:path}", "/theme.css",
}  # fmt: skip
BOUND = {
    "/gradio_api/cancel", "/gradio_api/heartbeat/{session_hash}", "/gradio_api/queue/data", "/gradio_api/queue/join",
}  # fmt: skip
"""Answered for the user they belong to; the other tests ask them."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A whole studio but for its worker: who may ask what does not depend on one."""
    auth = ",".join(f"{name}:{password}" for name, password in PASSWORDS.items())
    studio = Studio(
        Settings(data_dir=tmp_path_factory.mktemp("gate"), device="cpu", auth=auth), warm_up=False
    )
    yield create_app(studio)
    studio.close()


@pytest.fixture(scope="module")
def address(app: Any) -> Iterator[str]:
    with served(app) as address:
        yield address


@pytest.fixture(scope="module")
def ada(address: str) -> Iterator[httpx.Client]:
    yield from logged_in(address, "ada")


@pytest.fixture(scope="module")
def bob(address: str) -> Iterator[httpx.Client]:
    yield from logged_in(address, "bob")


def logged_in(address: str, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as client:
        form = {"username": name, "password": PASSWORDS[name]}
        assert client.post("/login", data=form).json() == {"success": True}
        yield client


def models_list(client: httpx.Client) -> int:
    """The number of the handler that draws the Models tab: it needs no input and no worker."""
    told = client.get("/config").json()
    drawn = next(part["id"] for part in told["components"] if part["props"].get("elem_id") == "models-list")
    return next(one["id"] for one in told["dependencies"] if one["inputs"] == [] and drawn in one["outputs"])


def models_change(client: httpx.Client) -> int:
    """The number of the handler behind the Models tab's buttons."""
    told = client.get("/config").json()
    drawn = next(part["id"] for part in told["components"] if part["props"].get("elem_id") == "models-list")
    wired = [one for one in told["dependencies"] if drawn in one["outputs"]]
    return next(one["id"] for one in wired if one["targets"][0][1] == "change")


def ask(client: httpx.Client, session: Any, **more: Any) -> httpx.Response:
    body = {"data": [], "fn_index": models_list(client), "session_hash": session, **more}
    return client.post("/gradio_api/queue/join", json=body)


def heard(client: httpx.Client, session: str) -> list[str]:
    """The kinds of messages a session's stream tells, until it closes."""
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        if stream.status_code != 200:
            return [str(stream.status_code)]
        return [json.loads(line[5:])["msg"] for line in stream.iter_lines() if line.startswith("data:")]


def test_a_session_is_its_first_users(ada: httpx.Client, bob: httpx.Client) -> None:
    assert ask(ada, "adas-tab").status_code == 200
    assert heard(bob, "adas-tab") == ["404"]
    assert ask(bob, "adas-tab").status_code == 404
    assert bob.get("/gradio_api/heartbeat/adas-tab").status_code == 404
    assert "process_completed" in heard(ada, "adas-tab")


@pytest.mark.parametrize("do", ["download", "stop", "unload", "pin", "unpin", "rescan"])
def test_only_the_administrator_changes_what_belongs_to_all(
    ada: httpx.Client, bob: httpx.Client, do: str
) -> None:
    told = {}
    for client, name in ((ada, "adas-models"), (bob, "bobs-models")):
        pressed = {"model": "starter/nothing", "do": do}
        ask(client, name, fn_index=models_change(client), event_data=pressed, trigger_id=None)
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": name}) as stream:
            told[name] = "".join(stream.iter_lines())
    assert "Only ada may" in told["bobs-models"]
    assert "Only ada may" not in told["adas-models"]


def test_whoever_makes_up_many_names_ends_nobodys_page() -> None:
    owned = Owned()
    assert owned.claim("adas-tab", "ada")
    assert all(owned.claim(f"made up {number}", "bob") for number in range(30_000))
    assert owned.is_of("adas-tab", "ada")
    assert not owned.claim("adas-tab", "bob")
    assert (owned.is_of("made up 0", "bob"), owned.is_of("made up 29999", "bob")) == (False, True)


def test_the_sessions_that_are_remembered_are_bounded(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is 0.4 MB, and anybody who is logged in begins as many as they like."""
    gate = next(route for route in reversed(app.routes) if isinstance(route, Mount)).app
    holder = gate.app.state_holder
    assert holder.capacity == MOST_SESSIONS
    before = list(holder.session_data)
    monkeypatch.setattr(holder, "capacity", len(before) + 5)
    for number in range(20):
        holder[f"made-up-{number}"]
    assert len(holder.session_data) <= len(before) + 5
    for number in range(20):
        holder.session_data.pop(f"made-up-{number}", None)
    assert len(holder.session_data) <= len(before)


def test_what_a_session_sends_is_not_kept(app: Any, ada: httpx.Client) -> None:
    """It would be kept for as long as the session is remembered: megabytes for each of 250."""
    told = ada.get("/config").json()
    most = max(told["dependencies"], key=lambda one: len(one["inputs"]))
    words = ["a text of ada " * 100] * len(most["inputs"])
    assert ask(ada, "adas-words", fn_index=most["id"], data=words).status_code == 200
    assert "process_completed" in heard(ada, "adas-words")
    gate = next(route for route in reversed(app.routes) if isinstance(route, Mount)).app
    assert "a text of ada" not in str(gate.app.state_holder.session_data["adas-words"].config_values)


def test_a_session_nobody_began_is_not_there(ada: httpx.Client) -> None:
    assert heard(ada, "made-up") == ["404"]
    assert [ask(ada, name).status_code for name in (None, "", 7, ["x"], "x" * 200)] == [404] * 5


def test_nobody_ends_anothers_work(ada: httpx.Client, bob: httpx.Client) -> None:
    event = ask(ada, "adas-work").json()["event_id"]
    ask(bob, "bobs-work")
    for session in ("adas-work", "bobs-work"):
        body = {"session_hash": session, "fn_index": 0, "event_id": event}
        assert bob.post("/gradio_api/cancel", json=body).status_code == 404
    body = {"session_hash": "adas-work", "fn_index": 0, "event_id": event}
    assert ada.post("/gradio_api/cancel", json=body).json() == {"success": True}


def test_only_the_routes_the_page_needs_are_open(app: Any) -> None:
    """A new Gradio with new routes shows here before anybody finds them."""
    gate = next(route for route in reversed(app.routes) if isinstance(route, Mount)).app
    routes = [route for route in flat(gate.app.routes) if isinstance(route, Route)]
    assert len(routes) > 60
    visitor = TestClient(gate, raise_server_exceptions=False)
    answered = {
        route.path
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
        if route.path not in BOUND
        and "There is nothing at" not in visitor.request(method, route.path_format.format_map(Filled())).text
    }
    assert answered == OPEN


def flat(routes: Any) -> Iterator[Any]:
    for route in routes:
        yield route
        included = getattr(route, "original_router", None)  # FastAPI keeps an included router whole
        yield from flat(included.routes if included else ())


class Filled(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "x"


@pytest.mark.parametrize("number", [None, -1, 10**6, 10**300, 1.5, True, "0", [0]])
def test_a_handler_that_is_not_there_is_no_fault_of_ours(ada: httpx.Client, number: Any) -> None:
    assert ask(ada, "adas-odd-tab", fn_index=number).status_code == 404


@pytest.mark.parametrize("place", ["secret.txt", "http://127.0.0.1:9/secret"])
def test_no_call_makes_the_server_fetch_a_file(ada: httpx.Client, tmp_path: Path, place: str) -> None:
    """Gradio copies every file that an input names: of this machine, or of the whole net."""
    (tmp_path / "secret.txt").write_text("of the machine")
    path = place if place.startswith("http") else str(tmp_path / place)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    number = next(
        one["id"] for one in ada.get("/config").json()["dependencies"] if one["api_name"] == "filter"
    )
    for data in (
        [None, None, file, "", None, None, None],
        [None, None, [{"a": [file]}], "", None, None, None],
    ):
        assert ask(ada, "adas-files", fn_index=number, data=data).status_code == 404


@pytest.mark.parametrize("folder", ["static", "assets", "svelte", "theme"])
def test_a_path_longer_than_any_file_is_not_there(ada: httpx.Client, folder: str) -> None:
    assert ada.get(f"/{folder}/{'a' * 5000}").status_code == 404


@pytest.mark.parametrize("path", ["/?deep_link=abc", "/config?deep_link=abc"])
def test_a_deep_link_leads_nowhere(ada: httpx.Client, path: str) -> None:
    assert ada.get(path).status_code == 404


def test_no_other_page_of_this_machine_is_trusted(ada: httpx.Client) -> None:
    origin = {"Origin": "http://localhost:3000"}
    for path in ("/config", "/gradio_api/info", "/"):
        assert not {
            name for name in ada.get(path, headers=origin).headers if name.startswith("access-control")
        }
    asked = ada.options("/config", headers={**origin, "Access-Control-Request-Method": "GET"})
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"session_hash": {}}', b"\xff\xfe", b"null"])
def test_an_odd_body_is_refused(ada: httpx.Client, body: bytes) -> None:
    for path in ("/gradio_api/queue/join", "/gradio_api/cancel"):
        assert 400 <= ada.post(path, content=body).status_code < 500


def test_gradios_client_logs_in_and_out(address: str, tmp_path: Path) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AuthenticationError

    client = Client(address, auth=("ada", PASSWORDS["ada"]), verbose=False, download_files=tmp_path)
    assert client.view_api(return_format="dict")["named_endpoints"] == {}  # programs use /v1 and /api
    assert client.config["username"] == "ada"
    client.close()
    with pytest.raises(AuthenticationError):
        Client(address, auth=("ada", "wrong"), verbose=False)
