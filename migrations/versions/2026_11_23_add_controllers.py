"""Add the live controllers, with what each sees of the broker.

Revision: 7c4e19b0d5f3. A controller of an earlier version has no row: it works all the same, unseen by readiness.
"""

import sqlalchemy as sa
from alembic import op

revision = "7c4e19b0d5f3"
down_revision = "6a1f4c83e9d2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "controllers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("broker_error", sa.Text(), nullable=True),
        sa.Column("broker_lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(broker_error IS NULL) = (broker_lost_at IS NULL)", name=op.f("ck_controllers_broker")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_controllers")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_table("controllers")
