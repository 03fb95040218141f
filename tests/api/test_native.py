"""Our own routes: jobs that can be watched and cancelled, assets that can be found, kept and thrown away."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from PIL import Image

from pipelines.messages import AudioRequest
from studio.studio import Studio
from tests.library.conftest import png

SPEECH = {"modality": "audio", "model": "espeak", "prompt": "Hello there.", "seed": 1}


def watch(client: httpx.Client, job_id: str) -> list[tuple[str, Any]]:
    """Every event of the job, to its end."""
    found, name = [], ""
    with client.stream("GET", f"/api/jobs/{job_id}/events") as response:
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
    return found


def made(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    """An asset; a spoken one, unless something else is asked for."""
    job = client.post("/api/jobs", json={**SPEECH, **changes}).json()
    done = watch(client, job["id"])[-1][1]
    return client.get(f"/api/assets/{done['assets'][0]}").json()


def test_a_job_is_submitted_watched_and_done(client: httpx.Client) -> None:
    response = client.post("/api/jobs", json=SPEECH)
    job = response.json()
    assert (response.status_code, job["status"]) == (202, "queued")
    told = watch(client, job["id"])
    names = [name for name, _ in told]
    assert names[0] == "status"
    assert names[-1] == "done"
    done = told[-1][1]
    assert (done["status"], done["request"]["prompt"], done["problem"]) == ("completed", "Hello there.", None)
    assert [data["id"] for name, data in told if name == "asset"] == done["assets"]
    assert client.get(f"/api/jobs/{job['id']}").json() == done
    assert done["id"] in {
        entry["id"] for entry in client.get("/api/jobs", params={"limit": 5}).json()["jobs"]
    }
    late = watch(client, job["id"])
    assert [name for name, _ in late] == ["status", "asset", "done"]
    assert client.get(done and f"/api/assets/{done['assets'][0]}/file").content[:4] == b"RIFF"


def test_text_is_told_piece_by_piece(client: httpx.Client, chat_model: str) -> None:
    request = {"modality": "text", "model": chat_model, "prompt": "Hello", "max_tokens": 8, "seed": 3}
    job = client.post("/api/jobs", json=request).json()
    told = watch(client, job["id"])
    words = "".join(data["delta"] for name, data in told if name == "text")
    assert words == told[-1][1]["text"] != ""


@pytest.mark.parametrize("cancel", ["DELETE /api/jobs/{}", "POST /api/jobs/{}/cancel"])
def test_a_job_is_cancelled(client: httpx.Client, cancel: str) -> None:
    long = {**SPEECH, "prompt": "The quick brown fox jumps over the lazy dog. " * 400, "speed": 0.25}
    job = client.post("/api/jobs", json=long).json()
    method, path = cancel.format(job["id"]).split()
    assert client.request(method, path).status_code == 200
    assert watch(client, job["id"])[-1][1]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "x"}, "modality"),
        ([], None),
        ({**SPEECH, "speed": 9}, "speed"),
        ({**SPEECH, "colour": "red"}, "colour"),
        ({**SPEECH, "prompt": " "}, "prompt"),
        ({**SPEECH, "seed": "soon"}, "seed"),
    ],
)
def test_a_bad_request_names_its_field(client: httpx.Client, body: Any, param: str | None) -> None:
    response = client.post("/api/jobs", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_what_does_not_exist_is_a_404(client: httpx.Client) -> None:
    for path in ("/api/jobs/nope", "/api/jobs/nope/events", "/api/assets/nope", "/api/assets/nope/file"):
        response = client.get(path)
        assert (response.status_code, response.json()["error"]["type"]) == (404, "invalid_request_error")


def test_others_jobs_and_assets_are_not_shown(client: httpx.Client, studio: Studio) -> None:
    asset = studio.library.add_upload(png((1, 2, 3)), "secret.png", "someone else")
    job = studio.submit(AudioRequest(prompt="Private.", model="espeak"), owner="someone else")
    for path in (f"/api/assets/{asset.id}", f"/api/assets/{asset.id}/thumbnail", f"/api/jobs/{job.id}"):
        assert client.get(path).status_code == 404
    assert client.delete(f"/api/jobs/{job.id}").status_code == 404
    assert asset.id not in {found["id"] for found in client.get("/api/assets").json()["assets"]}
    start = {"modality": "image", "prompt": "x", "init_image": asset.id}
    assert client.post("/api/jobs", json=start).json()["error"]["param"] == "init_image"


def test_assets_are_found_starred_tagged_and_thrown_away(client: httpx.Client) -> None:
    asset = made(client, prompt="A very particular sentence.")
    path = f"/api/assets/{asset['id']}"

    def found(**query: Any) -> list[str]:
        answer = client.get("/api/assets", params={"text": "particular", **query}).json()
        assert answer["total"] == len(answer["assets"])
        return [entry["id"] for entry in answer["assets"]]

    assert found() == found(kind="audio", model="espeak", since="2020-01-01") == [asset["id"]]
    today = f"{datetime.now():%Y-%m-%d}"
    assert found(since=today, until=today) == [asset["id"]]  # until a day means until its end
    assert found(until="2020-01-01") == found(kind="image") == found(starred=True) == []
    assert client.put(f"{path}/star").json()["starred"] is True
    assert client.put(f"{path}/tags", json={"tags": ["radio"]}).json()["tags"] == ["radio"]
    assert found(starred=True, tag="radio") == [asset["id"]]
    assert client.delete(f"{path}/star").json()["starred"] is False
    refused = client.delete(path)
    assert (refused.status_code, "not in the trash" in refused.json()["error"]["message"]) == (400, True)
    client.post(f"{path}/trash")
    assert (found(), found(trashed=True)) == ([], [asset["id"]])
    client.post(f"{path}/restore")
    assert found() == [asset["id"]]
    client.post(f"{path}/trash")
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_dates_and_bounds_are_checked(client: httpx.Client) -> None:
    for query in ({"since": "yesterday"}, {"limit": 0}, {"offset": -1}):
        response = client.get("/api/assets", params=query)
        assert (response.status_code, response.json()["error"]["param"]) == (400, next(iter(query)))


def test_files_come_with_ranges_and_thumbnails(client: httpx.Client) -> None:
    asset = made(client)
    part = client.get(asset["url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    saved = client.get(asset["url"], params={"download": 1}).headers["content-disposition"]
    assert saved.startswith("attachment")
    assert saved.endswith(".wav")
    with Image.open(io.BytesIO(client.get(asset["thumbnail_url"]).content)) as picture:
        assert picture.format == "WEBP"


def test_a_picture_browsers_cannot_show_has_a_view(client: httpx.Client) -> None:
    data = io.BytesIO()
    Image.new("RGB", (30, 20), (1, 2, 3)).save(data, "TIFF")
    asset = client.post("/api/uploads", files={"file": ("a.tif", data.getvalue(), "image/tiff")}).json()
    view = client.get(f"/api/assets/{asset['id']}/view")
    assert (view.status_code, view.headers["content-type"]) == (200, "image/webp")
    with Image.open(io.BytesIO(view.content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (30, 20))
    assert client.get(asset["url"]).content == data.getvalue()
    same = client.post("/api/uploads", files={"file": ("a.png", png((1, 2, 3)), "image/png")}).json()
    assert client.get(f"/api/assets/{same['id']}/view").headers["content-type"] == "image/png"


def test_a_start_image_that_is_no_picture_is_refused_in_words(client: httpx.Client) -> None:
    sound = made(client)
    request = {"modality": "image", "prompt": "a boat", "init_image": sound["id"]}
    answer = client.post("/api/jobs", json=request)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "init_image")
    assert "Start image takes a picture, not a sound." in answer.json()["error"]["message"]


def test_a_missing_file_is_a_404_with_a_placeholder_thumbnail(client: httpx.Client, studio: Studio) -> None:
    asset = made(client)
    studio.library.store.remove(studio.library.get(asset["id"]).file)
    response = client.get(asset["url"])
    assert (response.status_code, response.json()["error"]["code"]) == (404, "file_missing")
    assert client.get(f"/api/assets/{asset['id']}").json()["missing"] is True
    assert client.get(asset["thumbnail_url"]).status_code == 200


def test_an_upload_can_be_the_start_of_a_picture(client: httpx.Client) -> None:
    response = client.post("/api/uploads", files={"file": ("start.png", png(size=(64, 64)), "image/png")})
    upload = response.json()
    assert (response.status_code, upload["kind"], upload["title"]) == (201, "image", "start.png")
    request = {"modality": "image", "prompt": "a boat", "init_image": upload["id"], "width": 64, "height": 64}
    job = client.post("/api/jobs", json={**request, "num_inference_steps": 2, "seed": 4}).json()
    done = watch(client, job["id"])[-1][1]
    assert done["status"] == "completed", done
    asset = client.get(f"/api/assets/{done['assets'][0]}").json()
    assert asset["parents"] == [{"id": upload["id"], "role": "init_image"}]
    assert client.get(f"/api/assets/{upload['id']}").json()["children"][0]["id"] == asset["id"]


def test_an_unreadable_upload_says_what_can_be_read(client: httpx.Client) -> None:
    response = client.post("/api/uploads", files={"file": ("x.psd", b"8BPS\0\1\xff\xfe", "image/x")})
    assert response.status_code == 400
    assert "PNG" in response.json()["error"]["message"]


def test_an_uploaded_page_cannot_act_in_our_name(client: httpx.Client) -> None:
    page = b"<script>fetch('/api/jobs')</script>"
    upload = client.post("/api/uploads", files={"file": ("x.html", page, "text/html")}).json()
    response = client.get(upload["url"])
    assert response.content == page
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["content-security-policy"].split("; ")[-1] == "sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_memory_and_plan_are_told(
    client: httpx.Client, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    made(
        client,
        modality="image",
        model="starter/image",
        prompt="x",
        width=64,
        height=64,
        num_inference_steps=1,
    )
    wait_until(lambda: bool(client.get("/api/memory").json()["worker"] == "ready"))
    query = {"modality": "image", "model": "starter/image", "prompt": "x", "width": 64, "height": 64}
    by_query, by_body = client.get("/api/plan", params=query), client.post("/api/plan", json=query)
    assert by_query.json()["fits"] is True, by_query.json()
    assert by_body.json()["need_bytes"] == by_query.json()["need_bytes"] > 0
    told = by_body.json()
    assert (told["how"], told["leaves"], told["waits"], told["problem"]) == ("full", [], False, None)
    assert told["text"].startswith("Fits · ")
    assert "query_id" not in told
