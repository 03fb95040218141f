"""The note beside a file: recipe, parents and facts, so that a folder alone tells the whole story.

As `<file>.json` it stays. As `.<file>.note` it lies there only until the row is written, so that a crash in between loses nothing
of a file that keeps no sidecar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.database import storable
from studio.library.asset import Asset

KEPT: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "media_type": str,
    "title": str,
    "owner": str,
    "job_id": str,
    "created_at": (int, float),
    "sha256": str,
    "facts": dict,
    "recipe": dict,
    "uploaded": bool,
}
NOTE = ".note"


def sidecar_text(asset: Asset, edges: Sequence[tuple[str, str]]) -> bytes:
    """The note as JSON; edges: (parent id, role)."""
    note = {name: getattr(asset, name) for name in KEPT} | {"parents": edges}
    return json.dumps(note, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def sidecar_of(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def note_of(file: Path) -> Path:
    """Where the note lies until the row is written."""
    return file.with_name(f".{file.name}{NOTE}")


def is_sidecar(path: Path) -> bool:
    """Whether it belongs to a file, which may be gone: made files have one suffix, so a second one is ours."""
    return path.name.endswith(NOTE) or (path.suffix == ".json" and bool(path.with_suffix("").suffix))


def read_sidecar(file: Path) -> dict[str, Any]:
    """What the notes beside a file tell, as far as it makes sense: people edit these, and other programs write such names."""
    told: dict[str, Any] = {}
    for place in (sidecar_of(file), note_of(file)):
        try:
            note = storable(json.loads(place.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            continue
        told |= note if isinstance(note, dict) else {}
    good = {name: told[name] for name, kind in KEPT.items() if isinstance(told.get(name), kind)}
    if not re.fullmatch(r"[0-9a-zA-Z]{1,32}", good.get("id", "")):
        good.pop("id", None)
    return good | {"parents": _edges(told.get("parents"))}


def _edges(told: Any) -> list[tuple[str, str]]:
    pairs = told if isinstance(told, list) else []
    good = [
        tuple(pair)
        for pair in pairs
        if isinstance(pair, list) and [type(word) for word in pair] == [str, str]
    ]
    return list(dict.fromkeys((parent[:32], role[:50]) for parent, role in good))
