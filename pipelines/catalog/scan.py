"""Find the models in folders people already have: diffusers and transformers folders, other programs' model trees, hub caches.

Walks by folder names; `identify.py` says what each find is. What is wrong with one folder stays with it. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pipelines.catalog.headers import PICKLES, STEMS
from pipelines.catalog.identify import identify, name_of
from pipelines.errors import InvalidRequest
from pipelines.messages.spec import ModelSpec, Source, cleaned

__all__ = ["distinct", "extra_model_paths", "identify", "scan"]

# Folders of other programs that hold additions to models, or no models at all.
SKIPPED = {
    "lora", "loras", "lycoris", "vae", "vae_approx", "vae-approx", "embeddings", "hypernetworks", "controlnet", "t2i_adapter",
    "esrgan", "realesrgan", "swinir", "gfpgan", "codeformer", "upscale_models", "clip", "clip_vision", "text_encoders",
    "style_models", "gligen", "photomaker", "ipadapter", "insightface", "deepbooru", "karlo", "outputs", "output", "venv",
    "node_modules", "__pycache__", "site-packages", "custom_nodes", "extensions", "lost+found", "system volume information",
    "$recycle.bin",
}  # fmt: skip
MODEL_KINDS = ("checkpoints", "diffusion_models", "unet", "diffusers")  # of extra_model_paths.yaml
MAX_DEPTH = 5
MAX_FOLDERS = 5000  # someone may point at a home folder
MAX_ENTRIES = 100_000
NO_DISK = ("/proc/", "/sys/", "/dev/")  # what the system shows there looks like files and has no end


def scan(*folders: Path, lenders: Iterable[Path] = (), additions: bool = False) -> list[ModelSpec]:
    """Every model in these folders (or the ones the paths are), with ids unique within the answer; missing paths give none.

    Broken models are listed with their problem. additions: list LoRAs, VAEs, … too, which are no models; a path that is one
    itself always is. lenders: more diffusers folders that may lend a single file the configs of its family, as those found do.
    """
    named, found = _places(folders)
    lending = [path for path in (*named, *found, *lenders) if _is_file(path / "model_index.json")]
    specs = [_named(path, identify(path, lending)) for path in named]
    more = [_named(path, identify(path, lending)) for path in found]
    specs += [spec for spec in more if additions or spec.facts.get("kind", "checkpoint") == "checkpoint"]
    return distinct(specs)


def _places(folders: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The paths that are models themselves, and the models in the others; each once."""
    named: dict[Path, None] = {}
    found: dict[Path, None] = {}
    for folder in folders:
        folder = folder.expanduser()
        if _is_file(folder) or _is_model(folder):
            named[folder] = None
        elif _is_folder(folder):
            found |= dict.fromkeys(_walk(folder))
    return list(named), [path for path in found if path not in named]


def extra_model_paths(file: Path) -> list[Path]:
    """The model folders an `extra_model_paths.yaml` of ComfyUI names; relative ones stand under their section's base_path.

    Raises InvalidRequest when it is not readable as such a file.
    """
    import yaml

    try:
        sections = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise _bad_yaml(file, str(error).splitlines()[0]) from None
    if not isinstance(sections, dict):
        raise _bad_yaml(file, "It has no sections.")
    folders: list[Path] = []
    for section in sections.values():
        if isinstance(section, dict):
            folders += _section_folders(section, file.parent)
    return list(dict.fromkeys(folders))


def _section_folders(section: dict[str, object], here: Path) -> list[Path]:
    base = here / Path(str(section.get("base_path") or ".")).expanduser()
    lines = [line.strip() for kind in MODEL_KINDS for line in str(section.get(kind) or "").splitlines()]
    return [(base / Path(line).expanduser()).resolve() for line in lines if line]


def _bad_yaml(file: Path, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"{file.name} cannot be read as a list of model folders.",
        field="extra_model_paths_config",
        detail=detail,
        hint="It needs sections with a base_path and kinds such as checkpoints; ComfyUI ships an example.",
    )


# ---- walking ----


