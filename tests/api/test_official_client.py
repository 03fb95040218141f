"""OpenAI's own client with a key made here: a streamed answer, a picture and a spoken sentence, each its user's."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import openai
import pytest

from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import application, served

ADA, BOB = ("ada", "a-long-password"), ("bob", "another-long-one")


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    """The studio of these tests, but with logins."""
    auth = ",".join(":".join(login) for login in (ADA, BOB))
    with served(application(studio, Settings(data_dir=studio.settings.data_dir, auth=auth))) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> openai.OpenAI:
    key = httpx.post(f"{address}/api/keys", json={"name": "official client"}, auth=ADA, timeout=60).json()[
        "key"
    ]
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=240)


def test_an_answer_streams(client: openai.OpenAI, chat_model: str) -> None:
    stream = client.chat.completions.create(
        model=chat_model, messages=[{"role": "user", "content": "Say something."}], max_tokens=8, stream=True
    )
    pieces = [part.choices[0] for part in stream if part.choices]
    assert pieces[-1].finish_reason in ("stop", "length")


def test_a_picture_and_a_sentence_are_their_users(client: openai.OpenAI, address: str) -> None:
    made = client.images.generate(model="starter/illustrator", prompt="a red house", size="256x256")
    assert base64.b64decode(made.data[0].b64_json or "").startswith(b"\x89PNG")
    spoken = client.audio.speech.create(model="espeak", voice="alloy", input="Good morning.")
    assert spoken.read()[:3] == b"ID3"
    adas = httpx.get(f"{address}/api/assets?model=espeak", auth=ADA, timeout=60).json()
    assert adas["total"] == 1
    assert httpx.get(f"{address}/api/assets", auth=BOB, timeout=60).json()["total"] == 0
    url = address + adas["assets"][0]["url"]
    assert [httpx.get(url, auth=who, timeout=60).status_code for who in (ADA, BOB)] == [200, 404]
