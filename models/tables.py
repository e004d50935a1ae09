"""The tables. PostgreSQL is the truth: what must hold is a constraint here, not a habit of the code.

    teams ─┬─< searches ─┬─< generations
           │             ├─< candidates >── evaluations
           │             │            └─< stages >── evaluations
           │             └─< confirmations ─< confirmation_members >── evaluations
           └─< evaluations                  workers   controllers

A candidate refers to the evaluation that it waits for or was last told. Stages are there where it has several.
Rows are locked in one order: search, then its candidates and their stages, then a confirmation, its members, then a
worker, then evaluations by id. Only steps that ask for evaluations lock these as they ask: should two get in each
other's way, PostgreSQL ends one, and it is taken again.
"""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, new_id
from models.states import CandidateState, ConfirmationState, EvaluationState, SearchState, StageState
from nas.spec.fidelity import StageKind

#: The team of a server without keys; made by the first migration.
DEFAULT_TEAM_ID = uuid.UUID("00000000-0000-7000-8000-000000000001")


def _one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(state)) for state in states)})", name=column)


class Team(Base):
    """Owner of searches and of the evaluations that they share."""

    __tablename__ = "teams"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Search(Base):
    """What a team submitted, and how far it is. `revision` grows with every visible change."""

    __tablename__ = "searches"
    __table_args__ = (
        _one_of("state", SearchState),
        UniqueConstraint("team_id", "idempotency_key"),
        CheckConstraint("n_settled <= n_candidates", name="settled"),
        Index("ix_searches_open", "advanced_at", postgresql_where=text("state IN ('queued', 'running')")),
        Index("ix_searches_team_id_id", "team_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"))
    name: Mapped[str] = mapped_column(Text)
    spec: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(Text, default=SearchState.QUEUED)
    reason: Mapped[str | None] = mapped_column(Text)  #: why it ended, or has not begun
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(default=1)
    generation: Mapped[int | None]  #: the one being evaluated
    n_candidates: Mapped[int] = mapped_column(default=0)
    n_settled: Mapped[int] = mapped_column(default=0)
    n_failed: Mapped[int] = mapped_column(default=0)
    n_stopped: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    n_cached: Mapped[int] = mapped_column(default=0)
    n_front: Mapped[int] = mapped_column(default=0)
    hypervolume: Mapped[float | None]
    reference_point: Mapped[dict[str, Any] | None]  #: by objective, in the metric's own direction
    versions: Mapped[dict[str, Any] | None]  #: of what makes proposals: a resume with others is refused
    engines: Mapped[dict[str, Any] | None]  #: by qubit count, chosen when the search begins, for all attempts alike
    reevaluation: Mapped[dict[str, Any] | None]  #: once the generations are done: why they are, and the rounds so far
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    advanced_at: Mapped[datetime | None]