def _is_model(folder: Path) -> bool:
    """Whether a folder is one model, usable or not."""
    if _is_file(folder / "model_index.json") or _is_file(folder / "adapter_config.json"):
        return True
    if any(_is_file(folder / part / "config.json") for part in ("unet", "transformer")):
        return True  # of a diffusers model, whose index is missing
    names = [entry.name for entry in _entries(folder)]
    if any(name.startswith(STEMS) and ".safetensors" in name for name in names):
        return True
    has_weights = any(name.endswith((".safetensors", *PICKLES, ".gguf")) for name in names)
    return has_weights and _is_file(folder / "config.json")


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, in order; nothing where it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _place_of(folder: Path) -> tuple[int, int] | None:
    try:
        told = folder.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def _walk(root: Path) -> Iterator[Path]:
    """Folders and files that look like models, in the order a person would meet them; folders that may not be read too."""
    seen: set[tuple[int, int]] = set()
    waiting = [(root, 0)]
    looked_at = 0
    while waiting and len(seen) < MAX_FOLDERS and looked_at < MAX_ENTRIES:
        folder, depth = waiting.pop(0)
        if f"{os.path.realpath(folder)}/".startswith(NO_DISK):
            continue
        place = _place_of(folder)
        if place is None or place in seen:  # gone meanwhile, or a link led back here
            continue
        seen.add(place)
        if not os.access(folder, os.R_OK | os.X_OK):
            yield folder
            continue
        entries = _entries(folder)
        looked_at += len(entries)
        for entry in entries:
            if _is_file(entry):
                if entry.suffix in (".safetensors", ".ckpt", ".gguf"):
                    yield entry
            elif _is_folder(entry) and entry.name.startswith("models--"):
                if snapshot := _snapshot(entry):
                    yield snapshot
            elif _is_folder(entry) and not _is_skipped(entry):
                if _is_model(entry):
                    yield entry
                elif depth < MAX_DEPTH:
                    waiting.append((entry, depth + 1))


def _is_skipped(folder: Path) -> bool:
    name = folder.name.lower()
    return name in SKIPPED or name.startswith(".") or name.endswith(".config")


def _snapshot(repo: Path) -> Path | None:
    """The snapshot `main` of a hub cache's repository points to, or its newest."""
    try:
        reference = repo / "refs" / "main"
        if reference.is_file():
            wanted = repo / "snapshots" / reference.read_text().strip()
            if wanted.is_dir():
                return wanted
        snapshots = sorted(repo.glob("snapshots/*"), key=lambda folder: folder.stat().st_mtime)
    except (OSError, ValueError):
        return None
    return snapshots[-1] if snapshots else None


def _named(path: Path, spec: ModelSpec) -> ModelSpec:
    """A hub repository goes by its own name, not by the commit its folder is called."""
    repo = path.parent.parent.name
    if path.parent.name != "snapshots" or not repo.startswith("models--"):
        return spec
    name = repo.removeprefix("models--").replace("--", "/", 1)
    source = Source(path=spec.source.path, repo=name, revision=path.name)
    return dataclasses.replace(spec, id=name, title=name.split("/")[-1], source=source)


def distinct(specs: Iterable[ModelSpec], remembered: Mapping[str, str] | None = None) -> list[ModelSpec]:
    """The same models under ids that are all different: of two with one name, the later is told by the folder it lies in.

    remembered: path → the id it has had before; it keeps that one, and nobody else gets it.
    """
    remembered = remembered or {}
    taken = set(remembered.values())
    answer = []
    for spec in specs:
        name = remembered.get(spec.source.path) or next(name for name in _names(spec) if name not in taken)
        taken.add(name)
        same = name == spec.id
        answer.append(spec if same else dataclasses.replace(spec, id=name, title=name.split("/", 1)[-1]))
    return answer


def plain_name(spec: ModelSpec) -> str:
    """The id a model would have if no other shared its name."""
    path = Path(spec.source.path)
    return spec.id if path.parent.name == "snapshots" else f"{spec.owner}/{name_of(path)}"


def _names(spec: ModelSpec) -> Iterator[str]:
    """Ids for a model, the plainest first; they depend on where it lies and on nothing else, so that they stay."""
    path = Path(spec.source.path)
    yield spec.id
    yield f"{spec.owner}/{cleaned(path.parent.name)}-{spec.id.split('/', 1)[-1]}"[:200]
    digest = hashlib.sha256(str(path).encode(errors="surrogatepass")).hexdigest()
    for length in range(4, 64):
        yield f"{spec.id[:200]}-{digest[:length]}"
