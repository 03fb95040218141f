"""Files that lie in the store without a row, as a crash between the two leaves them: found one by one, listed from their notes.

What is not whole or belongs to nothing is swept up on the way.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from pathlib import PurePosixPath

from pipelines.disk import PART
from studio.library.asset import Asset
from studio.library.reader import Reader
from studio.library.search import title_of
from studio.library.sidecar import NOTE, Edges, Note, file_of, is_sidecar, note_of, read_sidecar, sidecar_of
from studio.library.store import Store, Stray


def sweep(store: Store, stray: Stray, known: Collection[str]) -> bool:
    """Remove a stray that holds nothing: half-written, empty, or a note of a file whose row is written. Whether it was one."""
    file, is_empty = stray.file, stray.nbytes == 0 and not is_sidecar(stray.file)
    if not (file.endswith((PART, NOTE)) or is_empty):
        return False
    if file.endswith(NOTE) and file_of(file) not in known and store.has(file_of(file)):
        return False  # its file is still to be listed
    for left in (file, sidecar_of(file), note_of(file)) if is_empty else (file,):
        store.remove(left)
    return True


def as_asset(store: Store, stray: Stray, reader: Reader) -> tuple[Asset, Edges]:
    """The stray as an asset with its parents. A whole file with its own note needs no reader; of others the reader tells."""
    note, edges = read_sidecar(store, stray.file)
    name = PurePosixPath(stray.file).name
    with store.open(stray.file) as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
        if note.get("sha256") != digest or "media_type" not in note:
            seen = reader.examine(content, name)
            note = Note(media_type=seen.media_type, facts=dict(seen.facts)) | note
            note["recipe"] = note.get("recipe") or reader.recipe(content, name).recipe or {}
    recipe = note.get("recipe", {})
    asset = Asset(
        id=note.get("id") or secrets.token_hex(8),
        kind=PurePosixPath(stray.file).parts[0],
        media_type=note["media_type"],
        file=stray.file,
        title=note.get("title") or title_of(recipe) or name,
        model=str(recipe.get("model", "")),
        owner=note.get("owner") or "local",
        created_at=note.get("created_at") or stray.modified,
        nbytes=stray.nbytes,
        sha256=digest,
        facts=note.get("facts", {}),
        recipe=recipe,
        job_id=note.get("job_id", ""),
        uploaded=note.get("uploaded", False),
    )
    return asset, edges
