"""Add the mark of candidates that may be on a later front.

Revision: 5e0c93b1d7a8. No older row has it: a search that began without it is not advanced by this version, and its
front stays as it is. An older controller, which does not write it, goes on without it.
"""

import sqlalchemy as sa
from alembic import op

revision = "5e0c93b1d7a8"
down_revision = "8c1d7e5a40f2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column(
        "candidates", sa.Column("is_contender", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_candidates_contender"),
        "candidates",
        "NOT is_contender OR (state = 'evaluated' AND violation = 0)",
    )
    op.create_index("ix_candidates_contenders", "candidates", ["search_id"], postgresql_where=sa.text("is_contender"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_index("ix_candidates_contenders", table_name="candidates")
    op.drop_constraint(op.f("ck_candidates_contender"), "candidates")
    op.drop_column("candidates", "is_contender")
