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
    cast,
    func,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from models.states import (
    EVALUATION_SETTLED,
    EvaluationState,
)
from models.tables import Candidate, Confirmation, ConfirmationMember, Evaluation, Search, Stage, Worker
from nas.spec.confirmation import CONFIRMATION

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
    protocol_digest: str
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


#: The stages of a candidate by number, each with its evaluation.
StagesOfOne = list[tuple[Stage, Source]]

#: A candidate, the evaluation that its row refers to, and its stages.
Entry = tuple[Candidate, Source, StagesOfOne]


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

    def candidates(self, search_id: uuid.UUID, generation: int) -> list[Entry]:
        """Returns the candidates of a generation by index, each with its evaluation, and its stages with theirs."""
        stages = self._stages(search_id, generation)
        statement: Statement = (
            select(Candidate, *_source(Evaluation.result["metrics"]))
            .join(Evaluation, Evaluation.id == Candidate.evaluation_id)
            .where(Candidate.search_id == search_id, Candidate.generation == generation)
            .order_by(Candidate.index, Candidate.id)
        )
        return [(row[0], Source(*row[1:]), stages.get(row[0].id, [])) for row in self._detached(statement)]

    def _stages(self, search_id: uuid.UUID, generation: int) -> dict[uuid.UUID, StagesOfOne]:
        statement: Statement = (
            select(Stage, *_source(Evaluation.result["metrics"]))
            .join(Candidate, Candidate.id == Stage.candidate_id)
            .join(Evaluation, Evaluation.id == Stage.evaluation_id)
            .where(Candidate.search_id == search_id, Candidate.generation == generation)
            .order_by(Stage.candidate_id, Stage.number)
        )
        found: dict[uuid.UUID, StagesOfOne] = {}
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

    def draw_succeeded(self, search_id: uuid.UUID | None, *, n: int) -> Rows:
        """Returns up to `n` evaluations of searches that have a result, at random, with their worker's hardware."""
        is_of_search = Evaluation.protocol["kind"].astext.is_distinct_from(CONFIRMATION)
        drawn = (
            select(Evaluation.id)
            .where(Evaluation.state == EvaluationState.SUCCEEDED, is_of_search, behind(search_id))
            .order_by(func.random())
            .limit(n)
        )
        statement: Statement = (
            select(Evaluation.id, Evaluation.genome, Evaluation.protocol, Evaluation.result, Worker.hardware)
            .outerjoin(Worker, Worker.name == Evaluation.worker)
            .where(Evaluation.id.in_(drawn))
            .order_by(Evaluation.id)
        )
        return self._session.execute(statement).all()

    def doubled(self, search_id: uuid.UUID | None) -> Rows:
        """Returns the ids of evaluations of one genome under one protocol of one team, where there are several."""
        same = (Evaluation.team_id, Evaluation.genome_digest, Evaluation.protocol_digest)
        statement: Statement = select(func.array_agg(Evaluation.id).label("ids")).group_by(*same)
        if search_id is not None:
            statement = statement.where(
                Evaluation.genome_digest.in_(select(Candidate.digest).where(Candidate.search_id == search_id))
            )
        return self._session.execute(statement.having(func.count() > 1).limit(MOST_SHOWN)).all()

    def count_evaluations(self, search_id: uuid.UUID | None) -> int:
        """Returns how many evaluations there are, of all teams or behind one search."""
        statement = select(func.count()).select_from(Evaluation).where(behind(search_id))
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
            .where(is_wrong, behind(search_id))
            .order_by(Evaluation.id)
        )
        return self._session.execute(statement.limit(MOST_SHOWN)).all()

    def _detached(self, statement: Statement) -> Rows:
        rows = self._session.execute(statement).all()
        self._session.expunge_all()
        return rows


def _source(result: Any) -> tuple[Any, ...]:
    """Returns the columns of a `Source`."""
    digests = (Evaluation.genome_digest, Evaluation.protocol_digest)
    return (
        Evaluation.id,
        Evaluation.team_id,
        *digests,
        Evaluation.state,
        result,
        Evaluation.error,
        Evaluation.finished_at,
    )


def behind(search_id: uuid.UUID | None) -> ColumnElement[bool]:
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
