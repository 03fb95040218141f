"""A whole studio whose library lies in no folder: whatever the API shows, sends, or hands to a worker comes out of the store."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipelines.messages import Artifact, Finished, Piece, Produced, Run
from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import application
from tests.library.conftest import png
from tests.library.memory import MemoryStore
from tests.links import Made, Obedient


def sound() -> bytes:
    """A tenth of a second."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\1" * 800)
    return data.getvalue()


def work(worker: Made, run: Run) -> None:
    """Send back the picture the job starts from, or a sound in two pieces."""
    if run.inputs:
        (picture,) = run.inputs.values()
        worker.emit(Produced(run.job_id, Artifact("image", "image/png", "png", picture)))
    else:
        data = sound()
        worker.emit(Piece(run.job_id, "a", data[:100]))
        worker.emit(Piece(run.job_id, "a", data[100:]))
        worker.emit(Produced(run.job_id, Artifact("audio", "audio/wav", "wav"), "a"))
    worker.emit(Finished(run.job_id, "completed"))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(data_dir=tmp_path, device="cpu")
    studio = Studio(settings, start_worker=partial(Obedient, work), files=MemoryStore())
    studio.start()
    with TestClient(application(studio), base_url="http://127.0.0.1:7860") as client:
        yield client
    studio.close()
    assert not (tmp_path / "library").exists()


def brought(client: TestClient, data: bytes, name: str) -> dict[str, str]:
    answer = client.post("/api/uploads", files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_what_is_brought_is_sent_shown_and_deleted(client: TestClient) -> None:
    tiff = io.BytesIO()
    Image.new("RGB", (30, 20), (1, 2, 3)).save(tiff, "TIFF")
    asset = brought(client, tiff.getvalue(), "a.tif")
    part = client.get(asset["url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, tiff.getvalue()[:4])
    for route in ("thumbnail", "view"):
        answer = client.get(f"/api/assets/{asset['id']}/{route}")
        assert Image.open(io.BytesIO(answer.content)).format == "WEBP", route
    client.post(f"/api/assets/{asset['id']}/trash")
    assert client.delete(f"/api/assets/{asset['id']}").status_code == 204
    assert client.get(asset["url"]).status_code == 404


def test_a_job_starts_from_what_lies_there_and_what_it_makes_lies_there_too(client: TestClient) -> None:
    start = brought(client, png(), "start.png")
    body = {
        "prompt": "a boat",
        "init_image": start["id"],
        "response_format": "b64_json",
        "model": "starter/image",
    }
    answer = client.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    made = client.get(f"/api/assets/{answer.json()['data'][0]['asset_id']}/file")
    assert Image.open(io.BytesIO(made.content)).getpixel((0, 0)) == (200, 30, 30)


@pytest.mark.parametrize(("format", "start"), [("wav", b"RIFF"), ("pcm", b"")])
def test_what_is_spoken_is_sent_as_a_file_and_as_samples(
    client: TestClient, format: str, start: bytes
) -> None:
    answer = client.post(
        "/v1/audio/speech", json={"input": "Hello", "model": "espeak", "response_format": format}
    )
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(start)
    assert len(answer.content) > 1600
