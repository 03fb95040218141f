"""What a line shows of a job without reading its request, its place among its owner's jobs, and whether it was interrupted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("words", sa.String(80), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("work", sa.Float))
    op.add_column("jobs", sa.Column("place", sa.Integer))
    op.add_column("jobs", sa.Column("interrupted", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("put_back", sa.Integer, nullable=False, server_default="0"))
    op.execute(
        "UPDATE jobs SET words = substr(json_extract(request, '$.prompt'), 1, 80) WHERE status = 'queued'"
    )
    op.create_index("jobs_interrupted", "jobs", ["owner"], sqlite_where=sa.text("interrupted"))
