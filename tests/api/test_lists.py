"""Lists tell what a list shows; what may be long has a route of its own, and an old row cannot break them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from pipelines.errors import TooManyWaiting
from pipelines.messages import AudioRequest, TextRequest
from studio.library.tables import assets
from studio.queue.rows import jobs
from studio.queue.store import JobStore
from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import application, served
from tests.api.test_native import SPEECH, watch
from tests.library.conftest import png

LONG = 5_000_000


def stored(studio: Studio, request: dict[str, Any], owner: str = "local", text: str = "") -> str:
    """A job that an earlier version let in."""
    job = studio.store.add(TextRequest(prompt="Tell me more.", model="tiny"), owner)
    assert studio.store.cancel_queued(job.id)
    with studio.engine.begin() as connection:
        changed = {**job.request.model_dump(mode="json"), **request}
        connection.execute(jobs.update().where(jobs.c.id == job.id).values(request=changed, text=text))
    return job.id


def test_a_list_of_jobs_is_short_whatever_the_jobs_hold(client: httpx.Client, studio: Studio) -> None:
    job_id = stored(studio, {"history": [{"role": "user", "content": "x" * LONG}]}, text="y" * LONG)
    answer = client.get("/api/jobs", params={"limit": 1})
    assert len(answer.content) < 4_000
    [shown] = answer.json()["jobs"]
    assert (shown["id"], shown["words"], shown["text"]) == (job_id, "Tell me more.", "y" * 200)
    assert "request" not in shown


def test_what_a_list_of_jobs_reads_holds_no_request(studio: Studio) -> None:
    """The statement itself: a request is not among its columns."""
    asked: list[str] = []
    sa.event.listen(studio.engine, "before_cursor_execute", lambda *words: asked.append(words[2]))
    try:
        studio.store.summaries("local", limit=5)
    finally:
        studio.engine.dispatch.before_cursor_execute.clear()
    assert asked
    assert all("jobs.request" not in statement for statement in asked)


def test_the_whole_of_a_job_and_its_request_have_their_own_routes(client: httpx.Client) -> None:
    job = client.post("/api/jobs", json=SPEECH).json()
    done = watch(client, job["id"])[-1][1]
    [shown] = [entry for entry in client.get("/api/jobs").json()["jobs"] if entry["id"] == job["id"]]
    assert client.get(shown["url"]).json() == done
    assert client.get(f"{shown['url']}/request").json() == done["request"]
    assert (shown["status"], shown["assets"], shown["words"]) == (
        "completed",
        done["assets"],
        SPEECH["prompt"],
    )
    again = client.post("/api/jobs", json=done["request"])
    assert again.status_code == 202
    watch(client, again.json()["id"])


def test_an_old_row_with_half_a_character_is_listed_and_shown(client: httpx.Client, studio: Studio) -> None:
    """It was let in once, and from then on its owner's list was a 500."""
    job_id = stored(studio, {"history": [{"role": "user", "content": "\ud800"}], "prompt": "\udfff"})
    assert job_id in {entry["id"] for entry in client.get("/api/jobs").json()["jobs"]}
    assert client.get(f"/api/jobs/{job_id}").json()["request"]["prompt"] in ("?", "")
    assert client.get(f"/api/jobs/{job_id}/events").status_code == 200
    assert client.get("/api/queue").status_code == 200


def test_a_list_of_assets_is_short_and_one_asset_is_whole(client: httpx.Client, studio: Studio) -> None:
    asset = studio.library.add(
        png((1, 1, 1)),
        kind="image",
        media_type="image/png",
        suffix="png",
        facts={"width": 64, "ok": True, "words": [["a", 0.1]] * 100_000},
        recipe={
            "prompt": "z" * LONG,
            "seed": 7,
            "model": "m",
            "history": [{"role": "user", "content": "x" * LONG}],
        },
    )
    answer = client.get("/api/assets", params={"limit": 1})
    assert len(answer.content) < 4_000
    [shown] = answer.json()["assets"]
    assert (shown["id"], shown["seed"], shown["prompt"]) == (asset.id, 7, "z" * 200)
    assert shown["facts"] == {"width": 64, "ok": True}
    assert client.get(shown["url"].removesuffix("/file")).json()["recipe"]["prompt"] == "z" * LONG
    studio.library.trash(asset.id)
    studio.library.delete(asset.id)


def test_an_asset_with_half_a_character_in_its_recipe_is_listed(client: httpx.Client, studio: Studio) -> None:
    asset = studio.library.add_upload(png((9, 9, 9)), "torn.png")
    with studio.engine.begin() as connection:
        torn = {"prompt": "a\ud800b", "seed": 1, "more": "\udc00"}
        connection.execute(
            assets.update().where(assets.c.id == asset.id).values(recipe=torn, facts={"x": "\ud800"})
        )
    shown = {entry["id"]: entry for entry in client.get("/api/assets").json()["assets"]}
    assert shown[asset.id]["seed"] == 1
    assert client.get(f"/api/assets/{asset.id}").json()["recipe"]["prompt"] == "a?b"


# ---- jobs waiting per person ------------------------------------------------------------------------------------------


def test_one_person_may_have_so_many_jobs_waiting_and_others_as_many(tmp_path: Path) -> None:
    """The same rule for page, API and command line: all of them come through `submit`."""
    studio = Studio(Settings(data_dir=tmp_path, max_waiting=3))  # not started: everything waits
    try:
        for _ in range(3):
            studio.submit(AudioRequest(prompt="Hello.", model="espeak"), "ada")
        with pytest.raises(TooManyWaiting, match="3 of your jobs are waiting"):
            studio.submit(AudioRequest(prompt="Hello.", model="espeak"), "ada")
        first = studio.submit(AudioRequest(prompt="Hello.", model="espeak"), "bob")
        assert len(studio.jobs("ada")) == 3
        studio.cancel(studio.jobs("ada")[0].id)
        studio.submit(AudioRequest(prompt="Hello.", model="espeak"), "ada")
        assert studio.job(first.id).status == "queued"
        with served(application(studio)) as address:
            job = {"modality": "audio", "model": "espeak", "prompt": "x"}
            codes = [httpx.post(f"{address}/api/jobs", json=job, timeout=60) for _ in range(4)]
        assert [answer.status_code for answer in codes] == [202, 202, 202, 429]
        error = codes[-1].json()["error"]
        assert (error["code"], error["type"]) == ("too_many", "rate_limit_error")
    finally:
        studio.close()


def test_nought_is_no_limit_and_a_row_is_the_same_either_way(tmp_path: Path) -> None:
    studio = Studio(Settings(data_dir=tmp_path, max_waiting=0))
    try:
        store: JobStore = studio.store
        jobs_made = [store.add(AudioRequest(prompt="x", model="espeak"), "ada") for _ in range(5)]
        jobs_made.append(store.add(AudioRequest(prompt="x", model="espeak"), "ada", most=6))
        with studio.engine.connect() as connection:
            rows = connection.execute(sa.select(jobs).order_by(jobs.c.number)).all()
        same = [
            tuple(
                value
                for name, value in row._mapping.items()
                if name not in ("number", "place", "id", "created_at")
            )
            for row in rows
        ]
        assert len(rows) == 6
        assert all(row == same[0] for row in same)
    finally:
        studio.close()
