"""Programs with a key against a real server: the official OpenAI client, the command line beside it, and our own routes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest

from studio.settings import ROOT, Settings
from studio.studio import Studio
from tests.api.conftest import application, served

AUTH = "ada:lovelace1815,bob:lovelace1815"
ADA, BOB = ("ada", "lovelace1815"), ("bob", "lovelace1815")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def address(data_dir: Path) -> Iterator[str]:
    studio = Studio(Settings(data_dir=data_dir, device="cpu", auth=AUTH), warm_up=False)
    with served(application(studio)) as address:
        yield address
    studio.close()


@pytest.fixture
def asked(address: str) -> Callable[..., httpx.Response]:
    """An answer of that server."""

    def ask(method: str, path: str, **options: object) -> httpx.Response:
        return httpx.request(method, address + path, timeout=60, **options)  # type: ignore[arg-type]

    return ask


def keys(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "launch.py", "--skip-install", "keys", *words, "--data-dir", str(data_dir)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_openais_client_works_with_a_key_until_it_is_revoked(
    address: str, asked: Callable[..., httpx.Response]
) -> None:
    made = asked("POST", "/api/keys", json={"name": "my program"}, auth=ADA)
    assert made.status_code == 201
    client = openai.OpenAI(base_url=address + "/v1", api_key=made.json()["key"], max_retries=0)
    assert "starter/illustrator" in [model.id for model in client.models.list()]
    listed = asked("GET", "/api/keys", auth=ADA).json()["keys"]
    assert [(key["name"], key["ending"]) for key in listed] == [("my program", made.json()["key"][-4:])]
    assert listed[0]["used_at"] is not None
    assert "key" not in listed[0]
    assert asked("DELETE", "/api/keys/my program", auth=ADA).status_code == 204
    with pytest.raises(openai.AuthenticationError, match="revoked"):
        client.models.list()


def test_openais_client_is_told_that_a_password_is_no_key(address: str) -> None:
    client = openai.OpenAI(base_url=address + "/v1", api_key=ADA[1], max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="a password is none"):
        client.models.list()


def test_users_with_one_password_are_two(asked: Callable[..., httpx.Response]) -> None:
    assert asked("GET", "/api/account", auth=ADA).json()["name"] == "ada"
    assert asked("GET", "/api/account", auth=BOB).json()["name"] == "bob"
    bearer = {
        "Authorization": "Bearer " + asked("POST", "/api/keys", json={"name": "bobs"}, auth=BOB).json()["key"]
    }
    assert asked("GET", "/api/account", headers=bearer).json() == {
        "name": "bob",
        "login": True,
        "by": "key",
        "may": [],
    }
    assert asked("DELETE", "/api/keys/bobs", auth=ADA).status_code == 400


def test_a_key_makes_no_keys(asked: Callable[..., httpx.Response]) -> None:
    key = asked("POST", "/api/keys", json={"name": "lost"}, auth=ADA).json()["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    assert asked("POST", "/api/keys", json={"name": "more"}, headers=bearer).status_code == 403
    assert asked("DELETE", "/api/keys/lost", headers=bearer).status_code == 403
    assert asked("POST", "/account", data={"do": "add", "name": "more"}, headers=bearer).status_code == 303
    assert "more" not in [entry["name"] for entry in asked("GET", "/api/keys", auth=ADA).json()["keys"]]


def test_the_command_line_makes_and_revokes_keys_beside_the_server(
    data_dir: Path, asked: Callable[..., httpx.Response]
) -> None:
    made = keys(data_dir, "add", "büro", "--user", "bob")
    assert made.returncode == 0, made.stderr
    bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert asked("GET", "/api/account", headers=bearer).json()["name"] == "bob"
    again = keys(data_dir, "add", "büro", "--user", "bob")
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert "büro" in keys(data_dir, "list", "--user", "bob").stdout
    assert keys(data_dir, "revoke", "büro", "--user", "bob").returncode == 0


def test_a_studio_without_a_login_takes_any_key_and_makes_none(tmp_path: Path) -> None:
    studio = Studio(Settings(data_dir=tmp_path, device="cpu"), warm_up=False)
    with served(application(studio)) as address:
        client = openai.OpenAI(base_url=address + "/v1", api_key="anything", max_retries=0)
        assert client.models.list().data
        refused = httpx.post(address + "/api/keys", json={"name": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    studio.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.html", b"<!doctype html><script>document.cookie = 'x'</script>"),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("notes.txt", b"<script>alert(1)</script>"),
    ],
)
def test_what_somebody_brought_never_acts_in_our_name(
    asked: Callable[..., httpx.Response], name: str, content: bytes
) -> None:
    brought = asked("POST", "/api/uploads", files={"file": (name, content)}, auth=ADA)
    if brought.status_code == 400:
        return  # refused at the door is as good
    file = asked("GET", brought.json()["url"], auth=ADA)
    kind, policy = file.headers["content-type"], file.headers["content-security-policy"]
    assert (file.status_code, file.content) == (200, content)
    assert "default-src 'none'" in policy
    assert policy.endswith("sandbox")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "attachment" in file.headers.get("content-disposition", "") or kind.startswith("text/plain")
    assert asked("GET", brought.json()["url"], auth=BOB).status_code == 404


def test_the_commands_of_the_document_run(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).replace(
        "python3 launch.py", "$LAUNCH"
    )
    launch = f"{sys.executable} launch.py --skip-install"
    environment = {**os.environ, "STUDIO_DATA": str(tmp_path), "LAUNCH": launch}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made, listed, revoked = done.stdout.splitlines()
    assert made.startswith("sk-")
    assert f"sk-…{made[-4:]}" in listed
    assert revoked == "The key laptop of atelier opens nothing any more."
