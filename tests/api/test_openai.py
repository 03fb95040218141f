"""What a client written for OpenAI gets from us: the same shapes, real answers, and errors that tell what to do."""

from __future__ import annotations

import base64
import io
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from studio.studio import Studio
from tests.checkpoints_language import tiny_chat

LONG = "The quick brown fox jumps over the lazy dog, again and again. " * 300


def error_of(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def ask(model: str, words: str = "Hello", **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": words}],
        "max_tokens": 8,
        "seed": 5,
        **more,
    }


# ---- models -----------------------------------------------------------------------------------------------------------


def test_the_models_that_are_ready_are_listed(client: httpx.Client, chat_model: str) -> None:
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert {"espeak", chat_model} <= {model["id"] for model in listed["data"]}
    one = client.get("/v1/models/espeak").json()
    assert (one["object"], one["modalities"]) == ("model", ["audio"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", ask("gpt-4o")),
        ("/v1/images/generations", {"model": "dall-e-3", "prompt": "a fox"}),
        ("/v1/audio/speech", {"model": "tts-1", "input": "Hello", "voice": "alloy"}),
    ],
)
def test_a_name_of_someone_elses_model_is_a_404_that_lists_ours(
    client: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    response = client.post(path, json=body)
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert body["model"] in error["message"]
    assert "Ready for" in error["message"]


# ---- chat -------------------------------------------------------------------------------------------------------------


def test_chat_answers_with_message_reason_and_usage(
    client: httpx.Client, studio: Studio, chat_model: str
) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "One"}]},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ]
    response = client.post("/v1/chat/completions", json=ask(chat_model, messages=messages))
    body = response.json()
    assert response.status_code == 200, body
    assert (body["object"], body["model"]) == ("chat.completion", chat_model)
    (choice,) = body["choices"]
    assert choice["message"]["role"] == "assistant"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 < usage["completion_tokens"] <= 8
    assert choice["finish_reason"] == ("length" if usage["completion_tokens"] == 8 else "stop")
    request = studio.job(body["id"].removeprefix("chatcmpl-")).request
    assert (request.system, request.prompt, request.seed) == ("Be brief.", "Three", 5)
    assert [turn.content for turn in request.history] == ["One", "Two"]


def test_a_stream_says_the_same_words_as_the_whole_answer(client: httpx.Client, chat_model: str) -> None:
    whole = client.post("/v1/chat/completions", json=ask(chat_model)).json()
    options = {"stream": True, "stream_options": {"include_usage": True}}
    response = client.post("/v1/chat/completions", json=ask(chat_model, **options))
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(response.text)
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    words = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert words == whole["choices"][0]["message"]["content"] != ""
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], whole["usage"])


def test_stop_and_max_completion_tokens_reach_the_model(
    client: httpx.Client, studio: Studio, chat_model: str
) -> None:
    body = ask(chat_model, stop="zzz", max_completion_tokens=3, top_k=4)
    answer = client.post("/v1/chat/completions", json=body).json()
    request = studio.job(answer["id"].removeprefix("chatcmpl-")).request
    assert (request.stop, request.max_tokens, request.top_k) == (("zzz",), 3, 4)
    assert answer["usage"]["completion_tokens"] <= 3


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "prompt"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_it_is_queued(
    client: httpx.Client, studio: Studio, chat_model: str, change: dict[str, Any], param: str
) -> None:
    before = studio.jobs(limit=1)
    response = client.post("/v1/chat/completions", json=ask(chat_model, **change))
    error = error_of(response)
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert studio.jobs(limit=1) == before


def test_a_body_that_is_no_json_is_a_400(client: httpx.Client) -> None:
    for path in ("/v1/chat/completions", "/api/jobs"):
        response = client.post(path, content=b"{nope", headers={"Content-Type": "application/json"})
        assert response.status_code == 400
        assert error_of(response)["message"]


