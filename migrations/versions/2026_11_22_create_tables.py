"""Create the tables, and the team of a server without keys.

Revision: 26bf3c90deb4, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "26bf3c90deb4"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        sa.UniqueConstraint("name", name=op.f("uq_teams_name")),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("n_slots", sa.Integer(), nullable=False),
        sa.Column("hardware", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("versions", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("device IN ('cpu', 'gpu')", name=op.f("ck_workers_device")),
        sa.CheckConstraint("n_slots > 0", name=op.f("ck_workers_n_slots")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("genome", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("genome_digest", sa.Text(), nullable=False),
        sa.Column("protocol", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("protocol_digest", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("crash_count", sa.Integer(), nullable=False),
        sa.Column("lost_count", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("(state = 'running') = (lease_expires_at IS NOT NULL)", name=op.f("ck_evaluations_lease")),
        sa.CheckConstraint("(state = 'succeeded') = (result IS NOT NULL)", name=op.f("ck_evaluations_result")),
        sa.CheckConstraint(
            "state IN ('pending', 'dispatched', 'running', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_evaluations_state"),
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_evaluations_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint(
            "team_id",
            "genome_digest",
            "protocol_digest",
            name=op.f("uq_evaluations_team_id_genome_digest_protocol_digest"),
        ),
    )
    op.create_index(
        "ix_evaluations_in_flight",
        "evaluations",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state IN ('dispatched', 'running')"),
    )
    op.create_index(
        "ix_evaluations_pending",
        "evaluations",
        ["device", "sequence"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "searches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("n_candidates", sa.Integer(), nullable=False),
        sa.Column("n_settled", sa.Integer(), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("n_cached", sa.Integer(), nullable=False),
        sa.Column("n_front", sa.Integer(), nullable=False),
        sa.Column("hypervolume", sa.Double(), nullable=True),
        sa.Column("reference_point", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("versions", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("advanced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'failed', 'cancelled')", name=op.f("ck_searches_state")
        ),
        sa.CheckConstraint("n_settled <= n_candidates", name=op.f("ck_searches_settled")),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_searches_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searches")),
        sa.UniqueConstraint("team_id", "idempotency_key", name=op.f("uq_searches_team_id_idempotency_key")),
    )
    op.create_index(
        "ix_searches_open",
        "searches",
        ["advanced_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index("ix_searches_team_id_id", "searches", ["team_id", "id"], unique=False)
    op.create_table(
        "candidates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("search_id", sa.Uuid(), nullable=False),
        sa.Column("evaluation_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("genome", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("objectives", postgresql.ARRAY(sa.DOUBLE_PRECISION()), nullable=True),
        sa.Column("violation", sa.Double(), nullable=True),
        sa.Column("metrics", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("is_cached", sa.Boolean(), nullable=False),
        sa.Column("is_survivor", sa.Boolean(), nullable=False),
        sa.Column("on_front", sa.Boolean(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'evaluated') = (objectives IS NOT NULL)", name=op.f("ck_candidates_objectives")),
        sa.CheckConstraint("NOT on_front OR (state = 'evaluated' AND violation = 0)", name=op.f("ck_candidates_front")),
        sa.CheckConstraint(
            "state IN ('waiting', 'evaluated', 'failed', 'cancelled')", name=op.f("ck_candidates_state")
        ),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluations.id"], name=op.f("fk_candidates_evaluation_id")),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name=op.f("fk_candidates_search_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
        sa.UniqueConstraint("search_id", "digest", name=op.f("uq_candidates_search_id_digest")),
        sa.UniqueConstraint("search_id", "generation", "index", name=op.f("uq_candidates_search_id_generation_index")),
    )
    op.create_index("ix_candidates_evaluation_id", "candidates", ["evaluation_id"], unique=False)
    op.create_index(
        "ix_candidates_front", "candidates", ["search_id"], unique=False, postgresql_where=sa.text("on_front")
    )
    op.create_index("ix_candidates_settled", "candidates", ["search_id", "settled_at"], unique=False)
    op.create_index(
        "ix_candidates_survivors", "candidates", ["search_id"], unique=False, postgresql_where=sa.text("is_survivor")
    )
    op.create_index(
        "ix_candidates_waiting",
        "candidates",
        ["search_id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "generations",
        sa.Column("search_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("n_evaluations", sa.Integer(), nullable=False),
        sa.Column("hypervolume", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"], ["searches.id"], name=op.f("fk_generations_search_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search_id", "number", name=op.f("pk_generations")),
    )
    op.execute("INSERT INTO teams (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default')")


def downgrade() -> None:
    op.drop_table("generations")
    op.drop_index("ix_candidates_waiting", table_name="candidates", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_index("ix_candidates_survivors", table_name="candidates", postgresql_where=sa.text("is_survivor"))
    op.drop_index("ix_candidates_settled", table_name="candidates")
    op.drop_index("ix_candidates_front", table_name="candidates", postgresql_where=sa.text("on_front"))
    op.drop_index("ix_candidates_evaluation_id", table_name="candidates")
    op.drop_table("candidates")
    op.drop_index("ix_searches_team_id_id", table_name="searches")
    op.drop_index("ix_searches_open", table_name="searches", postgresql_where=sa.text("state IN ('queued', 'running')"))
    op.drop_table("searches")
    op.drop_index("ix_evaluations_pending", table_name="evaluations", postgresql_where=sa.text("state = 'pending'"))
    op.drop_index(
        "ix_evaluations_in_flight",
        table_name="evaluations",
        postgresql_where=sa.text("state IN ('dispatched', 'running')"),
    )
    op.drop_table("evaluations")
    op.drop_table("workers")
    op.drop_table("teams")
