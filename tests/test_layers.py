"""The shape of the house: one table says who may import whom, and every import is held to it.

A *room* is a folder under `pipelines/` or `studio/`, or a module that lies loose in one of them. `python3 -m tests.test_layers`
writes the same tree and the same table into docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"

FLOOR = "pipelines/errors pipelines/disk pipelines/words pipelines/messages pipelines/catalog"
CRAFT = "errors disk words messages catalog media memory runtime loading"

ALLOWED = {
    "pipelines/__init__": "",
    "pipelines/errors": "",
    "pipelines/disk": "",
    "pipelines/words": "",
    "pipelines/messages": "errors words messages/requests",
    "pipelines/messages/requests": "errors words messages",
    "pipelines/catalog": "errors disk words messages",
    "pipelines/media": "errors words messages",
    "pipelines/memory": "errors disk",
    "pipelines/memory/weights": "errors memory",
    "pipelines/runtime": "errors messages catalog media memory memory/weights",
    "pipelines/loading": "errors disk messages catalog memory memory/weights runtime",
    "pipelines/timeline": "errors messages media",
    "pipelines/language": CRAFT,
    "pipelines/diffusion": CRAFT,
    "pipelines/audio": CRAFT,
    "pipelines/video": f"{CRAFT} timeline diffusion",
    "pipelines/illustrator": "errors words messages catalog media memory runtime timeline",
    "pipelines/worker": "errors messages catalog memory runtime",
    "pipelines/__main__": "worker",
    "pipelines/training": f"{CRAFT} language diffusion audio",
    "pipelines/training/starter": "disk training language illustrator",
    "studio/__init__": "",
    "studio/flags": "__init__",
    "studio/settings": "pipelines/errors pipelines/catalog flags",
    "studio/folder": "pipelines/errors",
    "studio/migrations": "",
    "studio/migrations/versions": "",
    "studio/database": "pipelines/errors folder",
    "studio/downloads": "pipelines/errors pipelines/catalog",
    "studio/planning": "pipelines/errors pipelines/messages",
    "studio/library": "pipelines/errors pipelines/disk pipelines/words pipelines/messages database",
    "studio/templates": "pipelines/messages",
    "studio/accounts": "pipelines/errors pipelines/disk settings database templates",
    "studio/workers": "pipelines/errors pipelines/messages pipelines/catalog settings",
    "studio/queue": f"{FLOOR} settings database library workers",
    "studio/housekeeping": "folder library queue",
    "studio/studio": f"{FLOOR} settings folder database downloads planning library workers queue housekeeping",
    "studio/api": f"{FLOOR} __init__ accounts library workers queue planning studio",
    "studio/page": f"{FLOOR} templates accounts library workers queue downloads planning studio api",
    "studio/app": "settings templates accounts studio api page",
    "studio/cli": f"{FLOOR} __init__ flags settings folder database accounts library queue planning studio api app",
}
"""Each room and the rooms it may import, anywhere in a file. A short name is of the same side, `pipelines` or `studio`."""

BY_NAME = {
    "pipelines/worker": "language diffusion audio video illustrator",
    "pipelines/training": "training/starter",
    "studio/workers": "pipelines/__main__",
    "studio/cli": "pipelines/loading pipelines/training tests",
}
"""Rooms that are reached by the name of a module written as text, and may not be imported: other processes, and the crafts."""

TORCH = {"torch", "diffusers", "transformers", "accelerate", "peft"}
HEAVY = TORCH | {"cv2", "ray", "moviepy"}
HTTP = {"gradio", "fastapi", "starlette"}
CORE = "settings folder database downloads planning workers queue housekeeping studio"
KEPT_OUT = {
    "pipelines": HTTP | {"sqlalchemy", "alembic", "moviepy"},
    **dict.fromkeys(FLOOR.split(), HEAVY | {"numpy"}),
    **dict.fromkeys(
        (
            f"pipelines/{room}"
            for room in ("media", "memory", "timeline", "illustrator", "worker", "__main__")
        ),
        TORCH,
    ),
    "pipelines/memory/weights": {"diffusers", "transformers"},
    "studio": HEAVY,
    **dict.fromkeys(
        (f"studio/{room}" for room in CORE.split()),
        HTTP,
    ),
    "studio/library": {
        "gradio",
        "fastapi",
    },  # a store may answer a download itself: starlette's responses are its words
    "studio/page": {"sqlalchemy"},
}
"""Libraries that no module of a side or of a room may load, now or later. What is imported only for types does not count."""

Sources = dict[str, str]


def sources() -> Sources:
    """Our modules: the path from the root, and the text."""
    files = (file for side in ("pipelines", "studio") for file in (ROOT / side).rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in sorted(files)}


HOUSE = sources()


def room_of(path: str) -> str:
    """`studio/queue/jobs.py` lies in `studio/queue`; `studio/app.py` is a room by itself."""
    folder = path.rpartition("/")[0]
    return path.removesuffix(".py") if folder in ("pipelines", "studio") else folder


def places(house: Sources) -> dict[str, str]:
    """Modules and folders by their dotted names, and the room each lies in."""
    found = {}
    for path in house:
        parts = path.removesuffix(".py").split("/")
        found.update({".".join(parts[:end]): "/".join(parts[:end]) for end in range(2, len(parts))})
        found[".".join(parts)] = room_of(path)
    return found


def room_named(name: str, rooms: dict[str, str]) -> str:
    """The room a dotted name leads to. `studio.__version__` and the like lead to the package itself."""
    parts = name.split(".")
    longest = (".".join(parts[:end]) for end in range(len(parts), 1, -1))
    return (
        "tests"
        if parts[0] == "tests"
        else next((rooms[n] for n in longest if n in rooms), f"{parts[0]}/__init__")
    )


@cache
def imported(text: str, *, running: bool = False, at_once: bool = False) -> tuple[str, ...]:
    """Dotted names that are imported. running: not those only for types. at_once: not those inside functions either."""

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and running and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if at_once and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    return tuple(visit(ast.parse(text)))


@cache
def named(text: str) -> tuple[str, ...]:
    """Names as of modules of ours, written as text: `"pipelines.x:Class"`, how an f-string begins, what follows `"-m"`."""

    def found() -> Iterator[str]:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if match := re.fullmatch(r"((?:pipelines|studio|tests)(?:\.\w+)+)\.?(?::\w+)?", node.value):
                    yield match[1]
            elif isinstance(node, ast.List | ast.Tuple):
                words = [item.value if isinstance(item, ast.Constant) else None for item in node.elts]
                yield from (
                    f"{word}.__main__"
                    for flag, word in pairwise(words)
                    if (flag, word) == ("-m", "pipelines")
                )

    return tuple(found())


def row(table: dict[str, str], room: str) -> set[str]:
    side = room.partition("/")[0]
    names = table.get(room, "").split()
    return {
        name if name.startswith(("pipelines/", "studio/")) or name == "tests" else f"{side}/{name}"
        for name in names
    }


def wrong_arrows(house: Sources) -> list[str]:
    """Every module without a room, and every import that no row allows: one sentence each."""
    rooms = places(house)
    return [sentence for path, text in house.items() for sentence in wrong_in(path, text, rooms)]


def wrong_in(path: str, text: str, rooms: dict[str, str]) -> Iterator[str]:
    room = room_of(path)
    if room not in ALLOWED:
        yield f"{path}: {room} has no row in ALLOWED"
        return
    ours = [name for name in imported(text) if name.split(".")[0] in ("pipelines", "studio", "tests", "")]
    texts = [name for name in named(text) if name in rooms or name.startswith("tests.")]
    may_import, may_name = row(ALLOWED, room), row(ALLOWED, room) | row(BY_NAME, room)
    for names, allowed in ((ours, may_import), (texts, may_name)):
        for name in names:
            other = room_named(name, rooms)
            if other not in allowed | {room}:
                yield f"{path}: {name} is in {other}, which {room} may not use"


def kept_out(room: str) -> set[str]:
    """What no module of that room may load."""
    side = room.partition("/")[0]
    return KEPT_OUT[side] | KEPT_OUT.get(room, set())


def wrong_libraries(house: Sources) -> list[str]:
    wrong = []
    for path, text in house.items():
        loaded = {name.split(".")[0] for name in imported(text, running=True)}
        if bad := loaded & kept_out(room_of(path)):
            wrong.append(f"{path} loads {', '.join(sorted(bad))}")
    return wrong


def test_every_module_imports_only_what_the_table_allows() -> None:
    assert wrong_arrows(HOUSE) == []


def test_no_module_loads_a_library_its_room_keeps_out() -> None:
    assert wrong_libraries(HOUSE) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("pipelines/language/text.py", "from pipelines.diffusion.image import ImagePipeline"),
        ("pipelines/language/text.py", "from pipelines import video"),
        ("pipelines/audio/bark.py", "def late():\n    import pipelines.language.text as text"),
        ("pipelines/media/film.py", "if TYPE_CHECKING:\n    from pipelines.runtime.context import Context"),
        ("pipelines/memory/policy.py", "from pipelines.memory.weights.arena import Arena"),
        ("pipelines/worker/worker.py", "from pipelines.illustrator.engine import paint"),
        ("pipelines/catalog/spec.py", 'WORKER = "pipelines.worker.worker:Worker"'),
        ("pipelines/language/code.py", 'MADE_BY = f"pipelines.audio.{name}"'),
        ("pipelines/errors.py", "import studio"),
        ("pipelines/audio/espeak.py", 'COMMAND = ["python", "-m", "pipelines"]'),
        ("pipelines/timeline/camera.py", "from .interpolation import Frame"),
        ("studio/queue/jobs.py", "from studio.studio import Studio"),
        ("studio/library/files.py", "from studio.queue import pace"),
        ("studio/page/frame.py", "from studio.database import open_database"),
        ("studio/api/jobs.py", "from pipelines.memory import Lease"),
        ("studio/cli/serve.py", "from tests import bench"),
        ("studio/studio.py", "from studio import api"),
        ("studio/newroom/thing.py", ""),
        ("pipelines/catalog/inner/thing.py", ""),
        ("pipelines/loose.py", ""),
    ],
)
def test_a_wrong_arrow_is_seen(path: str, line: str) -> None:
    """Each of these is in no row; a guard that lets one pass guards nothing."""
    house = {**HOUSE, path: f"{HOUSE.get(path, '')}\n{line}\n"}
    seen = [sentence for sentence in wrong_arrows(house) if sentence not in wrong_arrows(HOUSE)]
    assert len(seen) == 1, seen
    assert seen[0].startswith(f"{path}:")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("studio/api/jobs.py", "import torch"),
        ("studio/queue/jobs.py", "def late():\n    from fastapi import Request"),
        ("studio/page/frame.py", "import sqlalchemy as sa"),
        ("pipelines/messages/__init__.py", "import numpy as np"),
        ("pipelines/memory/ledger.py", "def late():\n    import torch"),
        ("pipelines/memory/weights/arena.py", "from diffusers import UNet2DModel"),
        ("pipelines/illustrator/brush.py", "import torch.nn"),
        ("pipelines/audio/bark.py", "import gradio"),
    ],
)
def test_a_library_in_the_wrong_room_is_seen(path: str, line: str) -> None:
    house = {**HOUSE, path: f"{HOUSE[path]}\n{line}\n"}
    seen = [sentence for sentence in wrong_libraries(house) if sentence not in wrong_libraries(HOUSE)]
    assert [sentence.split(" loads ")[0] for sentence in seen] == [path]


def test_every_row_is_of_a_room_there_is() -> None:
    rooms = {room_of(path) for path in HOUSE}
    assert set(ALLOWED) == rooms
    assert {
        other for table in (ALLOWED, BY_NAME) for room in table for other in row(table, room)
    } <= rooms | {"tests"}


def test_no_circle_among_the_rooms() -> None:
    done: list[str] = []
    while waiting := [room for room in ALLOWED if room not in done]:
        # a folder and one inside it are one room, which may lean on its own part
        needed = {
            room: {other for other in row(ALLOWED, room) if not other.startswith(f"{room}/")}
            for room in waiting
        }
        free = [room for room in waiting if needed[room] <= set(done)]
        assert free, f"a circle among {waiting}"
        done += free


def test_no_circle_among_our_modules() -> None:
    """At import time, that is: a function may import late."""
    names = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): path for path in HOUSE}
    edges = {
        name: {n for full in imported(HOUSE[path], running=True, at_once=True) for n in owners(full, names)}
        for name, path in names.items()
    }
    done: set[str] = set()
    while waiting := set(edges) - done:
        # a package's own __init__ gathers its parts; that direction is not a circle
        free = {
            name
            for name in waiting
            if all(other in done or name.startswith(f"{other}.") for other in edges[name] - {name})
        }
        assert free, f"a circle among {sorted(waiting)}"
        done |= free


def test_no_name_in_a_package_hides_a_module_of_it() -> None:
    """A function `models` in `studio/cli/__init__.py` made `from studio.cli import models` give the function."""
    for path, text in HOUSE.items():
        folder = path.removesuffix("__init__.py")
        if folder == path:
            continue
        made = {
            node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        assert not {
            name for name in made if f"{folder}{name}.py" in HOUSE or f"{folder}{name}/__init__.py" in HOUSE
        }, path


def owners(full: str, names: dict[str, str]) -> set[str]:
    """The modules of ours that importing a dotted name runs last: the name itself, or what it is taken from."""
    return {full} if full in names else {full.rpartition(".")[0]} & set(names)


def test_only_the_reader_process_looks_into_files() -> None:
    """The server hands over what people bring and never decodes it."""
    inside = ("pictures", "thumbnails", "containers", "reader_process")
    reading = {f"studio/library/{name}.py" for name in (*inside, "media", "metadata")}
    decoders = {"PIL", "pi_heif", "wave", "zipfile", "tarfile"}
    for path, text in HOUSE.items():
        if path in reading or not path.startswith("studio/"):
            continue
        names = set(imported(text, running=True))
        assert not {name.split(".")[0] for name in names} & decoders, path
        assert not {
            name for name in names if name.startswith(tuple(f"studio.library.{n}" for n in inside))
        }, path
        assert "run_ffmpeg" not in text, path


def test_the_page_starts_no_worker_and_asks_no_queue() -> None:
    """It may know how a job and a resident look; what to do about them is the Studio's."""
    own = tuple(
        f"studio.{name}"
        for name in ("queue.rows", "queue.store", "queue.feeder", "workers.local", "workers.pool")
    )
    for path, text in HOUSE.items():
        if path.startswith("studio/page/"):
            assert not [name for name in imported(text, running=True) if name.startswith(own)], path


