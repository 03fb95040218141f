"""Find the models in folders people already have: diffusers and transformers folders, the model trees of other programs, hub caches.

Walks by folder names; `identify.py` says what each find is. Imports no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.catalog.headers import PICKLES
from pipelines.catalog.identify import identify
from pipelines.catalog.spec import ModelSpec, Source
from pipelines.errors import InvalidRequest

__all__ = ["extra_model_paths", "identify", "scan"]

# Folders of other programs that hold additions to models, or no models at all.
SKIPPED = {
    "lora", "loras", "lycoris", "vae", "vae_approx", "vae-approx", "embeddings", "hypernetworks", "controlnet", "t2i_adapter",
    "esrgan", "realesrgan", "swinir", "gfpgan", "codeformer", "upscale_models", "clip", "clip_vision", "text_encoders",
    "style_models", "gligen", "photomaker", "ipadapter", "insightface", "deepbooru", "karlo", "outputs", "output", "venv",
    "node_modules", "__pycache__", "site-packages", "custom_nodes", "extensions",
}  # fmt: skip
MODEL_KINDS = ("checkpoints", "diffusion_models", "unet", "diffusers")  # of extra_model_paths.yaml
MAX_DEPTH = 5
MAX_FOLDERS = 5000  # someone may point at a home folder


def scan(folder: Path) -> list[ModelSpec]:
    """Every model in a folder (or the one a path is), with ids that are unique within the answer; missing paths give none.

    Broken models are listed with their problem; additions (LoRA, VAE, …) are not listed, unless the path itself is one.
    """
    folder = folder.expanduser()
    if not folder.exists():
        return []
    if folder.is_file() or _is_model(folder):
        return [identify(folder)]
    found = list(_walk(folder))
    diffusers = [path for path in found if (path / "model_index.json").is_file()]
    specs = [_named(path, identify(path, diffusers)) for path in found]
    return _unique([spec for spec in specs if spec.facts.get("kind", "checkpoint") == "checkpoint"])


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


def _section_folders(section: dict[str, Any], here: Path) -> list[Path]:
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
    if (folder / "model_index.json").is_file() or (folder / "adapter_config.json").is_file():
        return True
    return (folder / "config.json").is_file() and any(
        file.suffix == ".safetensors" or file.suffix in PICKLES for file in folder.iterdir()
    )


def _walk(root: Path) -> Iterator[Path]:
    """Folders and files that look like models, in the order a person would meet them."""
    seen: set[Path] = set()
    waiting = [(root, 0)]
    while waiting and len(seen) < MAX_FOLDERS:
        folder, depth = waiting.pop(0)
        real = folder.resolve()
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.is_file() and entry.suffix in (".safetensors", ".ckpt"):
                yield entry
            elif entry.is_dir() and entry.name.startswith("models--"):
                if snapshot := _snapshot(entry):
                    yield snapshot
            elif entry.is_dir() and not _is_skipped(entry):
                if _is_model(entry):
                    yield entry
                elif depth < MAX_DEPTH:
                    waiting.append((entry, depth + 1))


def _is_skipped(folder: Path) -> bool:
    name = folder.name.lower()
    return name in SKIPPED or name.startswith(".") or name.endswith(".config")


def _snapshot(repo: Path) -> Path | None:
    """The snapshot `main` of a hub cache's repository points to, or its newest."""
    reference = repo / "refs" / "main"
    if reference.is_file():
        wanted = repo / "snapshots" / reference.read_text().strip()
        if wanted.is_dir():
            return wanted
    snapshots = sorted(repo.glob("snapshots/*"), key=lambda folder: folder.stat().st_mtime)
    return snapshots[-1] if snapshots else None


def _named(path: Path, spec: ModelSpec) -> ModelSpec:
    """A hub repository goes by its own name, not by the commit its folder is called."""
    repo = path.parent.parent.name
    if path.parent.name != "snapshots" or not repo.startswith("models--"):
        return spec
    name = repo.removeprefix("models--").replace("--", "/", 1)
    source = Source(path=spec.source.path, repo=name, revision=path.name)
    return dataclasses.replace(spec, id=name, title=name.split("/")[-1], source=source)


def _unique(specs: list[ModelSpec]) -> list[ModelSpec]:
    taken: dict[str, int] = {}
    answer = []
    for spec in specs:
        count = taken.get(spec.id, 0)
        taken[spec.id] = count + 1
        if count:
            folder = Path(spec.source.path).parent.name
            name = f"{spec.owner}/{folder}-{spec.title}"
            spec = dataclasses.replace(spec, id=name if name not in taken else f"{spec.id}-{count + 1}")
            taken[spec.id] = 1
        answer.append(spec)
    return answer
