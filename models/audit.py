"""What a check reads: rows beside what they were told from, and work that nothing moves. Nothing is locked or written.

Objects come detached, so that reading a large database keeps no more of it than the caller does.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Row,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Session

from models.states import (
    CONFIRMATION_OPEN,
    EVALUATION_OPEN,
    EVALUATION_SETTLED,
    SEARCH_OPEN,
    CandidateState,
    EvaluationState,
)
from models.tables import Candidate, Confirmation, ConfirmationMember, Evaluation, Search, Stage, Worker
from models.workers import is_live

Rows = Sequence[Row[*tuple[Any, ...]]]
Statement = Select[*tuple[Any, ...]]

#: Rows of one kind that a check is shown at most; there may be more.
MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Source:
    """The evaluation that a row refers to."""

    id: uuid.UUID
    team_id: uuid.UUID
    genome_digest: str
    state: str
    result: dict[str, Any] | None  #: `metrics` alone where the row keeps no more of it
    error: dict[str, Any] | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Extent:
    """The candidates of one generation: how many, and between which indices."""

    generation: int
    n: int
    first: int
    last: int


class Audit:
    """Reads for a check, over all teams or for one search. For a transaction that is a snapshot."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def search_ids(self) -> list[uuid.UUID]:
        """Returns the ids of all searches, oldest first."""
        return list(self._session.scalars(select(Search.id).order_by(Search.id)))

    def find(self, beginning: str, *, limit: int) -> list[uuid.UUID]:
        """Returns up to `limit` ids of searches that begin so, newest first."""
        begins = cast(Search.id, Text).startswith(beginning.lower(), autoescape=True)
        return list(self._session.scalars(select(Search.id).where(begins).order_by(Search.id.desc()).limit(limit)))

    def search(self, search_id: uuid.UUID) -> Search | None:
        """Returns a search of whichever team."""
        found = self._session.get(Search, search_id)
        self._session.expunge_all()
        return found

    def extents(self, search_id: uuid.UUID) -> list[Extent]:
        """Returns the generations that have candidates, in order."""
        statement = (
            select(
                Candidate.generation,
                func.count().label("n"),
                func.min(Candidate.index).label("first"),
                func.max(Candidate.index).label("last"),
            )
            .where(Candidate.search_id == search_id)
            .group_by(Candidate.generation)
            .order_by(Candidate.generation)
        )
        return [Extent(row.generation, row.n, row.first, row.last) for row in self._session.execute(statement)]

    def candidates(self, search_id: uuid.UUID, generation: int) -> list[tuple[Candidate, Source]]:
        """Returns the candidates of a generation by index, each with the evaluation that its row refers to."""
        statement: Statement = (
            select(Candidate, *_source(Evaluation.result["metrics"]))
            .join(Evaluation, Evaluation.id == Candidate.evaluation_id)
            .where(Candidate.search_id == search_id, Candidate.generation == generation)
            .order_by(Candidate.index, Candidate.id)
        )
        return [(row[0], Source(*row[1:])) for row in self._detached(statement)]

    def stages(self, search_id: uuid.UUID, generation: int) -> dict[uuid.UUID, list[tuple[Stage, Source]]]:
        """Returns the stages of a generation's candidates by number, each with its evaluation."""
        statement: Statement = (
            select(Stage, *_source(Evaluation.result["metrics"]))
            .join(Candidate, Candidate.id == Stage.candidate_id)
            .join(Evaluation, Evaluation.id == Stage.evaluation_id)
            .where(Candidate.search_id == search_id, Candidate.generation == generation)
            .order_by(Stage.candidate_id, Stage.number)
        )
        found: dict[uuid.UUID, list[tuple[Stage, Source]]] = {}
        for row in self._detached(statement):
            found.setdefault(row[0].candidate_id, []).append((row[0], Source(*row[1:])))
        return found

    def confirmations(self, search_id: uuid.UUID) -> list[Confirmation]:
        """Returns the confirmations of a search by number."""
        statement = select(Confirmation).where(Confirmation.search_id == search_id).order_by(Confirmation.number)
        return [row[0] for row in self._detached(statement)]

    def members(self, confirmation_id: uuid.UUID) -> list[tuple[ConfirmationMember, uuid.UUID, Source | None]]:
        """Returns the members of a confirmation by index, with their candidates' search and their evaluation."""
        statement: Statement = (
            select(ConfirmationMember, Candidate.search_id, *_source(Evaluation.result))
            .join(Candidate, Candidate.id == ConfirmationMember.candidate_id)
            .outerjoin(Evaluation, Evaluation.id == ConfirmationMember.evaluation_id)
            .where(ConfirmationMember.confirmation_id == confirmation_id)
            .order_by(ConfirmationMember.index)
        )
        rows = self._detached(statement)
        return [(row[0], row[1], Source(*row[2:]) if row[2] is not None else None) for row in rows]

    def count_evaluations(self, search_id: uuid.UUID | None) -> int:
        """Returns how many evaluations there are, of all teams or behind one search."""
        statement = select(func.count()).select_from(Evaluation).where(_behind(search_id))
        return self._session.scalar(statement) or 0

    def misattributed(self, search_id: uuid.UUID | None) -> Rows:
        """Returns evaluations whose outcome is not that of their last attempt, or that have two outcomes."""
        is_settled = Evaluation.state.in_(EVALUATION_SETTLED)
        is_wrong = or_(
            and_(is_settled, Evaluation.settled_attempt != Evaluation.attempt),
            and_(is_settled, Evaluation.attempt == 0),
            and_(Evaluation.state == EvaluationState.SUCCEEDED, Evaluation.error.is_not(None)),
            and_(Evaluation.state == EvaluationState.FAILED, Evaluation.error.is_(None)),
            Evaluation.crash_count + Evaluation.lost_count > Evaluation.attempt,
        )
        statement: Statement = (
            select(
                Evaluation.id,
                Evaluation.state,
                Evaluation.attempt,
                Evaluation.settled_attempt,
                Evaluation.crash_count,
                Evaluation.lost_count,
                Evaluation.error.is_not(None).label("has_error"),
            )
            .where(is_wrong, _behind(search_id))
            .order_by(Evaluation.id)
        )
        return self._session.execute(statement.limit(MOST_SHOWN)).all()

    def overdue(self, search_id: uuid.UUID | None, *, grace_s: float) -> Rows:
        """Returns id, worker and seconds of evaluations that run although their lease ended longer ago."""
        return self._late(
            Evaluation.lease_expires_at,
            Evaluation.worker,
            grace_s,
            _behind(search_id),
            Evaluation.state == EvaluationState.RUNNING,
        )

    def unclaimed(self, search_id: uuid.UUID | None, *, device: str, after_s: float) -> Rows:
        """Returns id, device and seconds of evaluations that were dispatched longer ago and never claimed."""
        return self._late(
            Evaluation.dispatched_at,
            Evaluation.device,
            after_s,
            _behind(search_id),
            Evaluation.state == EvaluationState.DISPATCHED,
            Evaluation.device == device,
        )

    def given_up(self, search_id: uuid.UUID | None, *, grace_s: float) -> Rows:
        """Returns id, device and seconds of cancelled evaluations that something waits for longer."""
        return self._late(
            Evaluation.finished_at,
            Evaluation.device,
            grace_s,
            _behind(search_id),
            Evaluation.state == EvaluationState.CANCELLED,
            _is_waited_for(),
        )

    def unwanted(self, search_id: uuid.UUID | None, *, grace_s: float) -> Rows:
        """Returns id, device and seconds of open evaluations that nothing waits for, since longer ago.

        Since when: since the last search or confirmation ended that asked for them, or else since they were made.
        """
        of_searches = select(func.max(Search.finished_at)).where(
            or_(
                Search.id.in_(select(Candidate.search_id).where(Candidate.evaluation_id == Evaluation.id)),
                Search.id.in_(select(Stage.search_id).where(Stage.evaluation_id == Evaluation.id)),
            )
        )
        of_confirmations = select(func.max(Confirmation.finished_at)).where(
            Confirmation.id.in_(
                select(ConfirmationMember.confirmation_id).where(ConfirmationMember.evaluation_id == Evaluation.id)
            )
        )
        since = func.greatest(of_searches.scalar_subquery(), of_confirmations.scalar_subquery(), Evaluation.created_at)
        return self._late(
            since,
            Evaluation.device,
            grace_s,
            _behind(search_id),
            Evaluation.state.in_(EVALUATION_OPEN),
            ~_is_waited_for(),
        )

    def queues(self, *, worker_timeout_s: float) -> Rows:
        """Returns by device class how many evaluations are pending and in flight, and the slots of live workers."""
        slots = (
            select(func.sum(Worker.n_slots))
            .where(is_live(worker_timeout_s), Worker.device == Evaluation.device)
            .scalar_subquery()
        )
        is_pending = Evaluation.state == EvaluationState.PENDING
        statement = (
            select(
                Evaluation.device,
                func.sum(case((is_pending, 1), else_=0)).label("n_pending"),
                func.sum(case((is_pending, 0), else_=1)).label("n_in_flight"),
                func.coalesce(slots, 0).label("n_slots"),
            )
            .where(Evaluation.state.in_(EVALUATION_OPEN))
            .group_by(Evaluation.device)
            .order_by(Evaluation.device)
        )
        return self._session.execute(statement).all()

    def count_open(self, search_id: uuid.UUID | None) -> int:
        """Returns how many searches and confirmations have not ended."""
        searches = select(func.count()).where(Search.state.in_(SEARCH_OPEN))
        confirmations = select(func.count()).where(Confirmation.state.in_(CONFIRMATION_OPEN))
        if search_id is not None:
            searches = searches.where(Search.id == search_id)
            confirmations = confirmations.where(Confirmation.search_id == search_id)
        return (self._session.scalar(searches) or 0) + (self._session.scalar(confirmations) or 0)

    def has_controller(self) -> bool:
        """Whether a controller is connected to this database; one behind a pooler is not seen."""
        statement = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'hqnas-controller%'"
        )
        return bool(self._session.scalar(text(statement)))

    def _late(self, since: Any, about: Any, longer_than_s: float, *conditions: ColumnElement[bool]) -> Rows:
        age_s = func.extract("epoch", func.now() - since)
        statement = select(Evaluation.id, about, age_s.label("seconds")).where(*conditions, age_s > longer_than_s)
        return self._session.execute(statement.order_by(Evaluation.id).limit(MOST_SHOWN)).all()

    def _detached(self, statement: Statement) -> Rows:
        rows = self._session.execute(statement).all()
        self._session.expunge_all()
        return rows