def test_code_is_text_with_other_prompts_and_text_knows_nothing_of_it() -> None:
    code = ("pipelines.language.code", "pipelines.language.code_checks", "pipelines.language.code_text")
    assert not [name for name in imported(HOUSE["pipelines/language/text.py"]) if name.startswith(code)]


def test_only_the_device_module_asks_torch_about_a_device() -> None:
    asking = {path for path, text in HOUSE.items() if path.startswith("pipelines/") and "torch.cuda" in text}
    assert {path for path in asking if "/training/" not in path} == {"pipelines/runtime/device.py"}


@pytest.mark.parametrize(
    "modules",
    [
        "studio.app, studio.studio, studio.api, studio.cli.generate",
        "pipelines.memory.manager, pipelines.memory.learned, pipelines.worker.worker",
        "pipelines.timeline.camera, pipelines.timeline.storyboard, pipelines.illustrator.film",
    ],
)
def test_what_needs_no_torch_runs_without_it(modules: str) -> None:
    """The table says what may be written; a fresh interpreter, what really happens."""
    code = f"import sys, {modules}\nprint(sorted({TORCH!r} & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def first_line(room: str) -> str:
    """What a room says it is."""
    for path in (f"{room}/__init__.py", f"{room}.py", f"{room}/env.py"):
        if text := ast.get_docstring(ast.parse(HOUSE.get(path, ""))):
            return text.splitlines()[0]
    return ""


