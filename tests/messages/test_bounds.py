"""Every text of a request has a bound, all of them together have one, and a refusal names it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.errors import InvalidRequest
from pipelines.messages import (
    MODALITIES,
    REQUESTS,
    ChatMessage,
    CodeRequest,
    TextRequest,
    parse_request,
)
from pipelines.words.texts import MESSAGE_CHARS, PROMPT_CHARS, REQUEST_CHARS, TORN, parts
from studio.api.openapi import request_schemas
from studio.database import open_database
from studio.page import pieces
from studio.page.text import with_history
from studio.queue.checks import first_fault
from studio.queue.jobs import Job
from studio.queue.rows import jobs
from studio.queue.store import JobStore
from studio.settings import Settings
from studio.studio import Studio


def faults(data: dict[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        parse_request(data)
    return [(entry["loc"], entry["msg"]) for entry in caught.value.errors()]


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema inside a JSON schema."""
    if isinstance(node, dict):
        if "type" in node:
            yield node
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def test_no_text_and_no_list_of_a_request_is_without_a_bound() -> None:
    found = list(schemas(request_schemas()))
    texts = [schema for schema in found if schema["type"] == "string" and not {"enum", "const"} & set(schema)]
    lists = [schema for schema in found if schema["type"] == "array"]
    assert len(texts) > 20
    assert lists
    assert [schema for schema in texts if "maxLength" not in schema] == []
    assert [schema for schema in lists if "maxItems" not in schema] == []


def test_a_long_turn_of_a_conversation_is_refused_with_its_bound() -> None:
    turn = {"role": "user", "content": "x" * (MESSAGE_CHARS + 1)}
    assert faults({"modality": "text", "prompt": "x", "history": [turn]}) == [
        (("history", 0, "content"), f"String should have at most {MESSAGE_CHARS} characters")
    ]


def test_all_texts_together_are_bounded_and_the_refusal_has_the_numbers() -> None:
    turn = {"role": "user", "content": "x" * MESSAGE_CHARS}
    fits = REQUEST_CHARS // MESSAGE_CHARS - 1
    assert parse_request({"modality": "text", "prompt": "x", "history": [turn] * fits})
    [(place, message)] = faults({"modality": "text", "prompt": "x", "history": [turn] * (fits + 2)})
    assert place == ()
    assert f"at most {REQUEST_CHARS:,} are taken" in message


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"modality": "text", "prompt": "a\ud800"}, ("prompt",)),
        ({"modality": "text", "prompt": "a", "system": "\udfff"}, ("system",)),
        (
            {"modality": "text", "prompt": "a", "history": [{"role": "user", "content": "\ud83d"}]},
            ("history", 0, "content"),
        ),
        ({"modality": "code", "prompt": "a", "stop": ["\udc00"]}, ("stop", 0)),
        ({"modality": "image", "prompt": "a", "scheduler": "\ud800"}, ("scheduler",)),
    ],
)
def test_half_a_character_is_refused_in_every_text(data: dict[str, Any], place: tuple[Any, ...]) -> None:
    assert [found for found, _ in faults(data)] == [place]


def test_a_seed_of_400_digits_is_out_of_bounds_and_no_crash() -> None:
    assert [place for place, _ in faults({"modality": "text", "prompt": "a", "seed": int("9" * 400)})] == [
        ("seed",)
    ]


@pytest.mark.parametrize("modality", MODALITIES)
def test_an_empty_request_has_nothing_to_do(modality: Any) -> None:
    with pytest.raises(InvalidRequest):
        REQUESTS[modality]().check_has_something_to_do()


def test_code_is_taken_from_the_prompt_where_only_that_was_filled_in() -> None:
    assert CodeRequest(task="fix", prompt="def f(").given_code == "def f("
    assert CodeRequest(task="write", prompt="a function").given_code == ""
    CodeRequest(task="complete", suffix="return x").check_has_something_to_do()
    TextRequest(prompt="x").check_has_something_to_do()


def test_a_row_that_breaks_todays_bounds_can_still_be_listed(tmp_path: Path) -> None:
    """Written by an earlier version, which let it in."""
    store = JobStore(open_database(tmp_path / "studio.db"))
    job = store.add(TextRequest(prompt="kept"), "ada")
    turn = {"role": "user", "content": "\ud800"}
    long = {"role": "user", "content": "x" * (REQUEST_CHARS + 1)}
    for bad in (
        {"history": [turn]},
        {"history": [long]},
        {"history": [long] * 3, "seed": "soon"},
        {"modality": "smell"},
    ):
        with store.engine.begin() as connection:
            connection.execute(jobs.update().values(request={**job.request.model_dump(mode="json"), **bad}))
        [found] = store.recent("ada")
        assert (found.id, found.request.prompt) == (job.id, "kept")


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("One two. Three four. Five", ["One two. Three four. ", "Five"]),
        ("One two.\n\nThree. Four five six", ["One two.\n\nThree. ", "Four five six"]),
        ("word " * 6, ["word " * 4, "word " * 2]),
        ("x" * 45, ["x" * 22, "x" * 22, "x"]),
        ("", []),
        ("short", ["short"]),
    ],
)
def test_a_long_text_is_parted_where_a_reader_would_stop(text: str, cut: list[str]) -> None:
    assert parts(text, 22) == cut


def test_nothing_is_lost_between_the_parts_and_each_is_a_script() -> None:
    """A hidden slice cut a text at 5,000 characters, in mid-sentence."""
    text = "".join(f"This is sentence number {number}. " for number in range(3_000))
    scripts = parts(text)
    assert "".join(scripts) == text
    assert all(len(script) <= PROMPT_CHARS and script.endswith(". ") for script in scripts)
    buttons = pieces.speak(text)
    assert buttons.count("<button") == len(scripts) == 5
    assert f"{len(text):,} characters: a script holds 20,000, so they are spoken in 5 parts." in buttons
    whole_text = text[:12_000]
    assert json.dumps({"prompt": whole_text}) in unescape(pieces.speak(whole_text))


def test_a_conversation_that_grew_too_long_is_told_so_when_it_goes_on(tmp_path: Path) -> None:
    """On the page the conversation is put together here; its bound was an internal error."""
    studio = Studio(Settings(data_dir=tmp_path, models_dirs=()))
    try:
        history = tuple(ChatMessage(role="user", content="x" * MESSAGE_CHARS) for _ in range(1))
        last = Job(
            "a",
            "ada",
            TextRequest(prompt="Go on.", history=history),
            "completed",
            0.0,
            text="y" * MESSAGE_CHARS,
        )
        grown = with_history(TextRequest(prompt="And then?", model=studio.catalog.default("text").id), last)
        with pytest.raises(InvalidRequest) as caught:
            studio.submit(grown, "ada")
        assert f"at most {REQUEST_CHARS:,} are taken" in caught.value.detail
        assert caught.value.hint == "Begin a new conversation."
    finally:
        studio.close()


def test_half_a_character_is_told_in_plain_words() -> None:
    with pytest.raises(ValidationError) as caught:
        TextRequest(prompt="a\ud800")
    assert first_fault(caught.value) == (f"prompt: {TORN}", "prompt")
