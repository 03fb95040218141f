"""The library: every asset of every kind in one table, its file in a readable place, its recipe and its parents beside it.

The media file comes first (temporary name, forced to disk, renamed), the row second; a sidecar with the recipe lies next to
the file, so the folder alone tells the whole story. Recipes are plain JSON here: what they mean is none of its business.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack
from unicodedata import normalize

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import GB, readable_bytes
from studio.database import storable
from studio.library.adoption import as_asset, strays, sweep
from studio.library.asset import KINDS, Asset
from studio.library.errors import AssetNotFound, LibraryError, NotAllowed, UnreadableFile
from studio.library.files import LONGEST_LABEL, Numbers, Placed, place, safe_word, write_beside
from studio.library.reader import Reader, shared_reader
from studio.library.search import (
    TAGS_MARK,
    Filters,
    brief_columns,
    conditions,
    one_spelling,
    search_text,
    title_of,
)
from studio.library.sidecar import is_sidecar, note_of, sidecar_of, sidecar_text
from studio.library.tables import assets, lineage, tags

log = logging.getLogger(__name__)

MAX_UPLOAD = 2 * GB
SEARCHED_BYTES = 8000  # of a text
SHOWN_BY_BROWSERS = {"image/png", "image/jpeg", "image/webp", "image/avif", "image/gif", "image/bmp"}
SETTLED_SECONDS = 60  # a file that old is not being written any more


class Library:
    """Assets in one folder and one database whose schema is already today's. Safe to use from many threads.

    sidecars: write `<file>.json` with the recipe beside each file. clock: seconds since 1970. reader: looks into files; the
    library itself never does.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        *,
        sidecars: bool = True,
        clock: Callable[[], float] = time.time,
        reader: Reader | None = None,
    ) -> None:
        self.folder, self.engine, self.sidecars, self.clock = Path(folder), engine, sidecars, clock
        self.reader = reader or shared_reader()
        self._numbers = Numbers()

    # ---- adding ----

    def add(
        self,
        data: bytes | None,
        *,
        path: Path | None = None,
        kind: str,
        media_type: str,
        suffix: str,
        facts: Mapping[str, Any] | None = None,
        recipe: Mapping[str, Any] | None = None,
        parents: Iterable[tuple[str, str]] = (),
        owner: str = "local",
        job_id: str = "",
        title: str = "",
        uploaded: bool = False,
    ) -> Asset:
        """Keep bytes, or the file at `path` (moved, not copied); parents are (asset id, role).

        Raises DiskFull or LibraryError; then nothing is in the library, and a file at `path` is where it was.
        """
        if kind not in KINDS or (data is None) == (path is None):
            raise ValueError(f"kind is one of {KINDS}, and exactly one of data and path is given")
        facts, recipe, now = storable(dict(facts or {})), storable(dict(recipe or {})), self.clock()
        seed = recipe.get("seed")
        label = str(seed)[:LONGEST_LABEL] if isinstance(seed, int) else safe_word(Path(title).stem)
        edges = list(dict.fromkeys(parents))
        asset = Asset(
            id=secrets.token_hex(8),
            kind=kind,
            media_type=media_type,
            file="",
            title=storable(title) or title_of(recipe) or kind.capitalize(),
            model=str(recipe.get("model", "")),
            owner=owner,
            created_at=now,
            nbytes=0,
            sha256="",
            facts=facts,
            recipe=recipe,
            job_id=job_id,
            uploaded=uploaded,
        )

        def placed(at: Placed) -> Asset:
            return replace(asset, file=at.file, nbytes=at.nbytes, sha256=at.sha256)

        # whatever happens from the moment the file is there, its note tells whose it is and of which job
        asset = placed(
            place(
                *(self.folder, kind, now, label, safe_word(suffix) or "bin", data, path),
                numbers=self._numbers,
                before=lambda at: self._write_note(placed(at), edges),
            )
        )
        self._insert(asset, edges)
        return asset

    def add_upload(self, data: bytes | Path, filename: str, owner: str = "local") -> Asset:
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
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="upload-", dir=self.folder) as work:
            file = Path(work) / "upload"
            if isinstance(data, bytes):
                write_beside(file, data)
            else:
                file = data
            found = self.reader.examine(file, filename)
            if (known := self._same_upload(file, found.suffix, owner)) is not None:
                return self._renamed(known, filename)
            return self.add(
                None,
                path=file,
                kind=found.kind,
                media_type=found.media_type,
                suffix=found.suffix,
                facts={**found.facts, "filename": filename},
                recipe=self.reader.recipe(file, filename).recipe,
                owner=owner,
                title=filename,
                uploaded=True,
            )

    # ---- asking ----

    def get(self, asset_id: str) -> Asset:
        """The asset, trashed or not; raises AssetNotFound."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(assets).where(assets.c.id == asset_id)).one_or_none()
            if row is None:
                raise AssetNotFound(asset_id)
            return self._assets(connection, [row])[0]

    def search(
        self, text: str = "", *, limit: int = 60, offset: int = 0, **filters: Unpack[Filters]
    ) -> list[Asset]:
        """Newest first. text: every word (or "quoted phrase") must occur in prompt, title, model, seed, tags or text, in any case."""
        query = sa.select(assets).where(*conditions(text, **filters))
        query = query.order_by(assets.c.created_at.desc(), assets.c.number.desc())
        with self.engine.connect() as connection:
            rows = connection.execute(query.limit(limit).offset(offset)).all()
            return self._assets(connection, rows)

    def browse(
        self, text: str = "", *, limit: int = 60, offset: int = 0, **filters: Unpack[Filters]
    ) -> list[Asset]:
        """What `search` finds, for a list: long facts and all of the recipe but prompt's beginning and seed are not read."""
        query = sa.select(*brief_columns()).select_from(assets).where(*conditions(text, **filters))
        query = query.order_by(assets.c.created_at.desc(), assets.c.number.desc())
        with self.engine.connect() as connection:
            rows = connection.execute(query.limit(limit).offset(offset)).all()
            return self._assets(connection, rows)

    def count(self, text: str = "", **filters: Unpack[Filters]) -> int:
        """How many assets `search` would find."""
        query = sa.select(sa.func.count()).select_from(assets).where(*conditions(text, **filters))
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def made_by(self, job_id: str) -> list[str]:
        """Ids of what a job made, oldest first."""
        query = sa.select(assets.c.id).where(assets.c.job_id == job_id).order_by(assets.c.number)
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def models(self, owner: str | None = None) -> list[str]:
        """Names of the models that made something here."""
        query = sa.select(assets.c.model).distinct().where(assets.c.model != "").order_by(assets.c.model)
        if owner is not None:
            query = query.where(assets.c.owner == owner)
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def all_tags(self, owner: str | None = None) -> list[str]:
        """Every tag in use, the most used first."""
        query = sa.select(tags.c.tag).group_by(tags.c.tag).order_by(sa.func.count().desc(), tags.c.tag)
        if owner is not None:
            query = query.join(assets, assets.c.id == tags.c.asset_id).where(assets.c.owner == owner)
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def parents(self, asset_id: str) -> list[tuple[Asset, str]]:
        """What it was made from, with the role each played; deleted parents are left out."""
        return self._relatives(lineage.c.child_id == asset_id, lineage.c.parent_id)

    def children(self, asset_id: str) -> list[tuple[Asset, str]]:
        """What was made from it, with the role it played."""
        return self._relatives(lineage.c.parent_id == asset_id, lineage.c.child_id)

    # ---- changing ----

    def star(self, asset_id: str, on: bool = True) -> Asset:
        return self._update(asset_id, starred=on)

    def tag(self, asset_id: str, words: Iterable[str]) -> Asset:
        """Give it exactly these tags; raises NotAllowed for one that is too long."""
        wanted = sorted({normalize("NFC", " ".join(word.split())) for word in words} - {""})
        for word in wanted:
            if len(word) > 60:
                raise NotAllowed(
                    "That tag is too long.",
                    detail=f"It has {len(word)} letters; 60 is the most.",
                    hint="Shorten it.",
                )
        with self.engine.begin() as connection:
            found = connection.execute(
                sa.select(assets.c.search_text).where(assets.c.id == asset_id)
            ).scalar()
            if found is None:
                raise AssetNotFound(asset_id)
            connection.execute(tags.delete().where(tags.c.asset_id == asset_id))
            if wanted:
                connection.execute(tags.insert(), [{"asset_id": asset_id, "tag": word} for word in wanted])
            text = found.split(TAGS_MARK)[0] + TAGS_MARK + one_spelling("\n".join(wanted))
            connection.execute(assets.update().where(assets.c.id == asset_id).values(search_text=text))
        return self.get(asset_id)

    def trash(self, asset_id: str) -> Asset:
        """Put it in the trash; its file stays until `delete`."""
        return self._update(asset_id, trashed_at=self.clock())

    def restore(self, asset_id: str) -> Asset:
        return self._update(asset_id, trashed_at=None)

    def delete(self, asset_id: str) -> None:
        """Remove it for good, file and all; raises NotAllowed unless it is in the trash."""
        asset = self.get(asset_id)
        if asset.trashed_at is None:
            raise NotAllowed(
                f"{asset.title!r} is not in the trash.",
                hint="Move it to the trash first, then delete it from there.",
            )
        file = self.path(asset)
        try:  # file first: a row without a file can be deleted again, a file without a row is found by nobody
            for path in (file, sidecar_of(file), self._thumbnail_path(asset), self._view_path(asset)):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise LibraryError(
                f"{asset.title!r} could not be deleted.",
                detail=str(error),
                hint="Close what has the file open, or check the folder's permissions, and try again.",
            ) from error
        with self.engine.begin() as connection:
            connection.execute(assets.delete().where(assets.c.id == asset_id))
            connection.execute(tags.delete().where(tags.c.asset_id == asset_id))

    # ---- files ----

    def path(self, asset: Asset) -> Path:
        """Where its file is, or should be."""
        return self.folder / asset.file

    def thumbnail(self, asset: Asset) -> Path:
        """A small WebP of it; a placeholder when its file is missing or cannot be drawn."""
        if not self.path(asset).exists():
            return self._placeholder(asset.kind, "File missing")
        target = self._thumbnail_path(asset)
        if target.exists() or self._draw_thumbnail(asset):
            return target
        return self._placeholder(asset.kind, "No preview")

    def shown(self, asset: Asset) -> tuple[Path, str]:
        """A file every browser can show, and its media type: the asset's own, or a WebP of a TIFF or HEIC picture.

        Raises UnreadableFile, FileNotFoundError.
        """
        if asset.kind != "image" or asset.media_type in SHOWN_BY_BROWSERS:
            return self.path(asset), asset.media_type
        target = self._view_path(asset)
        if not target.exists():
            write_beside(target, self.reader.view(self.path(asset)))
        return target, "image/webp"

    def picture(self, asset: Asset) -> bytes:
        """A picture as every worker can take it: a PNG of 8-bit RGB or RGBA, right way up. Raises UnreadableFile."""
        return self.reader.picture(self.path(asset))

    def adopt(self) -> list[Asset]:
        """List files that lie in the folder without a row, as after a crash between file and row; sweep up half-written ones.

        One that cannot be listed is logged and left where it is; it never keeps the others from being listed.
        """
        with self.engine.connect() as connection:
            known = set(connection.execute(sa.select(assets.c.file)).scalars())
        found: list[Asset] = []
        # a younger file may be being written right now
        for path in strays(self.folder, known, self.clock() - SETTLED_SECONDS):
            try:
                if not sweep(self.folder, path, known) and not is_sidecar(path):
                    found.append(self._adopt(path))
            except Exception as error:
                log.warning("%a lies in the library and cannot be listed: %s", str(path), error)
        return found

    # ---- behind the scenes ----

    def _adopt(self, path: Path) -> Asset:
        asset, edges = as_asset(self.folder, path, self.reader)
        with self.engine.connect() as connection:
            if connection.execute(sa.select(assets.c.id).where(assets.c.id == asset.id)).first():
                asset = replace(
                    asset, id=secrets.token_hex(8)
                )  # a copy, with its sidecar, of one that is listed
        self._insert(asset, edges)
        return asset

    def _insert(self, asset: Asset, edges: Sequence[tuple[str, str]]) -> None:
        row = {column.name: getattr(asset, column.name) for column in assets.c if hasattr(asset, column.name)}
        row |= {"search_text": search_text(asset, self._written(asset))}
        try:
            with self.engine.begin() as connection:
                connection.execute(assets.insert().values(row))
                if edges:
                    links = [
                        {"child_id": asset.id, "parent_id": parent, "role": role} for parent, role in edges
                    ]
                    connection.execute(lineage.insert(), links)
        except SQLAlchemyError as error:
            raise LibraryError(
                "The file is saved, but could not be listed in the library.",
                detail=f"{self.folder / asset.file}: {type(error).__name__}: {str(error)[:200]}",
                hint="Check the free space of the disk; the studio lists the file the next time it starts.",
            ) from error
        note_of(self.path(asset)).unlink(missing_ok=True)

    def _written(self, asset: Asset) -> str:
        """The start of what a text says, to be found by its words; "" for other kinds."""
        if asset.kind not in ("text", "code"):
            return ""
        with self.path(asset).open("rb") as file:
            return file.read(SEARCHED_BYTES).decode("utf-8-sig", "replace")

    def _same_upload(self, file: Path, suffix: str, owner: str) -> Asset | None:
        """The same bytes brought before as the same kind of file: a text that is called code now is another one."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        same = (assets.c.sha256 == digest, assets.c.owner == owner, assets.c.file.endswith(f".{suffix}"))
        query = sa.select(assets).where(*same, assets.c.uploaded, assets.c.trashed_at.is_(None))
        with self.engine.connect() as connection:
            found = self._assets(connection, connection.execute(query.limit(1)).all())
        return found[0] if found and not found[0].missing else None

    def _renamed(self, asset: Asset, filename: str) -> Asset:
        """The upload under the name it was brought under last; its earlier names can still be searched."""
        if asset.title == filename:
            return asset
        with self.engine.connect() as connection:
            query = sa.select(assets.c.search_text).where(assets.c.id == asset.id)
            words = connection.execute(query).scalar_one()
        name = one_spelling(filename)
        words = f"{name}\n{words}" if name not in words.splitlines() else words
        facts = {**asset.facts, "filename": filename}
        return self._update(asset.id, title=filename, facts=facts, search_text=words)

    def _update(self, asset_id: str, **values: Any) -> Asset:
        with self.engine.begin() as connection:
            changed = connection.execute(assets.update().where(assets.c.id == asset_id).values(**values))
        if changed.rowcount == 0:
            raise AssetNotFound(asset_id)
        return self.get(asset_id)

    def _relatives(self, condition: sa.ColumnElement[bool], other: sa.Column[str]) -> list[tuple[Asset, str]]:
        query = sa.select(assets, lineage.c.role).join(lineage, assets.c.id == other).where(condition)
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(assets.c.created_at, assets.c.number)).all()
            return list(zip(self._assets(connection, rows), (row.role for row in rows), strict=True))

    def _assets(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Asset]:
        words: dict[str, list[str]] = {row.id: [] for row in rows}
        if rows:
            query = sa.select(tags).where(tags.c.asset_id.in_(words)).order_by(tags.c.tag)
            for asset_id, tag in connection.execute(query):
                words[asset_id].append(tag)
        return [
            Asset(
                id=row.id,
                kind=row.kind,
                media_type=row.media_type,
                file=row.file,
                title=row.title,
                model=row.model,
                owner=row.owner,
                created_at=row.created_at,
                nbytes=row.nbytes,
                sha256=row.sha256,
                facts=row.facts,
                recipe=row.recipe,
                tags=tuple(words[row.id]),
                starred=row.starred,
                trashed_at=row.trashed_at,
                job_id=row.job_id,
                uploaded=row.uploaded,
                missing=not (self.folder / row.file).exists(),
            )
            for row in rows
        ]

    def _write_note(self, asset: Asset, edges: Sequence[tuple[str, str]]) -> None:
        """As the sidecar, or for as long as there is no row where none is kept."""
        file = self.path(asset)
        note = sidecar_of(file) if self.sidecars and asset.recipe else note_of(file)
        try:
            write_beside(note, sidecar_text(asset, edges))
        except LibraryError:
            log.warning("no note beside %s", asset.file, exc_info=True)

    def _draw_thumbnail(self, asset: Asset) -> bool:
        try:
            drawn = self.reader.thumbnail(
                self.path(asset), asset.kind, asset.title, made_here=not asset.uploaded
            )
            write_beside(self._thumbnail_path(asset), drawn)
        except (LibraryError, OSError) as error:
            log.info("no thumbnail for %s: %s", asset.file, error)
            return False
        return True

    def _placeholder(self, kind: str, words: str) -> Path:
        target = self.folder / "thumbnails" / f"{safe_word(words).lower()}-{kind}.webp"
        if not target.exists():
            write_beside(target, self.reader.placeholder(kind, words))
        return target

    def _thumbnail_path(self, asset: Asset) -> Path:
        return self.folder / "thumbnails" / asset.id[:2] / f"{asset.id}.webp"

    def _view_path(self, asset: Asset) -> Path:
        return self._thumbnail_path(asset).with_suffix(".view.webp")
