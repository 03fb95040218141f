"""The shape of the house: who may import whom, read from the source with `ast`, then checked in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = (
    "pipelines.messages",
    "pipelines.disk",
    "pipelines.errors",
    "pipelines.words.texts",
    "pipelines.catalog",
    "pipelines.words.samplers",
    "pipelines.words.languages",
)  # no torch: the server may use these
HEAVY = {"torch", "diffusers", "transformers", "cv2", "ray", "moviepy", "accelerate", "peft"}


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Dotted names this module imports. `if TYPE_CHECKING:` blocks do not count: they never run."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif top_level_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return names


def reaches(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(package + ".")}


def allowed_from_server(name: str) -> bool:
    return any(name == part or name.startswith(part + ".") for part in SHARED)


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", modules("studio"), ids=ids(modules("studio")))
def test_the_server_uses_only_the_shared_part_of_pipelines(path: Path) -> None:
    inner = reaches(imports(path), "pipelines") - {"pipelines"}
    forbidden = {name for name in inner if not allowed_from_server(name)}
    # the one place that starts the worker names its entry point; it runs in the other process
    if path.name == "local.py":
        forbidden -= reaches(forbidden, "pipelines.worker")
    assert not forbidden
    assert not {name for name in imports(path) if name.split(".")[0] in HEAVY}


@pytest.mark.parametrize("path", modules("pipelines"), ids=ids(modules("pipelines")))
def test_pipelines_never_import_the_server(path: Path) -> None:
    assert not reaches(imports(path), "studio")


@pytest.mark.parametrize("path", modules("studio/library"), ids=ids(modules("studio/library")))
def test_the_library_imports_nothing_else_of_ours(path: Path) -> None:
    """But the database it lies in, how a file is written whole, the sampler names files are written with, and how bytes are told."""
    names = imports(path)
    ours = reaches(names, "pipelines") | {
        name for name in reaches(names, "studio") - {"studio"} if not name.startswith("studio.library")
    }
    ours -= {
        name
        for part in ("pipelines.disk", "pipelines.errors", "pipelines.messages", "pipelines.words.samplers")
        for name in reaches(ours, part)
    } | {"pipelines"}
    assert not ours - {"studio.database"} - reaches(ours, "studio.database")


def test_only_the_reader_process_looks_into_files() -> None:
    """The server hands over what people bring and never decodes it."""
    reading = {
        "pictures.py",
        "thumbnails.py",
        "containers.py",
        "media.py",
        "metadata.py",
        "reader_process.py",
    }
    decoders = ("PIL", "pi_heif", "wave", "zipfile", "tarfile")
    helpers = tuple(
        f"studio.library.{name}" for name in ("pictures", "thumbnails", "containers", "reader_process")
    )
    for path in modules("studio"):
        if path.parent.name == "library" and path.name in reading:
            continue
        names = imports(path)
        assert not {name for name in names if name.split(".")[0] in decoders}, path
        assert not {name for name in names for helper in helpers if name.startswith(helper)}, path
        assert "run_ffmpeg" not in path.read_text(), path


@pytest.mark.parametrize("path", modules("pipelines/memory"), ids=ids(modules("pipelines/memory")))
def test_the_memory_manager_knows_no_model_library(path: Path) -> None:
    names = {name.split(".")[0] for name in imports(path)}
    assert not names & {"diffusers", "transformers"}
    ours = reaches(imports(path), "pipelines") - {"pipelines"}
    assert not {
        n
        for n in ours
        if not n.startswith(
            ("pipelines.memory", "pipelines.errors", "pipelines.disk", "pipelines.runtime.device")
        )
    }


CRAFTS = {
    "text": ROOT / "pipelines/language/text.py",
    "code": ROOT / "pipelines/language/code.py",
    "image": ROOT / "pipelines/diffusion/image.py",
    "audio": ROOT / "pipelines/audio/audio.py",
    "video": ROOT / "pipelines/video/video.py",
}


@pytest.mark.parametrize("modality", ["text", "code", "image", "audio", "video"])
def test_one_modality_never_imports_another(modality: str) -> None:
    """Code is text with other prompts, and may say so; the rest meet only in shared modules."""
    others = {"text", "code", "image", "audio", "video"} - {modality}
    if modality == "code":
        others -= {"text"}
    names = imports(CRAFTS[modality])
    forbidden = {".".join(CRAFTS[other].relative_to(ROOT).with_suffix("").parts) for other in others}
    assert not {name for name in names for other in forbidden if reaches({name}, other)}


@pytest.mark.parametrize("path", modules("studio/page"), ids=ids(modules("studio/page")))
def test_tabs_touch_no_database_and_no_worker(path: Path) -> None:
    names = imports(path)
    for package in (
        "sqlalchemy",
        "studio.queue.rows",
        "studio.queue.store",
        "studio.workers.local",
        "studio.database",
    ):
        assert not reaches(names, package)


@pytest.mark.parametrize(
    "module", ["studio.queue.store", "studio.queue.feeder", "studio.workers.pool", "studio.studio"]
)
def test_the_core_knows_neither_gradio_nor_http(module: str) -> None:
    names = imports(ROOT / (module.replace(".", "/") + ".py"))
    assert not {name.split(".")[0] for name in names} & {"gradio", "fastapi", "starlette"}


def test_only_the_device_module_asks_torch_about_a_device() -> None:
    offenders = [
        str(path.relative_to(ROOT))
        for path in modules("pipelines")
        if path.name != "device.py" and "training" not in path.parts and "torch.cuda" in path.read_text()
    ]
    assert offenders == []


def test_no_module_imports_a_heavy_library_before_it_is_needed() -> None:
    """The shared part is what the server loads at start: it must cost milliseconds."""
    for path in [
        *modules("pipelines/messages"),
        ROOT / "pipelines/errors.py",
        *modules("pipelines/words"),
        *modules("pipelines/catalog"),
    ]:
        assert not {name.split(".")[0] for name in imports(path)} & (HEAVY | {"numpy"}), path


def test_the_server_runs_without_torch_in_memory() -> None:
    code = (
        "import sys, studio.app, studio.studio, studio.api, studio.cli.generate\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'cv2'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_no_cycle_among_our_modules() -> None:
    """At import time, that is: a function may import late."""
    graph = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): imports(
            path, top_level_only=True
        )
        for folder in ("studio", "pipelines")
        for path in modules(folder)
    }
    edges = {
        name: {other for other in names if other in graph and other != name} for name, names in graph.items()
    }
    state: dict[str, int] = {}

    def walk(name: str, trail: list[str]) -> None:
        state[name] = 1
        for other in edges[name]:
            # a package's own __init__ gathers its parts; that direction is not a cycle
            if other.startswith(name + ".") or name.startswith(other + "."):
                continue
            assert state.get(other) != 1, f"import cycle: {' → '.join([*trail, name, other])}"
            if other not in state:
                walk(other, [*trail, name])
        state[name] = 2

    for name in edges:
        if name not in state:
            walk(name, [])
