"""Who may drive the studio: this machine's own page without a login, everybody else with one."""

from __future__ import annotations

import asyncio
import base64
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from studio import accounts
from studio.accounts.accounts import MOST_WAITING, Accounts
from studio.accounts.headers import SecurityHeaders
from studio.accounts.pages import COOKIE
from studio.accounts.users import Users
from studio.database import open_database
from studio.settings import Settings

BROWSER = {"Accept": "text/html,*/*"}
ADA = {"username": "ada", "password": "one"}


def app_for(settings: Settings) -> FastAPI:
    app = FastAPI()

    @app.get("/who")
    @app.post("/who")
    def who(request: Request) -> str:
        return accounts.owner_of(request)

    accounts.install(app, settings)
    app.add_middleware(SecurityHeaders)
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
    (user, password), *_ = accounts.logins(Settings(data_dir=tmp_path, listen=True)).items()
    assert client.get("/who", headers=basic(user, password)).json() == user
    assert client.get("/who", headers={"Authorization": f"Bearer {password}"}).status_code == 401


@pytest.mark.parametrize("settings", [{"share": True}, {"host": "0.0.0.0"}, {"auth": "ada:lovelace1815"}])
def test_whatever_reaches_further_has_a_login(
    visit: Callable[..., TestClient], settings: dict[str, Any]
) -> None:
    assert visit(**settings).get("/who").status_code == 401


def test_given_logins_are_the_only_ones(visit: Callable[..., TestClient]) -> None:
    client = visit(listen=True, auth="ada:one,bob:two")
    assert client.get("/who", headers=basic("bob", "two")).json() == "bob"
    wrong = [basic("bob", "one"), basic("eve", "two"), basic("", ""), {"Authorization": "Bearer "}]
    wrong += [
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer one"},  # a password is no key
        {"Authorization": "Bearer sk-three"},
        {"Cookie": f"{COOKIE}=a.b"},
    ]
    for headers in wrong:
        assert client.get("/who", headers=headers).status_code == 401


def test_signing_in_gives_a_session_and_signing_out_ends_it(visit: Callable[..., TestClient]) -> None:
    """On the server: the cookie somebody kept opens nothing afterwards."""
    client = visit(listen=True, auth="ada:one")
    assert "Log in" in client.get("/login", headers=BROWSER).text
    wrong = client.post("/login", data={"username": "ada", "password": "two"}, headers=BROWSER)
    assert wrong.status_code == 401
    assert "do not match" in wrong.text
    right = client.post("/login?next=/who", data=ADA, headers=BROWSER)
    assert (right.status_code, right.headers["location"]) == (303, "/who")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert client.get("/who").json() == "ada"
    kept = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    assert "Log out?" in client.get("/logout", headers=BROWSER).text  # a link alone ends nothing
    assert client.get("/who").json() == "ada"
    assert client.post("/logout", headers=BROWSER).headers["location"] == "/login"
    assert client.get("/who").status_code == 401
    assert client.get("/who", headers=kept).status_code == 401


def test_a_cookie_is_only_for_https_where_there_is_some(visit: Callable[..., TestClient]) -> None:
    client = visit("https://studio.example", listen=True, auth="ada:one")
    assert "secure" in client.post("/login", data=ADA).headers["set-cookie"].lower()


def test_every_login_has_a_new_session_and_ends_the_one_before(visit: Callable[..., TestClient]) -> None:
    client = visit(listen=True, auth="ada:one")
    client.post("/login", data=ADA)
    first = client.cookies[COOKIE]
    client.post("/login", data=ADA)
    assert client.cookies[COOKIE] != first
    client.cookies.clear()
    assert client.get("/who", headers={"Cookie": f"{COOKIE}={first}"}).status_code == 401


