"""Add the attempt whose outcome an evaluation has, so that a result written past the fencing can be seen.

Revision: 6a1f4c83e9d2. Null in older rows, in what an older worker settles, and where no worker did: a check then has
nothing to compare. Code that does not know the column goes on as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "6a1f4c83e9d2"
down_revision = "5d2f8a61c7be"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column("evaluations", sa.Column("settled_attempt", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_column("evaluations", "settled_attempt")
