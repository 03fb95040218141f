"""The list of models over HTTP: all of it with reasons, folders added and forgotten, and the command line beside a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pipelines.errors import ModelUnavailable
from studio import accounts, api
from studio.cli import models as command
from studio.cli import running
from studio.settings import Settings
from studio.studio import Studio
from tests import checkpoints
from tests.api.conftest import served
from tests.checkpoints import copied
from tests.checkpoints_language import tiny_chat


def serve(settings: Settings) -> Any:
    """A studio without a worker: nothing here makes anything."""
    studio = Studio(settings, warm_up=False)
    app = FastAPI()
    accounts.install(app, settings)
    api.install(app, studio)
    return studio, served(app)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", device="cpu", offline=True)


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    studio, server = serve(settings)
    with server as address, httpx.Client(base_url=address, timeout=60) as client:
        assert studio.folder_lock.acquire(what="a studio", address=address)
        yield client
    studio.close()


def local(client: httpx.Client) -> dict[str, str]:
    found = client.get("/api/models").json()["models"]
    return {model["id"]: model["state"] for model in found if model["id"].startswith("local/")}


def test_a_folder_is_added_listed_and_forgotten(client: httpx.Client, tmp_path: Path) -> None:
    folder = copied(tiny_chat(), tmp_path / "writer")
    added = client.post("/api/models", json={"path": str(folder)})
    assert [model["id"] for model in added.json()["models"]] == ["local/writer"]
    assert local(client) == {"local/writer": "ready"}
    assert client.get("/api/models").json()["folders"] == [str(folder)]
    assert client.delete("/api/models", params={"path": str(folder)}).status_code == 200
    assert local(client) == {}
    again = client.delete("/api/models", params={"path": str(folder)})
    assert (again.status_code, again.json()["error"]["param"]) == (400, "path")
    assert folder.is_dir()


def test_a_rescan_sees_what_was_put_into_the_folder(client: httpx.Client, settings: Settings) -> None:
    assert local(client) == {}
    copied(tiny_chat(), settings.data_dir / "models" / "writer")
    assert client.post("/api/models", json={}).status_code == 200
    assert local(client) == {"local/writer": "ready"}


def test_a_broken_model_is_listed_with_its_reason_and_refused_with_it(
    client: httpx.Client, settings: Settings
) -> None:
    folder = copied(checkpoints.sd15(), settings.data_dir / "models" / "half")
    (folder / "unet" / "config.json").unlink()
    client.post("/api/models", json={})
    (told,) = [one for one in client.get("/api/models").json()["models"] if one["id"] == "local/half"]
    assert (told["state"], told["problem"]) == ("broken", "unet/config.json is missing.")
    for path, body in (
        ("/v1/images/generations", {"model": "local/half", "prompt": "a hill"}),
        ("/v1/chat/completions", {"model": "local/half", "messages": [{"role": "user", "content": "Hi"}]}),
        ("/api/jobs", {"modality": "image", "model": "local/half", "prompt": "a hill"}),
    ):
        refused = client.post(path, json=body)
        assert refused.status_code == 409
        assert "unet/config.json is missing." in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"path": ""}, 400), ({"path": "\0"}, 400), ({"path": 7}, 400), ({"path": "x" * 9999}, 400), ({"paths": []}, 400),
        ({"path": "/nowhere/at/all"}, 409), ({"path": "/proc"}, 409),
    ],
)  # fmt: skip
def test_a_path_that_is_none_is_refused(body: Any, status: int, client: httpx.Client) -> None:
    assert client.post("/api/models", json=body).status_code == status


def test_what_was_not_downloaded_is_not_deleted_and_says_what_to_do(
    client: httpx.Client, tmp_path: Path
) -> None:
    folder = copied(tiny_chat(), tmp_path / "writer")
    client.post("/api/models", json={"path": str(folder)})
    for model, words in (
        ("local/writer", f"models remove {folder}"),
        ("starter/text", "ships with the program"),
        ("Qwen/Qwen3-8B", "is not on this machine"),
    ):
        refused = client.delete(f"/api/models/{model}")
        assert refused.status_code == 409
        assert words in refused.json()["error"]["message"]
    assert folder.is_dir()


def test_where_there_is_a_login_only_the_administrator_changes_models(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", auth="ada:one,bob:two", device="cpu", offline=True)
    folder = copied(tiny_chat(), tmp_path / "writer")
    studio, server = serve(settings)
    with server as address, httpx.Client(base_url=address, timeout=60) as client:
        for name, password, status in (("bob", "two", 403), ("ada", "one", 200)):
            asked = client.post("/api/models", json={"path": str(folder)}, auth=(name, password))
            assert asked.status_code == status
    studio.close()


# ---- the command line beside a server ----


def test_what_is_added_by_command_is_seen_by_the_running_studio_at_once(
    client: httpx.Client, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(tiny_chat(), tmp_path / "writer")
    assert local(client) == {}
    assert command.main(["add", str(folder), "--data-dir", str(settings.data_dir)]) == 0
    told = capsys.readouterr()
    assert "local/writer" in told.out
    assert str(client.base_url).rstrip("/") in told.err
    assert local(client) == {"local/writer": "ready"}
    assert command.main(["remove", str(folder), "--data-dir", str(settings.data_dir)]) == 0
    assert local(client) == {}


def test_a_refusal_of_the_running_studio_is_told(
    client: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match="No model was found"):
        command.main(["add", str(tmp_path), "--data-dir", str(settings.data_dir)])


@pytest.mark.parametrize("note", ["", "{", '{"pid": 1}', '{"pid": 1, "address": "http://127.0.0.1:9"}'])
def test_without_a_studio_to_ask_the_file_is_written(note: str, settings: Settings, tmp_path: Path) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / ".lock").write_text(note)
    folder = copied(tiny_chat(), tmp_path / "writer")
    assert running.ask(settings.data_dir, "POST", "api/models", {}) is None
    assert command.main(["add", str(folder), "--data-dir", str(settings.data_dir)]) == 0
    assert json.loads((settings.data_dir / "models.json").read_text())["folders"] == [str(folder)]
