"""The note beside a file, `<file>.json`: recipe, parents and facts, so that a folder alone tells the whole story."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.library.asset import Asset

KEPT = ("id", "media_type", "title", "owner", "job_id", "created_at", "sha256", "facts", "recipe")


def sidecar_text(asset: Asset, edges: Sequence[tuple[str, str]]) -> bytes:
    """The note as JSON; edges: (parent id, role)."""
    note = {name: getattr(asset, name) for name in KEPT} | {"parents": edges}
    return json.dumps(note, ensure_ascii=False, indent=1).encode()


def sidecar_of(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def is_sidecar(path: Path) -> bool:
    return path.suffix == ".json" and path.with_suffix("").exists()


def read_sidecar(file: Path) -> dict[str, Any]:
    try:
        note = json.loads(sidecar_of(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