def test_logging_out_everywhere_ends_the_others_too(visit: Callable[..., TestClient]) -> None:
    here, there, bob = (visit(listen=True, auth="ada:one,bob:two") for _ in range(3))
    here.post("/login", data=ADA)
    there.post("/login", data=ADA)
    bob.post("/login", data={"username": "bob", "password": "two"})
    answer = here.post("/account", data={"do": "everywhere"}, headers=BROWSER)
    assert answer.headers["location"] == "/login"
    assert answer.headers["clear-site-data"] == '"storage"'
    assert [visitor.get("/who").status_code for visitor in (here, there, bob)] == [401, 401, 200]


def test_a_page_on_another_port_of_this_host_cannot_give_orders(visit: Callable[..., TestClient]) -> None:
    """Cookies know no ports: SameSite lets its requests bring the session."""
    client = visit("http://192.168.1.5:7860", auth="ada:one")
    client.post("/login", data=ADA)
    assert client.post("/who", headers={"Origin": "http://192.168.1.5:3000"}).status_code == 403
    assert client.post("/who", headers={"Origin": "http://192.168.1.5:7860"}).json() == "ada"


def test_a_login_never_leads_to_another_site(visit: Callable[..., TestClient]) -> None:
    client = visit(listen=True, auth="ada:one")
    for there in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n//evil.example",
    ):
        form = {"username": "ada", "password": "one"}
        answer = client.post("/login", params={"next": there}, data=form, headers={"Accept": "text/html"})
        assert answer.headers["location"] == "/"


def test_a_session_survives_a_restart_but_not_a_new_password(visit: Callable[..., TestClient]) -> None:
    first = visit(listen=True, auth="ada:one")
    first.post("/login", data={"username": "ada", "password": "one"})
    session = {"Cookie": f"{COOKIE}={first.cookies[COOKIE]}"}
    assert visit(listen=True, auth="ada:one").get("/who", headers=session).json() == "ada"
    assert visit(listen=True, auth="ada:two").get("/who", headers=session).status_code == 401


def test_the_generated_password_is_long_kept_and_printed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, share=True)
    password = accounts.logins(settings)["atelier"]
    assert len(password) >= 16
    assert accounts.logins(settings)["atelier"] == password
    assert password in accounts.announcement(settings)[0]
    assert stat.S_IMODE((tmp_path / "login.json").stat().st_mode) == 0o600
    assert accounts.announcement(Settings(data_dir=tmp_path)) == []
    chosen = accounts.announcement(Settings(data_dir=tmp_path, share=True, auth="ada:short"))
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
    ["a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "atelier", "ä", "Käthe Groß", "a b", "日本", "🎨", "=", "a=b;c",
     'say "x"'],
)  # fmt: skip
def test_a_session_holds_whatever_the_name(visit: Callable[..., TestClient], name: str) -> None:
    """Names whose cookie needed quotes — two of three lengths — were let in and asked again at once."""
    client = visit(listen=True, auth=f"{name}:öffne dich")
    answer = client.post("/login", data={"username": name, "password": "öffne dich"})
    assert answer.json() == {"success": True}
    assert client.get("/who").json() == name


def test_umlauts_never_break_the_door(visit: Callable[..., TestClient]) -> None:
    """HTTP headers are bytes: UTF-8 from most programs, Latin-1 from some."""
    client = visit(listen=True, auth="Zoë:größer")
    assert client.get("/who", headers=basic("Zoë", "größer")).json() == "Zoë"
    assert client.get("/who", headers=basic("Zoe\u0308", "gro\u0308ßer")).json() == "Zoë"  # typed on a Mac
    latin = {"Authorization": "Basic " + base64.b64encode("Zoë:größer".encode("latin-1")).decode()}
    assert client.get("/who", headers=latin).json() == "Zoë"
    for words in ("Bearer größer", "Bearer sk-ключ", "Basic ключ", "Größe x", "Bearer \udcff"):
        raw = {"Authorization": words.encode("utf-8", "surrogateescape")}
        assert client.get("/who", headers=raw).status_code == 401


def test_a_password_shown_as_a_key_is_told_so(visit: Callable[..., TestClient]) -> None:
    client = visit(listen=True, auth="ada:one")
    told = client.get("/who", headers={"Authorization": "Bearer one"}).json()["error"]["message"]
    assert "a password is none" in told
    told = client.get("/who", headers={"Authorization": "Bearer sk-one"}).json()["error"]["message"]
    assert "revoked" in told


