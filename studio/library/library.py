"""The library: every asset of every kind in one table, its file in a readable place, its recipe and its parents beside it.

The media file comes first (temporary name, forced to disk, renamed), the row second; a sidecar with the recipe lies next to
the file, so the store alone tells the whole story. Recipes are plain JSON here: what they mean is none of its business.

Nobody asks where a file is: it is opened, read, or served, wherever the store keeps it (`store.py`).
"""

from __future__ import annotations

import hashlib
import io
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from weakref import WeakValueDictionary

from sqlalchemy import Engine

from pipelines.errors import GB, readable_bytes
from pipelines.messages import KINDS, MODALITIES
from studio.database import storable
from studio.library.adoption import as_asset, sweep
from studio.library.asset import Asset
from studio.library.errors import LibraryError, NotAllowed, UnreadableFile
from studio.library.files import LONGEST_LABEL, safe_word
from studio.library.reader import Reader, shared_reader
from studio.library.rows import Rows
from studio.library.search import title_of
from studio.library.sidecar import Edges, is_sidecar, note_of, sidecar_of, sidecar_text
from studio.library.store import Placed, Source, Store, Stored, Stray

if TYPE_CHECKING:
    from starlette.responses import Response

log = logging.getLogger(__name__)

MAX_UPLOAD = 2 * GB
SEARCHED_BYTES = 8000  # of a text
SHOWN_BY_BROWSERS = {"image/png", "image/jpeg", "image/webp", "image/avif", "image/gif", "image/bmp"}
SETTLED_SECONDS = 60  # a file that old is not being written any more


@dataclass(frozen=True)
class Drawn:
    """Something small that was drawn from an asset and lies in the same store."""

    file: str
    media_type: str = "image/webp"


