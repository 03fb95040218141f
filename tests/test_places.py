"""How many places one touches to add a thing, counted in the source and held against the table in docs/architecture.md.

Counted by what is there: the files that name one model, one family, one knob, one route; the files that know every modality and
those of a single one; the numbered places of the task that `test_new_task.py` adds. `-s` prints them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from pipelines import messages
from pipelines.catalog.families import FAMILIES
from pipelines.catalog.recommended import OFFERS
from pipelines.messages import KINDS, MODALITIES, REQUESTS
from pipelines.worker.registry import row_for

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("pipelines/catalog/recommended.py", "pipelines/catalog/builtin.py")
"""A model of a family is a place of its own; so are the words by which the catalogue tells folders apart."""


@cache
def named() -> dict[str, frozenset[str]]:
    """Our files → every text and name in them, docstrings aside."""
    files = [*(ROOT / "studio").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): frozenset(_words(path)) for path in sorted(files)}


def _words(path: Path) -> Iterable[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield f"“{node.value}”"
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def files_with(word: str) -> set[str]:
    return {path for path, words in named().items() if word in words and "/training/" not in path}


def text(value: str) -> str:
    return f"“{value}”"


def path_of(reached: str) -> str:
    """“module:Class” → its file."""
    return reached.split(":")[0].replace(".", "/") + ".py"


def model() -> set[str]:
    return files_with(text(OFFERS[-1].repo))


def family() -> set[str]:
    """MusicGen: read from a folder, opened, performed, its knobs shown; whoever else names it would be one more."""
    loader = FAMILIES["musicgen"].loader
    engine = path_of(f"pipelines.audio.{FAMILIES[loader].engine}")
    return (files_with(text(loader)) - set(MODELS)) | {engine}


def knob() -> set[str]:
    return files_with("min_p")


def task() -> list[str]:
    source = (ROOT / "tests/worker/test_new_task.py").read_text(encoding="utf-8")
    return re.findall(r"# ---- \d\. (.*?) -", source)


def modality() -> set[str]:
    """Whatever knows (nearly) all five, and what is there for sound alone."""
    every = {
        path
        for path, words in named().items()
        if len(words & {text(name) for name in MODALITIES}) >= 4 and not path.startswith("pipelines/catalog/")
    }
    own = {
        path_of(REQUESTS["audio"].__module__),
        path_of(row_for("audio", "").path),
        f"studio/page/{KINDS['audio'].pane}.py",
    }
    return every | own | {"pipelines/messages/requests/__init__.py"}


def route() -> set[str]:
    """Its function, and the page whose every example is run: `tests/api/test_docs.py` asks for one of each route."""
    page = "docs/api.md"
    written = "$STUDIO/v1/audio/speech" in (ROOT / page).read_text(encoding="utf-8")
    return files_with(text("/v1/audio/speech")) | ({page} if written else set())


def store() -> set[str]:
    """Where the folder's store stands, and whoever takes it from there."""
    module = "studio.library.folder"
    return {path_of(module)} | {path for path, words in named().items() if module in words}


COUNTS = {f.__name__: f for f in (model, family, knob, task, modality, route, store)}


def documented() -> dict[str, int]:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Where to add")[2].partition("\n## ")[0]
    return {wish: int(count) for wish, count in re.findall(r"^\| an? (\w+) \|.*\| (\d+) \|$", table, re.M)}


@pytest.mark.parametrize("thing", COUNTS)
def test_adding_touches_as_many_places_as_the_docs_say(thing: str) -> None:
    places = sorted(COUNTS[thing]())
    print(f"\n{thing}: {len(places)}\n  " + "\n  ".join(places))
    assert len(places) == documented()[thing], places


def test_a_request_class_is_there_by_being_written() -> None:
    """A list of them was a fourth place: without it the new class could not be imported from `pipelines.messages`."""
    for kind in REQUESTS.values():
        assert getattr(messages, kind.__name__) is kind
        assert files_with(text(kind.__name__)) == set()


def test_the_table_tells_of_each_of_them() -> None:
    assert set(documented()) >= set(COUNTS)
