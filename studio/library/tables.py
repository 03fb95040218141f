"""The library's tables. How they came to be is told in `studio/migrations/`; these are for asking."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

assets = sa.Table(
    "assets",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("media_type", sa.String(100), nullable=False),
    sa.Column("file", sa.String(500), nullable=False, unique=True),
    sa.Column("model", sa.String(300), nullable=False),
    sa.Column("job_id", sa.String(64), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("starred", sa.Boolean, nullable=False),
    sa.Column("trashed_at", sa.Float),
    sa.Column("uploaded", sa.Boolean, nullable=False),
    sa.Column("nbytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    # casefolded words to search in; before the wide columns, so that a search reads only the start of a row
    sa.Column("search_text", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("recipe", sa.JSON, nullable=False),
    sa.Index("assets_by_time", "created_at", "number"),
    sa.Index("assets_by_content", "sha256"),
    sa.Index("assets_by_job", "job_id"),
    sqlite_autoincrement=True,
)

# No foreign keys: an edge outlives a deleted parent, because where something came from cannot be reconstructed later.
lineage = sa.Table(
    "asset_lineage",
    metadata,
    sa.Column("child_id", sa.String(32), primary_key=True),
    sa.Column("parent_id", sa.String(32), primary_key=True),
    sa.Column("role", sa.String(50), primary_key=True),
    sa.Index("lineage_by_parent", "parent_id"),
)

tags = sa.Table(
    "asset_tags",
    metadata,
    sa.Column("asset_id", sa.String(32), primary_key=True),
    sa.Column("tag", sa.String(60), primary_key=True),
    sa.Index("assets_by_tag", "tag"),
)
