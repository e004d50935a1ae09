"""Add the parameters that an evaluation's fits ended with, as a safetensors file.

Revision: 5e9b03c7d1aa. Null in older rows, and wherever no front has the candidate: the file is megabytes at most, and
is kept while a candidate that uses it is on a front or may come on one.
"""

import sqlalchemy as sa
from alembic import op

revision = "5e9b03c7d1aa"
down_revision = "8c1d7e5a40f2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column("evaluations", sa.Column("weights", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_column("evaluations", "weights")