class Library(Rows):
    """Assets in one store and one database whose schema is already today's. Safe to use from many threads.

    sidecars: write `<file>.json` with the recipe beside each file. clock: seconds since 1970. reader: looks into files; the
    library itself never does.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        sidecars: bool = True,
        clock: Callable[[], float] = time.time,
        reader: Reader | None = None,
    ) -> None:
        super().__init__(engine, clock=clock, has=store.has)
        self.store, self.sidecars = store, sidecars
        self.reader = reader or shared_reader()
        self._uploading: WeakValueDictionary[tuple[str, str], threading.Lock] = WeakValueDictionary()
        self._guard = threading.Lock()

    # ---- adding ----

    def add(
        self,
        source: Source,
        *,
        kind: str,
        media_type: str,
        suffix: str,
        facts: Mapping[str, object] | None = None,
        recipe: Mapping[str, object] | None = None,
        parents: Iterable[tuple[str, str]] = (),
        owner: str = "local",
        job_id: str = "",
        title: str = "",
        uploaded: bool = False,
    ) -> Asset:
        """Keep bytes, or a file of this process (moved, not copied); parents are (asset id, role).

        Raises DiskFull or LibraryError; then nothing is in the library, and a source file is where it was.
        """
        if kind not in MODALITIES:
            raise ValueError(f"kind is one of {MODALITIES}")
        recipe = storable(dict(recipe or {}))
        asset = Asset(
            id=secrets.token_hex(8),
            kind=kind,
            media_type=media_type,
            file="",
            title=storable(title) or title_of(recipe) or kind.capitalize(),
            model=str(recipe.get("model", "")),
            owner=owner,
            created_at=self.clock(),
            nbytes=0,
            sha256="",
            facts=storable(dict(facts or {})),
            recipe=recipe,
            job_id=job_id,
            uploaded=uploaded,
        )
        edges = list(dict.fromkeys(parents))
        label = str(asset.seed)[:LONGEST_LABEL] if asset.seed is not None else safe_word(Path(title).stem)
        asset = self._place(asset, label, safe_word(suffix) or "bin", source, edges)
        self._list(asset, edges)
        return asset

    def add_upload(self, data: Source, filename: str, owner: str = "local") -> Asset:
        """Keep a file a person brought, every byte as it is; the same file twice is one asset, under its newest name.

        data: its bytes, or a file of them that is moved. A recipe found inside comes along. Raises UnreadableFile naming what
        can be read, DiskFull.
        """
        filename = Path(filename.replace("\\", "/")).name[:150] or "upload"
        nbytes = len(data) if isinstance(data, bytes) else data.stat().st_size
        if nbytes > MAX_UPLOAD:
            raise UnreadableFile(
                f"{filename} is too large.",
                detail=f"It has {readable_bytes(nbytes)}; {readable_bytes(MAX_UPLOAD)} is the most.",
                hint="Make it shorter or smaller and try again.",
            )
        found = self.reader.examine(data, filename)
        digest = _digest(data)
        with self._one_at_a_time(owner, digest):
            if (known := self._same_upload(digest, found.suffix, owner)) is not None:
                return self._renamed(known, filename)
            return self.add(
                data,
                kind=found.kind,
                media_type=found.media_type,
                suffix=found.suffix,
                facts={**found.facts, "filename": filename},
                recipe=self.reader.recipe(data, filename).recipe,
                owner=owner,
                title=filename,
                uploaded=True,
            )

    def adopt(self) -> list[Asset]:
        """List files that lie in the store without a row, as after a crash between file and row; sweep up half-written ones.

        One that cannot be listed is logged and left where it is; it never keeps the others from being listed.
        """
        known, found = self._known(), []
        # a younger file may be being written right now
        for stray in self.store.strays(known, self.clock() - SETTLED_SECONDS):
            try:
                if not sweep(self.store, stray, known) and not is_sidecar(stray.file):
                    found.append(self._adopt(stray))
            except Exception as error:
                log.warning("%a lies in the library and cannot be listed: %s", stray.file, error)
        return found

    # ---- files ----

    def open(self, what: Stored) -> IO[bytes]:
        """Its bytes, as an open file. Raises FileNotFoundError."""
        return self.store.open(what.file)

    def read(self, what: Stored) -> bytes:
        """All its bytes. Raises FileNotFoundError."""
        with self.open(what) as file:
            return file.read()

    def text(self, asset: Asset, characters: int) -> str:
        """How a text begins. Raises FileNotFoundError."""
        with io.TextIOWrapper(self.open(asset), encoding="utf-8-sig", errors="replace") as file:
            return file.read(characters)

    def serve(
        self, what: Stored, headers: Mapping[str, str] | None = None, *, media_type: str = ""
    ) -> Response:
        """It as the answer to an HTTP request, in ranges where these are asked for."""
        return self.store.serve(what.file, media_type or what.media_type, headers or {})

    def where(self, what: Stored) -> str:
        """Where it lies, for a person or another program: a path, an address."""
        return self.store.where(what.file)

    def thumbnail(self, asset: Asset) -> Drawn:
        """A small WebP of it; a placeholder when its file is missing or cannot be drawn."""
        if not self.store.has(asset.file):
            return self._placeholder(asset.kind, "File missing")
        small = _thumbnail(asset)
        if self.store.has(small.file) or self._draw(asset, small):
            return small
        return self._placeholder(asset.kind, "No preview")

    def shown(self, asset: Asset) -> Stored:
        """What every browser can show: the asset itself, or a WebP of a TIFF or HEIC picture.

        Raises UnreadableFile, FileNotFoundError.
        """
        if asset.kind != "image" or asset.media_type in SHOWN_BY_BROWSERS:
            return asset
        view = _view(asset)
        if not self.store.has(view.file):
            with self.open(asset) as file:
                self.store.write(view.file, self.reader.view(file))
        return view

    def picture(self, asset: Asset) -> bytes:
        """A picture as every worker can take it: a PNG of 8-bit RGB or RGBA, right way up. Raises UnreadableFile."""
        with self.open(asset) as file:
            return self.reader.picture(file)

    def samples(self, asset: Asset, rate: int) -> bytes:
        """A sound as 16-bit samples of one channel, little-endian. Raises UnreadableFile."""
        with self.open(asset) as file:
            return self.reader.samples(file, rate)

    def delete(self, asset_id: str) -> None:
        """Remove it for good, file and all; raises NotAllowed unless it is in the trash."""
        asset = self.get(asset_id)
        if asset.trashed_at is None:
            raise NotAllowed(
                f"{asset.title!r} is not in the trash.",
                hint="Move it to the trash first, then delete it from there.",
            )
        try:  # file first: a row without a file can be deleted again, a file without a row is found by nobody
            for name in (asset.file, sidecar_of(asset.file), _thumbnail(asset).file, _view(asset).file):
                self.store.remove(name)
        except OSError as error:
            raise LibraryError(
                f"{asset.title!r} could not be deleted.",
                detail=str(error),
                hint="Close what has the file open, or check the folder's permissions, and try again.",
            ) from error
        self._forget(asset_id)

    # ---- behind the scenes ----

    def _one_at_a_time(self, owner: str, digest: str) -> threading.Lock:
        """Held while those bytes are looked up and kept for that person; gone with the last who holds it."""
        with self._guard:
            return self._uploading.setdefault((owner, digest), threading.Lock())

    def _place(self, asset: Asset, label: str, suffix: str, source: Source, edges: Edges) -> Asset:
        """The asset with its file in the store, and a note beside it that tells whose it is and of which job."""
        day = datetime.fromtimestamp(asset.created_at).strftime("%Y-%m-%d")
        notes: list[str] = []

        def placed(at: Placed) -> Asset:
            return replace(asset, file=at.file, nbytes=at.nbytes, sha256=at.sha256)

        def note(
            at: Placed,
        ) -> None:  # before the file: whatever happens from then on, it is known whose it is
            notes.append(self._write_note(placed(at), edges))

        try:
            return placed(self.store.place(f"{asset.kind}/{day}", label, suffix, source, note))
        except LibraryError:
            for name in notes:
                self.store.remove(name)
            raise

    def _list(self, asset: Asset, edges: Edges) -> None:
        self._insert(asset, edges, self._written(asset), self.where(asset))
        self.store.remove(note_of(asset.file))

    def _adopt(self, stray: Stray) -> Asset:
        asset, edges = as_asset(self.store, stray, self.reader)
        asset = self._with_free_id(asset)
        self._list(asset, edges)
        return asset

    def _written(self, asset: Asset) -> str:
        """The start of what a text says, to be found by its words; "" for other kinds."""
        if not KINDS[asset.kind].is_written:
            return ""
        with self.open(asset) as file:
            return file.read(SEARCHED_BYTES).decode("utf-8-sig", "replace")

    def _write_note(self, asset: Asset, edges: Edges) -> str:
        """As the sidecar, or for as long as there is no row where none is kept; its name."""
        note = (sidecar_of if self.sidecars and asset.recipe else note_of)(asset.file)
        try:
            self.store.write(note, sidecar_text(asset, edges))
        except LibraryError:
            log.warning("no note beside %s", asset.file, exc_info=True)
        return note

    def _draw(self, asset: Asset, small: Drawn) -> bool:
        try:
            with self.open(asset) as file:
                drawn = self.reader.thumbnail(file, asset.kind, asset.title, made_here=not asset.uploaded)
            self.store.write(small.file, drawn)
        except (LibraryError, OSError) as error:
            log.info("no thumbnail for %s: %s", asset.file, error)
            return False
        return True

    def _placeholder(self, kind: str, words: str) -> Drawn:
        drawn = Drawn(f"thumbnails/{safe_word(words).lower()}-{kind}.webp")
        if not self.store.has(drawn.file):
            self.store.write(drawn.file, self.reader.placeholder(kind, words))
        return drawn


def _thumbnail(asset: Asset) -> Drawn:
    return Drawn(f"thumbnails/{asset.id[:2]}/{asset.id}.webp")


def _view(asset: Asset) -> Drawn:
    return Drawn(f"thumbnails/{asset.id[:2]}/{asset.id}.view.webp")


def _digest(source: Source) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
