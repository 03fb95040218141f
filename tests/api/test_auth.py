"""Who may drive the studio: this machine's own page without a login, everybody else with one."""

from __future__ import annotations

import base64
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from studio import auth
from studio.settings import Settings


def app_for(settings: Settings) -> FastAPI:
    app = FastAPI()

    @app.get("/who")
    @app.post("/who")
    def who(request: Request) -> str:
        return auth.owner_of(request)

    auth.install(app, settings)
    return app


@pytest.fixture
def visit(tmp_path: Path) -> Callable[..., TestClient]:
    """A visitor of a studio with these settings, who follows no redirect."""

    def open_one(base_url: str = "http://127.0.0.1:7860", **settings: Any) -> TestClient:
        app = app_for(Settings(data_dir=tmp_path, **settings))
        return TestClient(app, base_url=base_url, follow_redirects=False)

    return open_one


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_this_machine_needs_no_login(visit: Callable[..., TestClient]) -> None:
    assert visit().get("/who").json() == "local"
    assert visit("http://localhost:9000").post("/who").json() == "local"
    assert visit("http://[::1]:7860").get("/who").json() == "local"


def test_a_foreign_name_that_points_here_is_refused(visit: Callable[..., TestClient]) -> None:
    """DNS rebinding: a web page's own name resolves to 127.0.0.1, so that the browser takes us for its server."""
    response = visit("http://evil.example:7860").get("/who")
    assert response.status_code == 403
    assert "--listen" in response.json()["error"]["message"]
    assert visit("http://127.0.0.1.evil.example").get("/who").status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:7860"}, 200),
        ({"Origin": "http://127.0.0.1:7860", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:7860"}, 403),
    ],
)
def test_another_web_page_cannot_give_orders(
    visit: Callable[..., TestClient], headers: dict[str, str], status: int
) -> None:
    assert visit().post("/who", headers=headers).status_code == status


def test_reading_from_elsewhere_is_left_to_the_browser(visit: Callable[..., TestClient]) -> None:
    """A link on another page may open the studio."""
    assert visit().get("/who", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_listening_asks_for_a_login_everywhere(visit: Callable[..., TestClient], tmp_path: Path) -> None:
    client = visit("http://192.168.1.5:7860", listen=True)
    refused = client.get("/who")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    page = client.get("/who", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/who")
    (user, password), *_ = auth.logins(Settings(data_dir=tmp_path, listen=True)).items()
    assert client.get("/who", headers=basic(user, password)).json() == user
    assert client.get("/who", headers={"Authorization": f"Bearer {password}"}).json() == user


@pytest.mark.parametrize("settings", [{"share": True}, {"host": "0.0.0.0"}, {"auth": "ada:lovelace1815"}])
def test_whatever_reaches_further_has_a_login(
    visit: Callable[..., TestClient], settings: dict[str, Any]
) -> None:
    assert visit(**settings).get("/who").status_code == 401


def test_given_logins_are_the_only_ones(visit: Callable[..., TestClient]) -> None:
    client = visit(listen=True, auth="ada:one,bob:two")
    assert client.get("/who", headers=basic("bob", "two")).json() == "bob"
    assert client.get("/who", headers={"Authorization": "Bearer one"}).json() == "ada"
    wrong = [basic("bob", "one"), basic("eve", "two"), basic("", ""), {"Authorization": "Bearer "}]
    wrong += [
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer three"},
        {"Cookie": "atelier_session=a.b.c"},
    ]
    for headers in wrong:
        assert client.get("/who", headers=headers).status_code == 401


def test_signing_in_gives_a_session_and_signing_out_ends_it(visit: Callable[..., TestClient]) -> None:
    client = visit(listen=True, auth="ada:one")
    browser = {"Accept": "text/html,*/*"}
    assert "Log in" in client.get("/login", headers=browser).text
    wrong = client.post("/login", data={"username": "ada", "password": "two"}, headers=browser)
    assert wrong.status_code == 401
    assert "do not match" in wrong.text
    form = {"username": "ada", "password": "one"}
    right = client.post("/login?next=/who", data=form, headers=browser)
    assert (right.status_code, right.headers["location"]) == (303, "/who")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/who").json() == "ada"
    client.get("/logout")
    assert client.get("/who").status_code == 401


def test_a_login_never_leads_to_another_site(visit: Callable[..., TestClient]) -> None:
    client = visit(listen=True, auth="ada:one")
    for there in ("https://evil.example", "//evil.example", "/\\evil.example"):
        form = {"username": "ada", "password": "one"}
        answer = client.post("/login", params={"next": there}, data=form, headers={"Accept": "text/html"})
        assert answer.headers["location"] == "/"


def test_a_session_survives_a_restart_but_not_a_new_password(visit: Callable[..., TestClient]) -> None:
    first = visit(listen=True, auth="ada:one")
    first.post("/login", data={"username": "ada", "password": "one"})
    session = {"Cookie": f"{auth.COOKIE}={first.cookies[auth.COOKIE]}"}
    assert visit(listen=True, auth="ada:one").get("/who", headers=session).json() == "ada"
    assert visit(listen=True, auth="ada:two").get("/who", headers=session).status_code == 401


def test_a_session_ends_after_a_month(tmp_path: Path) -> None:
    now = [1000.0]
    guard = auth.Guard(FastAPI(), Settings(data_dir=tmp_path, auth="ada:one"), clock=lambda: now[0])
    cookie = guard._session("ada")
    assert guard._session_user(cookie) == "ada"
    assert guard._session_user(cookie[:-1] + ("0" if cookie[-1] != "0" else "1")) is None
    now[0] += auth.SESSION_SECONDS
    assert guard._session_user(cookie) is None


def test_the_generated_password_is_long_kept_and_printed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, share=True)
    password = auth.logins(settings)["atelier"]
    assert len(password) >= 16
    assert auth.logins(settings)["atelier"] == password
    assert password in auth.announcement(settings)[0]
    assert stat.S_IMODE((tmp_path / "login.json").stat().st_mode) == 0o600
    assert auth.announcement(Settings(data_dir=tmp_path)) == []
    chosen = auth.announcement(Settings(data_dir=tmp_path, share=True, auth="ada:short"))
    assert chosen[0] == "Log in as ada."
    assert "is short" in chosen[1]


def test_behind_a_path_the_login_is_there_too(visit: Callable[..., TestClient], tmp_path: Path) -> None:
    app = app_for(Settings(data_dir=tmp_path, listen=True, auth="ada:one"))
    client = TestClient(app, base_url="http://host", root_path="/studio", follow_redirects=False)
    asked = client.get("/studio/who", headers={"Accept": "text/html"})
    assert asked.headers["location"] == "/studio/login?next=/who"
    form = {"username": "ada", "password": "one"}
    answer = client.post("/studio/login?next=/who", data=form, headers={"Accept": "text/html"})
    assert answer.headers["location"] == "/studio/who"


@pytest.mark.parametrize(
    "name",
    ["a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "atelier", "ä", "Käthe Groß", "a b", "日本", "🎨", "=", "a=b;c", 'say "x"'],
)  # fmt: skip
def test_a_session_holds_whatever_the_name(visit: Callable[..., TestClient], name: str) -> None:
    """Names whose cookie needed quotes — two of three lengths — were let in and asked again at once."""
    client = visit(listen=True, auth=f"{name}:öffne dich")
    answer = client.post("/login", data={"username": name, "password": "öffne dich"})
    assert answer.json() == {"success": True}
    assert client.get("/who").json() == name
