"""HTML from templates: hostile words change no tag, a name that is missing is an error, and a line break adds nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import DictLoader, UndefinedError

from pipelines.catalog import ModelSpec
from pipelines.errors import Problem
from pipelines.messages import REQUESTS, Progress
from pipelines.messages.spec import Source
from studio import templates
from studio.accounts.keys import Key
from studio.library import Asset
from studio.page import audio, image, library, memory, models, pieces, queue, refusals
from studio.queue.jobs import Job, JobSummary
from studio.queue.standing import Standing
from studio.queue.updates import Update
from studio.templates import ENVIRONMENT, FOLDER, Macros, joined

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</pre></textarea></details></style>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
)


class Shape(HTMLParser):
    """The tags of a text and the names of their attributes: what a browser would make of it, without its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attributes)))


def spec(words: str) -> ModelSpec:
    return ModelSpec(
        id=words,
        title=words,
        modalities=("image",),
        loader="diffusers",
        source=Source(path="/models/one"),
        licence=words,
        restriction=words,
        description=words,
        weight_bytes=1,
        memory_bytes=1,
        facts={"understands": {"place": [words], "colour": [words]}},
        examples=(words,),
    )


def asset(words: str) -> Asset:
    recipe = {"prompt": words, "modality": "image", "seed": 1, "style": words}
    facts = {"width": 8, "height": 8, "note": words}
    return Asset("id", "image", "image/png", words, words, words, words, 1.0, 1, "", facts, recipe, (words,))


def update(words: str, status: str = "in_progress") -> Update:
    request = REQUESTS["image"](prompt=words, seed=1)
    job = Job("id", "ada", request, status, 1.0, problem=Problem("internal", words, words, words))  # type: ignore[arg-type]
    return Update(job, Progress("id", words, 1, 4), eta_seconds=3.0)


def panel(words: str) -> str:
    own = Standing("id", "ada", "image", words, words, "in_progress", 0, 3.0, 1.0)
    others = dataclasses.replace(own, job_id="", owner="")
    ended = JobSummary("id", "image", words, words, "failed", 1.0, None, None, (), None, "")
    return queue.panel([own, others], [ended], "ada", {}, lambda job: Progress(job, "denoise", 1, 4))


def residents(words: str) -> str:
    held = [{"key": f"{words}:unet", "state": "resident", "nbytes": 1, "whole_bytes": 1, "models": [words]}]
    snapshot = {"components": held, "budget_bytes": 2, "events": [{"what": "load", "why": words}]}
    return memory.card({"worker": "ready", "device": words, "memory": snapshot}, {words: words}, 0.0)


def card_beside_the_shelf(words: str) -> str:
    one = asset(words)
    return library.detail_card(one, library.SHELF.listing(words, words), [(one, words)], [(one, words)])


VIEWS: dict[str, Callable[[str], str]] = {
    "button": lambda words: pieces.button(words, "fill", title=words, fill={"prompt": words}, job=words),
    "facts": lambda words: pieces.facts_line(update(words).job, words, {"width": words, "height": words}),
    "notes": lambda words: pieces.notes({"notes": [words]}),
    "speak": lambda words: pieces.speak(words),
    "restored": lambda words: pieces.restored([words], True),
    "about a model": lambda words: (
        pieces.examples(spec(words)) + pieces.understands(spec(words)) + pieces.model_note(spec(words))
    ),
    "bar of what runs": lambda words: pieces.job_bar(update(words)),
    "bar of what failed": lambda words: pieces.job_bar(update(words, "failed")),
    "answer": lambda words: refusals.ANSWERS.answer(refusals.ANSWERS.lines([words]), words, words),
    "queue": panel,
    "memory": residents,
    "model": lambda words: models.card(spec(words), None),
    "shelf": lambda words: library.tiles([asset(words)], 2, "", False),
    "detail": card_beside_the_shelf,
    "picture": lambda words: image.shot(asset(words), words, 1),
    "script": lambda words: audio.captions([{"text": words, "start": 0.5}], f"{words} {words}"),
    "login": lambda words: Macros("account.html").login(words, words, words, words),
    "account": lambda words: Macros("account.html").account(
        words, words, words, words, words, words, "", [(Key(words, words, words, 1.0), words, words)], 60
    ),
    "page": lambda words: Macros("account.html").page(words, words, words, words),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_change_no_tag_anywhere(view: Callable[[str], str], words: str) -> None:
    """Text of people, of files and of models comes out as text, whatever is in it."""
    shown = view(words)
    assert Shape(shown).tags == Shape(view("plain words")).tags
    assert "49" not in shown


def test_no_template_lets_a_value_through_unescaped() -> None:
    for file in FOLDER.glob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert [word for word in ("safe", "autoescape") if word in text] == [], file.name


def test_a_name_that_a_template_misses_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        Macros("pieces.html").note()
    with pytest.raises(UndefinedError):
        Macros("icons.html").icon("nothing drawn")


def test_every_template_compiles() -> None:
    for file in FOLDER.glob("*.html"):
        assert ENVIRONMENT.get_template(file.name).module is not None


def test_a_line_break_in_a_template_adds_no_gap_on_the_page() -> None:
    assert joined("<p>\n  <b>a</b>\n  <i>b</i>\n</p>\n") == "<p><b>a</b><i>b</i></p>"
    assert joined('<a class="x"\n   href="y">some\n   words</a>') == '<a class="x" href="y">some words</a>'


def test_line_breaks_of_a_value_are_kept() -> None:
    assert "<pre>a\n\n  b</pre>" in Macros("library.html").listing("a\n\n  b", "")


def test_what_was_compiled_is_found_by_the_next_start(tmp_path: Path) -> None:
    compiled = templates.Compiled(tmp_path / "kept")
    first = ENVIRONMENT.overlay(loader=DictLoader({"a": "{{ 1 + 1 }}"}), bytecode_cache=compiled)
    assert first.get_template("a").render() == "2"
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_an_installation_that_nobody_may_write_to_shows_its_page(tmp_path: Path) -> None:
    closed = ENVIRONMENT.overlay(
        loader=DictLoader({"a": "shown"}), bytecode_cache=templates.Compiled(tmp_path / "not there" / "kept")
    )
    assert closed.get_template("a").render() == "shown"