@pytest.fixture
def talkative(studio: Studio, tmp_path: Path) -> str:
    """The tiny chat model with room for thousands of tokens: greedy, it runs in a circle and never ends by itself."""
    folder = tmp_path / "talkative"
    shutil.copytree(tiny_chat(), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 16_384}))
    return studio.catalog.add(folder)[0].id


def test_a_client_that_hangs_up_on_a_stream_cancels_its_job(
    client: httpx.Client, studio: Studio, talkative: str, wait_until: Callable[..., None]
) -> None:
    body = ask(talkative, stream=True, max_tokens=16_000, temperature=0)
    with client.stream("POST", "/v1/chat/completions", json=body) as response:
        first = next(response.iter_lines())
    job_id = json.loads(first.removeprefix("data: "))["id"].removeprefix("chatcmpl-")
    wait_until(lambda: studio.job(job_id).is_over)
    assert studio.job(job_id).status == "cancelled"


def test_a_client_that_hangs_up_while_waiting_cancels_its_job(
    address: str, studio: Studio, wait_until: Callable[..., None]
) -> None:
    before = {job.id for job in studio.jobs()}

    def mine() -> list[Any]:
        return [job for job in studio.jobs() if job.id not in before]

    body = json.dumps({"input": LONG[:19_000], "model": "espeak", "speed": 0.25}).encode()
    head = (
        f"POST /v1/audio/speech HTTP/1.1\r\nHost: {address[7:]}\r\n"
        f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
    )
    host, port = address[7:].split(":")
    with socket.create_connection((host, int(port)), 60) as hasty:
        hasty.sendall(head.encode() + body)
        wait_until(lambda: bool(mine()))
    wait_until(lambda: bool(mine()) and mine()[0].is_over)
    assert mine()[0].status == "cancelled"


# ---- completions ------------------------------------------------------------------------------------------------------


def test_completions_fill_in_the_middle(client: httpx.Client, studio: Studio, chat_model: str) -> None:
    body = {
        "model": chat_model,
        "prompt": "def add(a, b):\n    return ",
        "suffix": "\n\nprint(add(2, 3))",
        "max_tokens": 6,
    }
    answer = client.post("/v1/completions", json={**body, "seed": 1, "temperature": 0}).json()
    assert answer["object"] == "text_completion", answer
    request = studio.job(answer["id"].removeprefix("cmpl-")).request
    assert (request.task, request.code, request.suffix) == ("complete", body["prompt"], body["suffix"])
    streamed = client.post("/v1/completions", json={**body, "seed": 1, "temperature": 0, "stream": True})
    chunks = events(streamed.text)[:-1]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == answer["choices"][0]["text"]
    assert chunks[-1]["choices"][0]["finish_reason"] == answer["choices"][0]["finish_reason"]


def test_any_language_model_goes_on_from_a_prompt(
    client: httpx.Client, studio: Studio, base_model: str
) -> None:
    """It was refused for want of fill-in-the-middle tokens, which only a suffix needs."""
    body = {"model": base_model, "prompt": "The sea is", "max_tokens": 4, "seed": 1}
    answer = client.post("/v1/completions", json=body).json()
    assert answer["object"] == "text_completion", answer
    request = studio.job(answer["id"].removeprefix("cmpl-")).request
    assert (request.task, request.code, request.language) == ("complete", "The sea is", "text")
    refused = client.post("/v1/completions", json={**body, "suffix": " blue."})
    assert (refused.status_code, error_of(refused)["code"]) == (400, "invalid_request")
    assert "cannot fill a gap" in error_of(refused)["message"]


def test_a_completion_with_only_a_suffix_is_made(client: httpx.Client, chat_model: str) -> None:
    """It was accepted, and then failed: server and worker had each their own rule."""
    body = {"model": chat_model, "prompt": "", "suffix": "return x", "max_tokens": 3, "seed": 1}
    assert client.post("/v1/completions", json=body).status_code == 200


def test_echo_and_many_prompts_are_refused(client: httpx.Client, chat_model: str) -> None:
    for change, param in (({"echo": True}, "echo"), ({"prompt": ["a", "b"]}, "prompt")):
        response = client.post("/v1/completions", json={"model": chat_model, "prompt": "x", **change})
        assert (response.status_code, error_of(response)["param"]) == (400, param)


