"""Fair turns in rounds, and how often a waiting job was overtaken."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("round", sa.Integer))
    op.add_column("jobs", sa.Column("overtaken", sa.Integer, nullable=False, server_default="0"))