def tree() -> str:
    lines = []
    for side in ("pipelines", "studio"):
        lines.append(f"{side}/")
        for room in (room for room in ALLOWED if room.startswith(f"{side}/") and first_line(room)):
            depth, name = room.count("/"), room.rpartition("/")[2]
            folder = "" if f"{room}.py" in HOUSE else "/"
            if name != "__init__":
                lines.append(f"{'  ' * depth}{name + folder:<{18 - 2 * depth}}{first_line(room)}")
    return "\n".join(lines)


def table() -> str:
    lines = [
        f"The *floor* is {FLOOR.replace('pipelines/', '')}; what *crafts share* is {CRAFT}.\n",
        "| room | may import | reaches by name |",
        "| --- | --- | --- |",
    ]
    for room, names in ALLOWED.items():
        if not room.endswith(("__init__", "/versions")):
            short = names.replace(FLOOR, "*floor*").replace(CRAFT, "*crafts share*").replace("__init__ ", "")
            lines.append(f"| `{room}` | {short} | {BY_NAME.get(room, '')} |")
    return "\n".join(lines)


def written(document: str) -> str:
    """The document with the tree and the table between its marks as they are now."""
    for mark, text in (("tree", f"```\n{tree()}\n```"), ("table", table())):
        begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
        before, _, rest = document.partition(begin)
        document = before + begin + text + "\n" + end + rest.partition(end)[2]
    return document


def test_the_document_shows_this_tree_and_this_table() -> None:
    """After a change: `python3 -m tests.test_layers` writes both anew."""
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == written(document)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
