"""Add confirmations of searches, and their members.

Revision: 5b0e7c2f94d1. New tables only: an old worker runs beside them, and fails an evaluation of theirs that it
claims, for it does not know the protocol; another confirmation asks for it again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5b0e7c2f94d1"
down_revision = "5e9b03c7d1aa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "confirmations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("search_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("n_earlier", sa.Integer(), nullable=False),
        sa.Column("request", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("n_seeds", sa.Integer(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("n_members", sa.Integer(), nullable=False),
        sa.Column("n_settled", sa.Integer(), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("report", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("advanced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'failed', 'cancelled')", name=op.f("ck_confirmations_state")
        ),
        sa.CheckConstraint("n_settled <= n_members", name=op.f("ck_confirmations_settled")),
        sa.CheckConstraint("n_earlier >= number - 1", name=op.f("ck_confirmations_earlier")),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name=op.f("fk_confirmations_search_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_confirmations")),
        sa.UniqueConstraint("search_id", "number", name=op.f("uq_confirmations_search_id_number")),
        sa.UniqueConstraint("search_id", "idempotency_key", name=op.f("uq_confirmations_search_id_idempotency_key")),
    )
    op.create_index(
        "ix_confirmations_open",
        "confirmations",
        ["advanced_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "confirmation_members",
        sa.Column("confirmation_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Uuid(), nullable=False),
        sa.Column("evaluation_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'evaluated', 'failed', 'cancelled')", name=op.f("ck_confirmation_members_state")
        ),
        sa.CheckConstraint("(state = 'evaluated') = (result IS NOT NULL)", name=op.f("ck_confirmation_members_result")),
        sa.ForeignKeyConstraint(
            ["confirmation_id"],
            ["confirmations.id"],
            name=op.f("fk_confirmation_members_confirmation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name=op.f("fk_confirmation_members_candidate_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_confirmation_members_evaluation_id")
        ),
        sa.PrimaryKeyConstraint("confirmation_id", "index", name=op.f("pk_confirmation_members")),
        sa.UniqueConstraint(
            "confirmation_id", "candidate_id", name=op.f("uq_confirmation_members_confirmation_id_candidate_id")
        ),
    )
    op.create_index("ix_confirmation_members_evaluation_id", "confirmation_members", ["evaluation_id"], unique=False)
    op.create_index(
        "ix_confirmation_members_waiting",
        "confirmation_members",
        ["confirmation_id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.drop_table("confirmation_members")
    op.drop_table("confirmations")
