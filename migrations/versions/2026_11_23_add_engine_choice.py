"""Add what the choice of engines and the forming of bundles need.

Revision: 8c1d7e5a40f2. All columns are null in older rows: their evaluations travel alone, and their workers have no
calibration.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8c1d7e5a40f2"
down_revision = "26bf3c90deb4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column("evaluations", sa.Column("engine", sa.Text(), nullable=True))
    op.add_column("evaluations", sa.Column("qubits", sa.Integer(), nullable=True))
    op.add_column("evaluations", sa.Column("message_id", sa.Uuid(), nullable=True))
    op.add_column(
        "searches", sa.Column("engines", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "workers", sa.Column("calibration", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_column("workers", "calibration")
    op.drop_column("searches", "engines")
    op.drop_column("evaluations", "message_id")
    op.drop_column("evaluations", "qubits")
    op.drop_column("evaluations", "engine")
