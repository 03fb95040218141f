"""The library: assets, where they came from, and their tags."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "assets",
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
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("assets_by_time", "assets", ["created_at", "number"])
    op.create_index("assets_by_content", "assets", ["sha256"])
    op.create_index("assets_by_job", "assets", ["job_id"])
    op.create_table(
        "asset_lineage",
        sa.Column("child_id", sa.String(32), primary_key=True),
        sa.Column("parent_id", sa.String(32), primary_key=True),
        sa.Column("role", sa.String(50), primary_key=True),
    )
    op.create_index("lineage_by_parent", "asset_lineage", ["parent_id"])
    op.create_table(
        "asset_tags",
        sa.Column("asset_id", sa.String(32), primary_key=True),
        sa.Column("tag", sa.String(60), primary_key=True),
    )
    op.create_index("assets_by_tag", "asset_tags", ["tag"])