# ---- images -----------------------------------------------------------------------------------------------------------


def test_pictures_come_as_base64_and_as_links(client: httpx.Client, studio: Studio) -> None:
    body = {"prompt": "a red boat", "n": 2, "size": "64x64", "steps": 1, "seed": 9, "negative_prompt": "text"}
    answer = client.post("/v1/images/generations", json={**body, "output_format": "webp"}).json()
    assert [entry["seed"] for entry in answer["data"]] == [9, 10], answer
    for entry in answer["data"]:
        data = base64.b64decode(entry["b64_json"])
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, picture.size) == ("WEBP", (64, 64))
        assert client.get(entry["url"]).content == data
        recipe = studio.library.get(entry["asset_id"]).recipe
        assert (recipe["num_inference_steps"], recipe["negative_prompt"]) == (1, "text")
    only = client.post("/v1/images/generations", json={**body, "n": 1, "response_format": "url"}).json()[
        "data"
    ][0]
    assert "b64_json" not in only
    assert client.get(only["url"]).headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 11}, "n"),
        ({"size": "huge"}, "size"),
        ({"size": "70x64"}, "width"),
        ({"background": "transparent"}, "background"),
        ({"quality": "hd"}, "quality"),
        ({"stream": True}, "stream"),
        ({"prompt": ""}, "prompt"),
        ({"init_image": "0123456789abcdef"}, "init_image"),
    ],
)
def test_a_picture_that_cannot_be_made_so_is_refused(
    client: httpx.Client, change: dict[str, Any], param: str
) -> None:
    response = client.post("/v1/images/generations", json={"prompt": "a boat", **change})
    assert (response.status_code, error_of(response)["param"]) == (400, param)


# ---- speech -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file_format", "start", "media_type"),
    [
        ("mp3", b"ID3", "audio/mpeg"),
        ("wav", b"RIFF", "audio/wav"),
        ("flac", b"fLaC", "audio/flac"),
        ("opus", b"OggS", "audio/ogg"),
        ("aac", b"\0\0\0", "audio/mp4"),
    ],
)
def test_speech_comes_in_the_wanted_format(
    client: httpx.Client, file_format: str, start: bytes, media_type: str
) -> None:
    body = {"input": "Hi.", "model": "espeak", "response_format": file_format}
    response = client.post("/v1/audio/speech", json=body)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.content.startswith(start)


def test_raw_samples_last_as_long_as_the_speech(client: httpx.Client, studio: Studio) -> None:
    body = {"input": "One two three four five.", "model": "espeak", "response_format": "pcm"}
    response = client.post("/v1/audio/speech", json=body)
    seconds = studio.library.get(response.headers["x-asset-id"]).facts["seconds"]
    assert len(response.content) / 2 / 24_000 == pytest.approx(seconds, abs=0.02)


def test_a_voice_only_openai_has_becomes_the_models_own_and_says_so(client: httpx.Client) -> None:
    response = client.post("/v1/audio/speech", json={"input": "Hi.", "model": "espeak", "voice": "alloy"})
    assert response.status_code == 200
    assert "no voice alloy here" in response.headers["x-note"]


def test_what_was_not_spoken_is_told_in_a_header(client: httpx.Client) -> None:
    body = {"input": "**Hi.**\n\n```\nx = 1\n```", "model": "espeak", "voice": "German"}
    note = client.post("/v1/audio/speech", json=body).headers["x-note"]
    assert note == "Not spoken: 1 code block (1 line). Switch on *As written* to hear every sign."


def test_a_voice_nobody_has_is_refused(client: httpx.Client) -> None:
    body = {"input": "Hi.", "model": "espeak", "voice": "no such voice", "response_format": "wav"}
    response = client.post("/v1/audio/speech", json=body)
    assert response.status_code == 400
    assert "no such voice" in error_of(response)["message"]