class Generation(Base):
    """One completed step of the algorithm."""

    __tablename__ = "generations"

    search_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("searches.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    n_evaluations: Mapped[int]  #: candidates settled up to and with this generation
    hypervolume: Mapped[float | None]
    finished_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Candidate(Base):
    """An architecture proposed in a search. Objectives are in the spec's order and the metric's own direction."""

    __tablename__ = "candidates"
    __table_args__ = (
        _one_of("state", CandidateState),
        UniqueConstraint("search_id", "generation", "index"),
        UniqueConstraint("search_id", "digest"),
        CheckConstraint("(state = 'evaluated') = (objectives IS NOT NULL)", name="objectives"),
        CheckConstraint("NOT is_contender OR (state = 'evaluated' AND violation = 0)", name="contender"),
        CheckConstraint("NOT on_front OR (state = 'evaluated' AND violation = 0)", name="front"),
        CheckConstraint("(state = 'stopped') = (stopped IS NOT NULL)", name="stopped"),
        Index("ix_candidates_waiting", "search_id", postgresql_where=text("state = 'waiting'")),
        Index("ix_candidates_front", "search_id", postgresql_where=text("on_front")),
        Index("ix_candidates_contenders", "search_id", postgresql_where=text("is_contender")),
        Index("ix_candidates_survivors", "search_id", postgresql_where=text("is_survivor")),
        Index("ix_candidates_rivals", "search_id", postgresql_where=text("is_rival")),
        Index("ix_candidates_settled", "search_id", "settled_at"),
        Index("ix_candidates_evaluation_id", "evaluation_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    search_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("searches.id", ondelete="CASCADE"))
    evaluation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("evaluations.id"))
    generation: Mapped[int]
    index: Mapped[int]
    genome: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=CandidateState.WAITING)
    objectives: Mapped[list[float] | None] = mapped_column(ARRAY(DOUBLE_PRECISION))
    violation: Mapped[float | None]
    metrics: Mapped[
        dict[str, Any] | None
    ]  #: as measured, copied when told, so that a front never changes under a reader
    error: Mapped[dict[str, Any] | None]
    stopped: Mapped[dict[str, Any] | None]  #: stage, epochs, reason, and the place of the rival that dominates it
    is_cached: Mapped[bool] = mapped_column(default=False)
    is_survivor: Mapped[bool] = mapped_column(default=False)
    is_contender: Mapped[bool] = mapped_column(default=False, server_default=text("false"))  #: may be on a later front
    on_front: Mapped[bool] = mapped_column(default=False)
    #: On the front when the generation under way was proposed: what its early stages are judged against.
    is_rival: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    settled_at: Mapped[datetime | None]


class Stage(Base):
    """One of several evaluations of a candidate: an early one, the full one, or one with more samples."""

    __tablename__ = "stages"
    __table_args__ = (
        _one_of("state", StageState),
        _one_of("kind", StageKind),
        CheckConstraint("(state IN ('passed', 'stopped')) = (metrics IS NOT NULL)", name="metrics"),
        CheckConstraint("(state = 'waiting') = (settled_at IS NULL)", name="settled"),
        Index("ix_stages_waiting", "search_id", postgresql_where=text("state = 'waiting'")),
        Index("uq_stages_waiting", "candidate_id", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("ix_stages_evaluation_id", "evaluation_id"),
    )

    candidate_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("candidates.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    search_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("searches.id", ondelete="CASCADE"))
    evaluation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("evaluations.id"))
    kind: Mapped[str] = mapped_column(Text)
    epochs: Mapped[int]  #: that a replicate is trained for; 0 without training
    state: Mapped[str] = mapped_column(Text, default=StageState.WAITING)
    metrics: Mapped[dict[str, Any] | None]  #: as measured at this stage, copied when told
    error: Mapped[dict[str, Any] | None]
    is_cached: Mapped[bool] = mapped_column(default=False)
    settled_at: Mapped[datetime | None]


class Evaluation(Base):
    """Measuring one genome under one protocol, shared by the team's searches."""

    __tablename__ = "evaluations"
    __table_args__ = (
        _one_of("state", EvaluationState),
        UniqueConstraint("team_id", "genome_digest", "protocol_digest"),
        CheckConstraint("(state = 'running') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint("(state = 'succeeded') = (result IS NOT NULL)", name="result"),
        Index("ix_evaluations_pending", "device", "sequence", postgresql_where=text("state = 'pending'")),
        Index("ix_evaluations_in_flight", "state", postgresql_where=text("state IN ('dispatched', 'running')")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"))
    genome: Mapped[dict[str, Any]]
    genome_digest: Mapped[str] = mapped_column(Text)
    protocol: Mapped[dict[str, Any]]
    protocol_digest: Mapped[str] = mapped_column(Text)
    device: Mapped[str] = mapped_column(Text)
    engine: Mapped[str | None] = mapped_column(Text)  #: of the protocol, as a column for the dispatcher
    qubits: Mapped[int | None]  #: of the genome, likewise
    priority: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(Text, default=EvaluationState.PENDING)
    attempt: Mapped[int] = mapped_column(default=0)
    settled_attempt: Mapped[int | None]  #: of the worker that wrote result or error; null where none did, or an old one
    crash_count: Mapped[int] = mapped_column(default=0)
    lost_count: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(Text)
    message_id: Mapped[uuid.UUID | None]  #: the doorbell that it was last dispatched in; a bundle has one
    lease_expires_at: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    #: A safetensors file of what was fitted, while a candidate on a front, or one that waits, uses the result. Only a
    #: query that names it loads it, for it can be megabytes.
    weights: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)


class Confirmation(Base):
    """Members of an ended search, trained anew beside controls and tested on the held-out split.

    `number` counts the confirmations of the search: each opens the test split once more.
    """

    __tablename__ = "confirmations"
    __table_args__ = (
        _one_of("state", ConfirmationState),
        UniqueConstraint("search_id", "number"),
        UniqueConstraint("search_id", "idempotency_key"),
        CheckConstraint("n_settled <= n_members", name="settled"),
        CheckConstraint("n_earlier >= number - 1", name="earlier"),
        Index("ix_confirmations_open", "advanced_at", postgresql_where=text("state IN ('queued', 'running')")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    search_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("searches.id", ondelete="CASCADE"))
    number: Mapped[int]  #: from 1, of the search
    n_earlier: Mapped[int]  #: of the team on the same data set, in all searches
    request: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=ConfirmationState.QUEUED)
    reason: Mapped[str | None] = mapped_column(Text)  #: why it ended
    revision: Mapped[int] = mapped_column(default=1)
    n_seeds: Mapped[int]
    epochs: Mapped[int]
    n_members: Mapped[int]
    n_settled: Mapped[int] = mapped_column(default=0)
    n_failed: Mapped[int] = mapped_column(default=0)
    report: Mapped[dict[str, Any] | None]  #: of `nas.confirmation.report`, once all members are settled
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    advanced_at: Mapped[datetime | None]


class ConfirmationMember(Base):
    """A candidate that a confirmation measures, in the order of the front."""

    __tablename__ = "confirmation_members"
    __table_args__ = (
        _one_of("state", CandidateState),
        UniqueConstraint("confirmation_id", "candidate_id"),
        CheckConstraint("(state = 'evaluated') = (result IS NOT NULL)", name="result"),
        Index("ix_confirmation_members_waiting", "confirmation_id", postgresql_where=text("state = 'waiting'")),
        Index("ix_confirmation_members_evaluation_id", "evaluation_id"),
    )

    confirmation_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("confirmations.id", ondelete="CASCADE"), primary_key=True
    )
    index: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("candidates.id", ondelete="CASCADE"))
    evaluation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("evaluations.id"))
    state: Mapped[str] = mapped_column(Text, default=CandidateState.WAITING)
    result: Mapped[dict[str, Any] | None]  #: as measured, copied when told
    error: Mapped[dict[str, Any] | None]


class Worker(Base):
    """A process that evaluates, by its name; the row outlives it."""

    __tablename__ = "workers"
    __table_args__ = (
        CheckConstraint("device IN ('cpu', 'gpu')", name="device"),
        CheckConstraint("n_slots > 0", name="n_slots"),
    )

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    device: Mapped[str] = mapped_column(Text)
    n_slots: Mapped[int]
    hardware: Mapped[dict[str, Any]]
    versions: Mapped[dict[str, Any]]
    calibration: Mapped[dict[str, Any] | None]  #: of `nas.calibration`; absent where measuring failed
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    beat_at: Mapped[datetime] = mapped_column(server_default=func.now())
    stopped_at: Mapped[datetime | None]


class Controller(Base):
    """A process that advances searches, by its name; the row goes when it stops."""

    __tablename__ = "controllers"
    __table_args__ = (CheckConstraint("(broker_error IS NULL) = (broker_lost_at IS NULL)", name="broker"),)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    beat_at: Mapped[datetime] = mapped_column(server_default=func.now())
    broker_error: Mapped[str | None] = mapped_column(Text)  #: why its last attempt to reach the broker failed
    broker_lost_at: Mapped[datetime | None]  #: since when
