"""Refusals in words: near the button, beside the field, and never the same text twice to the page."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from pipelines.catalog import Catalog
from pipelines.errors import InvalidRequest, OutOfDisk
from pipelines.messages import AudioRequest, CodeRequest
from studio.page import audio, code, refusals
from studio.page.faults import FieldErrors
from studio.page.forms import Form


@pytest.fixture(scope="module")
def form() -> Form:
    form = Form(Catalog(hub=False), "image")
    with gr.Blocks(analytics_enabled=False):
        form.build_rest(simple=True)
        form.build_rest(simple=False)
    return form


def blamed(answer: str) -> Any:
    found = re.search(r'data-fields="([^"]*)"', answer)
    assert found
    return json.loads(unescape(found[1]))


def test_fields_to_blame_are_named_by_their_titles_and_marked_by_their_ids(form: Form) -> None:
    answer = refusals.refused(form, FieldErrors({"num_images": "40 is too large: at most 16."}))
    assert "Pictures: 40 is too large: at most 16." in answer
    assert blamed(answer) == {"image-num-images": "40 is too large: at most 16."}


def test_a_refusal_of_the_studio_blames_its_field_and_keeps_its_three_parts(form: Form) -> None:
    error = InvalidRequest(
        "That file is <gone>.", field="init_image", detail="It was x.png.", hint="Upload it again."
    )
    answer = refusals.refused(form, error)
    assert blamed(answer) == {"image-init-image": "That file is <gone>."}
    assert "That file is &lt;gone&gt;." in answer
    assert "It was x.png." in answer
    assert "Upload it again." in answer
    assert blamed(refusals.refused(form, OutOfDisk("Full.", hint="Free some."))) == {}


def test_the_same_refusal_twice_is_told_twice(form: Form) -> None:
    """The page hears of a value only when it differs from the one before."""
    error = FieldErrors({"width": "too wide"})
    assert refusals.refused(form, error) != refusals.refused(form, error)
    assert refusals.accepted() != refusals.accepted()


# ---- what is sent, and what is shown of it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "words"), [("write", "a wish"), ("fix", "a wish"), ("find_bugs", ""), ("complete", "")]
)
def test_words_that_are_not_shown_for_a_task_are_not_sent_with_it(task: Any, words: str) -> None:
    asked = CodeRequest(prompt="a wish", code="x = 1", suffix="y", task=task)
    sent = code.only_what_is_used(asked, None)
    assert (sent.prompt, sent.suffix) == (words, "y" if task == "complete" else "")


def test_the_button_of_the_code_tab_says_what_it_does() -> None:
    assert [code.arrange(task)[0]["value"] for task in ("write", "find_bugs", "tests")] == [
        "Write",
        "Find bugs",
        "Write tests",
    ]
    assert set(code.VERBS) == set(CodeRequest.model_fields["task"].annotation.__args__)  # type: ignore[union-attr]


def test_a_spoken_script_keeps_its_paragraphs_and_all_that_is_not_read_aloud() -> None:
    script = AudioRequest(prompt="Good morning.\n\nSee <https://example.org> now.").prompt
    words = [
        {"text": text, "start": start}
        for text, start in (("Good", 0.0), ("morning.", 0.4), ("See", 1.0), ("now.", 1.5))
    ]
    shown = audio.captions(words, script)
    assert unescape(re.sub(r"<[^>]+>", "", shown)) == script
    assert shown.count("data-at=") == 4


def test_no_page_of_ours_runs_scripts_out_of_its_own_text() -> None:
    """A strict content security policy would not run them, and none is needed: buttons carry `data-act`."""
    root = Path(__file__).resolve().parents[2]
    files = [
        *(root / "studio").rglob("*.py"),
        *(root / "studio" / "templates").glob("*.html"),
        *(root / "assets" / "theme").glob("*.js"),
    ]
    inline = re.compile(r"""<[a-z][^>]*\son(click|change|input|load|error|submit)\s*=""")
    assert [file.name for file in files if inline.search(file.read_text(encoding="utf-8"))] == []
