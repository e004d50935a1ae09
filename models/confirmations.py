"""Confirmations: asking for one, picking the next that can move, telling results, ending."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from models.base import interval
from models.states import CONFIRMATION_OPEN, EVALUATION_SETTLED, CandidateState, ConfirmationState
from models.tables import Candidate, Confirmation, ConfirmationMember, Evaluation, Search
from nas.spec.datasets import Dataset


class Confirmations:
    """The confirmations of all teams. Reads take a team and see only its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        search: Search,
        candidates: list[uuid.UUID],
        *,
        request: dict[str, Any],
        n_seeds: int,
        epochs: int,
        idempotency_key: str | None,
    ) -> Confirmation:
        """Returns a new confirmation of a locked search, numbered after those before it."""
        confirmation = Confirmation(
            search_id=search.id,
            number=(self._session.scalar(select(func.count()).where(Confirmation.search_id == search.id)) or 0) + 1,
            n_earlier=self._count_on_data_of(search),
            request=request,
            idempotency_key=idempotency_key,
            n_seeds=n_seeds,
            epochs=epochs,
            n_members=len(candidates),
        )
        self._session.add(confirmation)
        self._session.flush()
        self._session.add_all(
            ConfirmationMember(confirmation_id=confirmation.id, index=index, candidate_id=candidate_id)
            for index, candidate_id in enumerate(candidates)
        )
        self._session.flush()
        return confirmation

    def _count_on_data_of(self, search: Search) -> int:
        """Returns how often the team has opened this data set's test split, in whichever search.

        What a search makes of the rows does not count: reduced to components, they are the same rows.
        """
        statement = (
            select(Search.spec["dataset"])
            .join(Confirmation, Search.id == Confirmation.search_id)
            .where(Search.team_id == search.team_id)
        )
        rows = Dataset.model_validate(search.spec["dataset"]).rows
        return sum(Dataset.model_validate(one).rows == rows for one in self._session.scalars(statement))

    def by_key(self, search_id: uuid.UUID, idempotency_key: str) -> Confirmation | None:
        """Returns the confirmation that was asked for under a key, or None."""
        return self._session.scalar(
            select(Confirmation).where(
                Confirmation.search_id == search_id, Confirmation.idempotency_key == idempotency_key
            )
        )

    def get(self, search_id: uuid.UUID, *, number: int | None = None) -> Confirmation | None:
        """Returns the confirmation of a search with this number, by default the newest, or None."""
        statement = select(Confirmation).where(Confirmation.search_id == search_id)
        if number is not None:
            statement = statement.where(Confirmation.number == number)
        return self._session.scalar(statement.order_by(Confirmation.number.desc()).limit(1))

    def head(self, search_id: uuid.UUID, *, number: int | None = None) -> tuple[uuid.UUID, int] | None:
        """Returns id and revision alone of what `get` returns: all that an unchanged confirmation costs a poller."""
        statement = select(Confirmation.id, Confirmation.revision).where(Confirmation.search_id == search_id)
        if number is not None:
            statement = statement.where(Confirmation.number == number)
        row = self._session.execute(statement.order_by(Confirmation.number.desc()).limit(1)).one_or_none()
        return None if row is None else (row.id, row.revision)

    def candidates(self, search_id: uuid.UUID, ids: list[uuid.UUID]) -> list[Candidate]:
        """Returns those of the candidates that are the search's own, in no order."""
        return list(
            self._session.scalars(select(Candidate).where(Candidate.search_id == search_id, Candidate.id.in_(ids)))
        )

    def lock(self, confirmation_id: uuid.UUID) -> Confirmation:
        """Returns a confirmation as it is once its row is locked."""
        statement = select(Confirmation).where(Confirmation.id == confirmation_id).with_for_update()
        return self._session.scalars(statement.execution_options(populate_existing=True)).one()

    def members(self, confirmation_id: uuid.UUID) -> list[Row[ConfirmationMember, Candidate]]:
        """Returns the members with their candidates, in order."""
        statement = (
            select(ConfirmationMember, Candidate)
            .join(Candidate, Candidate.id == ConfirmationMember.candidate_id)
            .where(ConfirmationMember.confirmation_id == confirmation_id)
            .order_by(ConfirmationMember.index)
            .execution_options(populate_existing=True)
        )
        return list(self._session.execute(statement))

    def take_movable(self) -> tuple[Confirmation, Search] | None:
        """Returns a locked confirmation that can move, the longest untouched first, with its search; or None.

        Its search has ended and does not change: its row needs no lock.
        """
        statement = (
            select(Confirmation, Search)
            .join(Search, Search.id == Confirmation.search_id)
            .where(Confirmation.state.in_(CONFIRMATION_OPEN), _can_move())
            .order_by(Confirmation.advanced_at.asc().nulls_first(), Confirmation.id)
            .limit(1)
            .with_for_update(of=Confirmation, skip_locked=True)
        )
        row = self._session.execute(statement).one_or_none()
        return None if row is None else (row[0], row[1])

    def stalled(self, search_id: uuid.UUID | None, *, grace_s: float) -> list[Row[uuid.UUID, uuid.UUID]]:
        """Returns id and search of confirmations that could move for longer than the grace and were not advanced."""
        since = func.now() - interval(grace_s)
        statement = select(Confirmation.id, Confirmation.search_id).where(
            Confirmation.state.in_(CONFIRMATION_OPEN),
            func.coalesce(Confirmation.advanced_at, Confirmation.created_at) < since,
            _can_move(since=since),
        )
        if search_id is not None:
            statement = statement.where(Confirmation.search_id == search_id)
        return list(self._session.execute(statement.order_by(Confirmation.id)))

    def set_back(self, confirmation_id: uuid.UUID) -> None:
        """Puts a confirmation at the end of those that wait to be advanced."""
        changed = update(Confirmation).where(Confirmation.id == confirmation_id)
        self._session.execute(changed.values(advanced_at=func.now()))

    def begin(self, confirmation: Confirmation, evaluations: list[uuid.UUID]) -> None:
        """Starts a queued confirmation, with the evaluation of each member in order."""
        for index, evaluation_id in enumerate(evaluations):
            self._session.execute(
                update(ConfirmationMember)
                .where(ConfirmationMember.confirmation_id == confirmation.id, ConfirmationMember.index == index)
                .values(evaluation_id=evaluation_id)
            )
        confirmation.state = ConfirmationState.RUNNING
        self.touch(confirmation)

    def untold(self, confirmation_id: uuid.UUID) -> list[Row[ConfirmationMember, Evaluation]]:
        """Returns waiting members whose evaluation is settled, with it, in order."""
        statement = (
            select(ConfirmationMember, Evaluation)
            .join(Evaluation, Evaluation.id == ConfirmationMember.evaluation_id)
            .where(
                ConfirmationMember.confirmation_id == confirmation_id,
                ConfirmationMember.state == CandidateState.WAITING,
                Evaluation.state.in_(EVALUATION_SETTLED),
            )
            .order_by(ConfirmationMember.index)
        )
        return list(self._session.execute(statement))

    def tell(
        self, confirmation: Confirmation, index: int, *, result: dict[str, Any] | None, error: dict[str, Any] | None
    ) -> None:
        """Settles a waiting member; one that is settled already is left as it is, so a result counts once."""
        changed = self._session.scalars(
            update(ConfirmationMember)
            .where(
                ConfirmationMember.confirmation_id == confirmation.id,
                ConfirmationMember.index == index,
                ConfirmationMember.state == CandidateState.WAITING,
            )
            .values(
                state=CandidateState.FAILED if result is None else CandidateState.EVALUATED, result=result, error=error
            )
            .returning(ConfirmationMember.index)
        ).all()
        confirmation.n_settled += len(changed)
        confirmation.n_failed += len(changed) if result is None else 0

    def end(
        self,
        confirmation: Confirmation,
        state: ConfirmationState,
        reason: str,
        *,
        report: dict[str, Any] | None = None,
    ) -> None:
        """Moves a locked, open confirmation to a final state, and its waiting members with it."""
        if confirmation.state not in CONFIRMATION_OPEN:
            raise ValueError(f"confirmation {confirmation.id} is {confirmation.state} and cannot become {state}")
        confirmation.state = state
        confirmation.reason = reason
        confirmation.report = report
        confirmation.finished_at = self._now()
        self.touch(confirmation)
        self._session.flush()
        self._session.execute(
            update(ConfirmationMember)
            .where(
                ConfirmationMember.confirmation_id == confirmation.id,
                ConfirmationMember.state == CandidateState.WAITING,
            )
            .values(state=CandidateState.CANCELLED)
        )

    def touch(self, confirmation: Confirmation) -> None:
        """Makes a change visible to pollers and puts the confirmation behind the others."""
        confirmation.revision += 1
        confirmation.advanced_at = self._now()

    def _now(self) -> datetime:
        return self._session.scalars(select(func.now())).one()


def _can_move(*, since: ColumnElement[datetime] | None = None) -> ColumnElement[bool]:
    """A confirmation moves when it is new, has a result that was not told yet, or waits for nothing more.

    With `since`, by what had come until then.
    """
    is_settled: ColumnElement[bool] = Evaluation.state.in_(EVALUATION_SETTLED)
    if since is not None:
        is_settled = and_(is_settled, Evaluation.finished_at < since)
    waiting = and_(
        ConfirmationMember.confirmation_id == Confirmation.id, ConfirmationMember.state == CandidateState.WAITING
    )
    has_news = exists().where(waiting, Evaluation.id == ConfirmationMember.evaluation_id, is_settled)
    return or_(Confirmation.state == ConfirmationState.QUEUED, has_news, ~exists().where(waiting))