def test_wrong_passwords_meet_a_brake_and_nobody_else_does(tmp_path: Path) -> None:
    app = app_for(Settings(data_dir=tmp_path, listen=True, auth="ada:one,bob:two"))
    ada, stranger, bob = (
        TestClient(app, base_url="http://host", client=(address, 5000))
        for address in ("1.1.1.1", "2.2.2.2", "3.3.3.3")
    )
    ada.post("/login", data=ADA)
    codes = [
        stranger.post("/login", data={"username": "ada", "password": str(n)}).status_code for n in range(12)
    ]
    assert codes == [401] * 10 + [429] * 2
    refused = stranger.get("/who", headers=basic("ada", "one"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_tries")
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert "Try again in" in refused.json()["error"]["message"]
    page = stranger.post("/login", data=ADA, headers=BROWSER)
    assert (page.status_code, "Try again in" in page.text) == (429, True)
    assert ada.get("/who").json() == "ada"  # whoever is in stays in
    ada.post("/logout")
    assert ada.post("/login", data=ADA).json() == {
        "success": True
    }  # and comes back with the browser that was theirs
    codes = [ada.post("/login", data={"username": "ada", "password": str(n)}).status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2  # which has a brake of its own
    assert stranger.post("/login", data=ADA).status_code == 429
    assert bob.get("/who", headers=basic("bob", "two")).json() == "bob"


@pytest.mark.parametrize("path", ["/who", "/login", "/account", "/nothing"])
def test_every_answer_has_the_headers(visit: Callable[..., TestClient], path: str) -> None:
    client = visit(listen=True, auth="ada:one")
    for headers in ({}, BROWSER, basic("ada", "one"), basic("ada", "one") | BROWSER):
        told = client.get(path, headers=headers).headers
        assert told["x-content-type-options"] == "nosniff"
        assert told["x-frame-options"] == "DENY"
        assert told["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in told["content-security-policy"]
        assert "script-src 'unsafe-inline'" not in told["content-security-policy"]


def test_a_right_password_again_needs_no_second_hash(
    visit: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP Basic shows it with every request; a wrong one is still looked at slowly."""
    client, looked = visit(listen=True, auth="ada:one"), []
    slow = Users.knows
    monkeypatch.setattr(Users, "knows", lambda self, *words: looked.append(words) or slow(self, *words))
    assert [client.get("/who", headers=basic("ada", "one")).status_code for _ in range(5)] == [200] * 5
    assert client.get("/who", headers=basic("ada", "two")).status_code == 401
    assert client.get("/who", headers=basic("bob", "one")).status_code == 401
    assert looked == [("ada", "one"), ("ada", "two"), ("bob", "one")]


def test_the_loop_goes_on_while_passwords_are_looked_at(tmp_path: Path) -> None:
    """Beyond so many at once the answer is to come back, not to wait in a line without end."""
    engine = open_database(tmp_path / "studio.db")
    house = Accounts(Settings(data_dir=tmp_path, auth="ada:one"), engine)
    held = threading.Event()
    house.users.knows = lambda name, password: held.wait(60)  # type: ignore[method-assign]

    async def many() -> list[Any]:
        tries = [
            asyncio.ensure_future(house.by_password(f"name {n}", "x", "127.0.0.1"))
            for n in range(MOST_WAITING + 3)
        ]
        done, waiting = await asyncio.wait(tries, timeout=0.2)
        assert len(waiting) == MOST_WAITING
        held.set()
        return [try_.exception() for try_ in done]

    refused = asyncio.run(many())
    assert [str(error) for error in refused] == [
        "So many are logging in at once. Try again in 2 seconds."
    ] * 3
    engine.dispose()


@pytest.mark.parametrize("path", ["/login", "/logout", "/account"])
def test_other_methods_open_no_page(visit: Callable[..., TestClient], path: str) -> None:
    client = visit(listen=True, auth="ada:one")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