def _source(result: Any) -> tuple[Any, ...]:
    """Returns the columns of a `Source`."""
    of_row = (Evaluation.id, Evaluation.team_id, Evaluation.genome_digest, Evaluation.state)
    return (*of_row, result, Evaluation.error, Evaluation.finished_at)


def _is_waited_for() -> ColumnElement[bool]:
    # A stage, too, waits in the state of that name.
    return or_(
        *(
            select(owner.evaluation_id)
            .where(owner.evaluation_id == Evaluation.id, owner.state == CandidateState.WAITING)
            .exists()
            for owner in (Candidate, Stage, ConfirmationMember)
        )
    )


def _behind(search_id: uuid.UUID | None) -> ColumnElement[bool]:
    """Returns the condition under which an evaluation is one of a search's; of all searches without one."""
    if search_id is None:
        return Evaluation.id.is_not(None)
    mine: CompoundSelect[Any] = union_all(
        select(Candidate.evaluation_id).where(Candidate.search_id == search_id),
        select(Stage.evaluation_id).where(Stage.search_id == search_id),
        select(ConfirmationMember.evaluation_id)
        .join(Confirmation, Confirmation.id == ConfirmationMember.confirmation_id)
        .where(Confirmation.search_id == search_id),
    )
    return Evaluation.id.in_(mine)
