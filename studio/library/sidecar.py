"""The note beside a file: recipe, parents and facts, so that a store alone tells the whole story.

As `<file>.json` it stays. As `.<file>.note` it lies there only until the row is written, so that a crash in between loses nothing
of a file that keeps no sidecar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TypedDict, cast

from studio.database import storable
from studio.library.asset import Asset, Json
from studio.library.store import Store

Edges = list[tuple[str, str]]
"""What something was made from: (asset id, role)."""
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


class Note(TypedDict, total=False):
    """What a note tells; the types are those of `KEPT`."""

    id: str
    media_type: str
    title: str
    owner: str
    job_id: str
    created_at: float
    sha256: str
    facts: Json
    recipe: Json
    uploaded: bool


def sidecar_text(asset: Asset, edges: Sequence[tuple[str, str]]) -> bytes:
    """The note as JSON; edges: (parent id, role)."""
    note = {name: getattr(asset, name) for name in KEPT} | {"parents": edges}
    return json.dumps(note, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def sidecar_of(file: str) -> str:
    return f"{file}.json"


def note_of(file: str) -> str:
    """Where the note lies until the row is written."""
    return str(PurePosixPath(file).with_name(f".{PurePosixPath(file).name}{NOTE}"))


def file_of(note: str) -> str:
    """The file such a note belongs to."""
    return str(PurePosixPath(note).with_name(PurePosixPath(note).name[1 : -len(NOTE)]))


def is_sidecar(file: str) -> bool:
    """Whether it belongs to a file, which may be gone: made files have one suffix, so a second one is ours."""
    path = PurePosixPath(file)
    return file.endswith(NOTE) or (path.suffix == ".json" and bool(path.with_suffix("").suffix))


def read_sidecar(store: Store, file: str) -> tuple[Note, Edges]:
    """What the notes beside a file tell, as far as it makes sense: people edit these, and other programs write such names."""
    told: Json = {}
    for name in (sidecar_of(file), note_of(file)):
        try:
            with store.open(name) as content:
                note: object = storable(json.loads(content.read().decode("utf-8")))
        except (OSError, ValueError, RecursionError):
            continue
        told |= note if isinstance(note, dict) else {}
    good = {name: told[name] for name, kind in KEPT.items() if isinstance(told.get(name), kind)}
    if not re.fullmatch(r"[0-9a-zA-Z]{1,32}", str(good.get("id", ""))):
        good.pop("id", None)
    return cast(Note, good), _edges(told.get("parents"))


def _edges(told: object) -> Edges:
    pairs: Iterable[object] = told if isinstance(told, list) else []
    good = [
        (str(pair[0]), str(pair[1]))
        for pair in pairs
        if isinstance(pair, list) and [type(word) for word in pair] == [str, str]
    ]
    return list(dict.fromkeys((parent[:32], role[:50]) for parent, role in good))
