"""Add the stages of candidates: early ones that may stop them, and second looks at the front.

Revision: 5d2f8a61c7be. Older candidates have no stages: each has the one evaluation that its row refers to. Code that
does not know the new columns may go on writing rows, for each is null or has a default.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5d2f8a61c7be"
down_revision = "5b0e7c2f94d1"
branch_labels = None
depends_on = None

_BEFORE = "state IN ('waiting', 'evaluated', 'failed', 'cancelled')"
_AFTER = "state IN ('waiting', 'evaluated', 'stopped', 'failed', 'cancelled')"
_JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column("searches", sa.Column("n_stopped", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("searches", sa.Column("reevaluation", _JSON, nullable=True))
    op.add_column("candidates", sa.Column("stopped", _JSON, nullable=True))
    op.add_column("candidates", sa.Column("is_rival", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.drop_constraint(op.f("ck_candidates_state"), "candidates")
    op.create_check_constraint(op.f("ck_candidates_state"), "candidates", _AFTER)
    op.create_check_constraint(
        op.f("ck_candidates_stopped"), "candidates", "(state = 'stopped') = (stopped IS NOT NULL)"
    )
    op.create_index("ix_candidates_rivals", "candidates", ["search_id"], postgresql_where=sa.text("is_rival"))
    op.create_table(
        "stages",
        sa.Column("candidate_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("search_id", sa.Uuid(), nullable=False),
        sa.Column("evaluation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("metrics", _JSON, nullable=True),
        sa.Column("error", _JSON, nullable=True),
        sa.Column("is_cached", sa.Boolean(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'passed', 'stopped', 'failed', 'cancelled')", name=op.f("ck_stages_state")
        ),
        sa.CheckConstraint("kind IN ('early', 'full', 'again')", name=op.f("ck_stages_kind")),
        sa.CheckConstraint("(state IN ('passed', 'stopped')) = (metrics IS NOT NULL)", name=op.f("ck_stages_metrics")),
        sa.CheckConstraint("(state = 'waiting') = (settled_at IS NULL)", name=op.f("ck_stages_settled")),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name=op.f("fk_stages_candidate_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["search_id"], ["searches.id"], name=op.f("fk_stages_search_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluations.id"], name=op.f("fk_stages_evaluation_id")),
        sa.PrimaryKeyConstraint("candidate_id", "number", name=op.f("pk_stages")),
    )
    op.create_index("ix_stages_evaluation_id", "stages", ["evaluation_id"])
    op.create_index("ix_stages_waiting", "stages", ["search_id"], postgresql_where=sa.text("state = 'waiting'"))
    op.create_index(
        "uq_stages_waiting", "stages", ["candidate_id"], unique=True, postgresql_where=sa.text("state = 'waiting'")
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_table("stages")
    op.drop_index("ix_candidates_rivals", "candidates")
    op.drop_constraint(op.f("ck_candidates_stopped"), "candidates")
    op.drop_constraint(op.f("ck_candidates_state"), "candidates")
    # The older code has no word for a stopped candidate; a cancelled one has no objectives either.
    op.execute("UPDATE candidates SET state = 'cancelled' WHERE state = 'stopped'")
    op.create_check_constraint(op.f("ck_candidates_state"), "candidates", _BEFORE)
    op.drop_column("candidates", "is_rival")
    op.drop_column("candidates", "stopped")
    op.drop_column("searches", "reevaluation")
    op.drop_column("searches", "n_stopped")
