"""What the database knows of assets: one row each, their tags and their lineage. Files are next door (`library.py`).

Rows are only ever written whole, and a search looks in words that were put together once, when the row was.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Unpack
from unicodedata import normalize

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from studio.library.asset import Asset
from studio.library.errors import AssetNotFound, LibraryError, NotAllowed
from studio.library.search import (
    TAGS_MARK,
    Filters,
    brief_columns,
    conditions,
    one_spelling,
    search_text,
)
from studio.library.tables import assets, lineage, tags

AnyRow = Row[*tuple[object, ...]]
LONGEST_TAG = 60


class Rows:
    """Assets in one database whose schema is already today's. Safe to use from many threads.

    clock: seconds since 1970. has: whether a file is there, asked for every row that is read.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float], has: Callable[[str], bool]) -> None:
        self.engine, self.clock, self._has = engine, clock, has

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
        """Newest first. text: each word (or "quoted phrase") is in prompt, title, model, seed, tags or text, in any case."""
        return self._newest(sa.select(assets).where(*conditions(text, **filters)), limit, offset)

    def browse(
        self, text: str = "", *, limit: int = 60, offset: int = 0, **filters: Unpack[Filters]
    ) -> list[Asset]:
        """What `search` finds, for a list: long facts and all of the recipe but prompt's beginning and seed are not read."""
        query = sa.select(*brief_columns()).select_from(assets).where(*conditions(text, **filters))
        return self._newest(query, limit, offset)

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
            if len(word) > LONGEST_TAG:
                raise NotAllowed(
                    "That tag is too long.",
                    detail=f"It has {len(word)} letters; {LONGEST_TAG} is the most.",
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

    # ---- behind the scenes ----

    def _known(self) -> set[str]:
        """The file of every row."""
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(assets.c.file)).scalars())

    def _insert(self, asset: Asset, edges: Sequence[tuple[str, str]], written: str, where: str) -> None:
        """written: the start of what a text says, to be found by its words. where: the file lies, for who must look for it."""
        row = {column.name: getattr(asset, column.name) for column in assets.c if hasattr(asset, column.name)}
        row |= {"search_text": search_text(asset, written)}
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
                detail=f"{where}: {type(error).__name__}: {str(error)[:200]}",
                hint="Check the free space of the disk; the studio lists the file the next time it starts.",
            ) from error

    def _with_free_id(self, asset: Asset) -> Asset:
        """The asset under an id of its own: a copy, with its sidecar, of one that is listed brings the other's."""
        with self.engine.connect() as connection:
            taken = connection.execute(sa.select(assets.c.id).where(assets.c.id == asset.id)).first()
        return replace(asset, id=secrets.token_hex(8)) if taken else asset

    def _forget(self, asset_id: str) -> None:
        """Remove the row and its tags. The lineage stays: where something came from cannot be found out later."""
        with self.engine.begin() as connection:
            connection.execute(assets.delete().where(assets.c.id == asset_id))
            connection.execute(tags.delete().where(tags.c.asset_id == asset_id))

    def _same_upload(self, digest: str, suffix: str, owner: str) -> Asset | None:
        """The same bytes brought before as the same kind of file: a text that is called code now is another one."""
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

    def _update(self, asset_id: str, **values: object) -> Asset:
        with self.engine.begin() as connection:
            changed = connection.execute(assets.update().where(assets.c.id == asset_id).values(**values))
        if changed.rowcount == 0:
            raise AssetNotFound(asset_id)
        return self.get(asset_id)

    def _newest(self, query: sa.Select[*tuple[object, ...]], limit: int, offset: int) -> list[Asset]:
        query = query.order_by(assets.c.created_at.desc(), assets.c.number.desc())
        with self.engine.connect() as connection:
            return self._assets(connection, connection.execute(query.limit(limit).offset(offset)).all())

    def _relatives(self, condition: sa.ColumnElement[bool], other: sa.Column[str]) -> list[tuple[Asset, str]]:
        query = sa.select(assets, lineage.c.role).join(lineage, assets.c.id == other).where(condition)
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(assets.c.created_at, assets.c.number)).all()
            return list(zip(self._assets(connection, rows), (row.role for row in rows), strict=True))

    def _assets(self, connection: Connection, rows: Sequence[AnyRow]) -> list[Asset]:
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
                missing=not self._has(row.file),
            )
            for row in rows
        ]
