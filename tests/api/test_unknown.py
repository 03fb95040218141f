"""Routes there are not, errors nobody foresaw, and the description at /openapi.json."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from studio.api.answers import as_json, header_text
from studio.studio import Studio
from tests.api.conftest import application


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/embeddings", "/v1/chat", "/api", "/api/nothing/here", "/page/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_route_answers_like_every_other_error(
    client: httpx.Client, method: str, path: str
) -> None:
    response = client.request(method, path)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (
        404,
        "unknown_route",
        "invalid_request_error",
    )


def test_another_method_is_told_which_there_are(client: httpx.Client) -> None:
    response = client.delete("/v1/chat/completions")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert client.put("/api/jobs/abc").headers["allow"] == "DELETE, GET"


def test_an_unforeseen_error_tells_nothing_from_inside(studio: Studio, caplog: Any) -> None:
    app = application(studio)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("/home/ada/secret")

    response = TestClient(app, raise_server_exceptions=False).get("/broken", headers={"host": "127.0.0.1"})
    assert (response.status_code, response.json()["error"]["type"]) == (500, "server_error")
    assert "secret" not in response.text
    number = response.json()["error"]["message"].split("error ")[1][:8]
    assert number in caplog.text
    assert "/home/ada/secret" in caplog.text


def test_openapi_describes_this_api_and_every_reference_is_in_it(client: httpx.Client) -> None:
    found = client.get("/openapi.json").json()
    assert {"/v1/chat/completions", "/api/jobs", "/api/uploads", "/metrics"} <= set(found["paths"])
    assert not [path for path in found["paths"] if path.startswith(("/gradio_api", "/page"))]
    schemas = found["components"]["schemas"]
    named = {line.split("/")[-1] for line in _references(found)}
    assert named <= set(schemas)
    assert {"Request", "AudioRequest", "ImageRequest", "Error"} <= named
    assert schemas["AudioRequest"]["properties"]["prompt"]["maxLength"] == 20_000
    for path in found["paths"].values():
        assert all("422" not in operation["responses"] for operation in path.values())


def test_an_error_does_not_send_back_all_that_was_sent(client: httpx.Client) -> None:
    response = client.post("/v1/images/generations", json={"prompt": "x", "size": "y" * 1_000_000})
    message = response.json()["error"]["message"]
    assert (response.status_code, len(message), message[-1]) == (400, 2_000, "…")


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [line for value in node.values() for line in _references(value)]
    return [line for value in node for line in _references(value)] if isinstance(node, list) else []


def test_whatever_is_stored_can_be_written() -> None:
    assert (
        as_json({"a\ud800": ["\udfff", float("nan"), float("inf"), 1.5, "é"]})
        == '{"a?":["?",null,null,1.5,"é"]}'
    )
    assert json.loads(as_json("😀")) == "😀"


def test_a_note_in_any_script_fits_a_header() -> None:
    assert header_text("The voice of Ann's model, 1 of 2.") == "The voice of Ann's model, 1 of 2."
    assert header_text("Größe 100 %\r\nX: 模型") == "Gr%C3%B6%C3%9Fe 100 %25%0D%0AX: %E6%A8%A1%E5%9E%8B"
    assert header_text("\ud800") == "?"
