"""The line over HTTP: one's own jobs in full, of someone else's only the place; nobody acts on what is not theirs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipelines.messages import AudioRequest
from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import application
from tests.links import Idle


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    settings = Settings(data_dir=tmp_path, device="cpu", auth="ada:one-word,bob:two-words")
    studio = Studio(settings, start_worker=Idle)
    yield studio
    studio.close()


@pytest.fixture
def visitor(studio: Studio) -> Callable[[str, str], TestClient]:
    def come(user: str, password: str) -> TestClient:
        login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        client = TestClient(application(studio), base_url="http://127.0.0.1:7860")
        client.headers["Authorization"] = login
        return client

    return partial(come)


def speak(studio: Studio, words: str, owner: str) -> str:
    return studio.submit(AudioRequest(prompt=words, model="espeak"), owner=owner).id


def test_each_sees_the_whole_line_and_only_their_own_words(
    studio: Studio, visitor: Callable[[str, str], TestClient]
) -> None:
    mine, theirs = speak(studio, "hers", "ada"), speak(studio, "his", "bob")
    seen = visitor("ada", "one-word").get("/api/queue")
    line = seen.json()["line"]
    assert [(one["yours"], one["id"], one["words"], one["position"]) for one in line] == [
        (True, mine, "hers", 1),
        (False, "", "", 2),
    ]
    assert "his" not in seen.text
    assert theirs not in seen.text


def test_a_job_is_moved_up_and_put_back_by_its_owner_only(
    studio: Studio, visitor: Callable[[str, str], TestClient]
) -> None:
    jobs = [speak(studio, f"number {number}", "ada") for number in range(3)]
    ada, bob = visitor("ada", "one-word"), visitor("bob", "two-words")
    for act in ("move-up", "put-back", "let-be"):
        assert bob.post(f"/api/jobs/{jobs[2]}/{act}").status_code == 404
    assert ada.post(f"/api/jobs/{jobs[2]}/move-up").json()["position"] == 1
    assert [one["id"] for one in ada.get("/api/queue").json()["line"]] == [jobs[2], jobs[0], jobs[1]]
    assert ada.post(f"/api/jobs/{jobs[0]}/put-back").status_code == 400


def test_an_interrupted_job_is_offered_and_put_back(
    studio: Studio, visitor: Callable[[str, str], TestClient]
) -> None:
    lost, left = speak(studio, "lost", "ada"), speak(studio, "left", "ada")
    studio.store.claim("audio")
    studio.store.claim("audio")
    studio.store.recover()
    ada = visitor("ada", "one-word")
    offered = ada.get("/api/queue").json()["interrupted"]
    assert [(one["id"], one["words"]) for one in offered] == [(left, "left"), (lost, "lost")]
    assert visitor("bob", "two-words").get("/api/queue").json()["interrupted"] == []
    assert ada.post(f"/api/jobs/{lost}/put-back").json()["status"] == "queued"
    assert ada.post(f"/api/jobs/{left}/let-be").json()["status"] == "failed"
    assert ada.get("/api/queue").json()["interrupted"] == []
