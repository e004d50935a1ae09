"""Arrears: what should have moved by now, and what waits for somebody to serve it. Reads alone, for a check."""

import uuid
from typing import Any

from sqlalchemy import ColumnElement, case, exists, func, select, text, union_all
from sqlalchemy.orm import Session, aliased

from models.audit import MOST_SHOWN, Rows, behind
from models.base import interval
from models.evaluations import is_waited_for
from models.states import CONFIRMATION_OPEN, EVALUATION_OPEN, SEARCH_OPEN, EvaluationState
from models.tables import Candidate, Confirmation, ConfirmationMember, Evaluation, Search, Stage, Worker
from models.workers import is_live


class Arrears:
    """What is late, by the database's clock, over all teams or for one search."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def overdue(self, search_id: uuid.UUID | None, *, grace_s: float) -> Rows:
        """Returns id, worker and seconds of evaluations that run although their lease ended longer ago."""
        return self._late(
            Evaluation.lease_expires_at,
            Evaluation.worker,
            grace_s,
            behind(search_id),
            Evaluation.state == EvaluationState.RUNNING,
        )

    def unclaimed(self, search_id: uuid.UUID | None, *, device: str, worker_timeout_s: float, after_s: float) -> Rows:
        """Returns id, device and seconds of evaluations that no worker claimed for longer, though it was their turn.

        Since when: since one was claimed that was dispatched so much later; or else since a slot is free, as an
        evaluation ended last, or a worker came.
        """
        other = aliased(Evaluation)
        same = other.device == device
        is_overtaken = exists().where(
            same,
            other.started_at >= other.dispatched_at,
            other.dispatched_at > Evaluation.dispatched_at + interval(after_s),
        )
        last_end = select(func.max(other.finished_at)).where(same).scalar_subquery()
        came = select(func.max(Worker.started_at)).where(is_live(worker_timeout_s), Worker.device == device)
        is_free_since = func.greatest(Evaluation.dispatched_at, last_end, came.scalar_subquery())
        return self._late(
            case((is_overtaken, Evaluation.dispatched_at), else_=is_free_since),
            Evaluation.device,
            after_s,
            behind(search_id),
            Evaluation.state == EvaluationState.DISPATCHED,
            Evaluation.device == device,
        )

    def given_up(self, search_id: uuid.UUID | None, *, grace_s: float) -> Rows:
        """Returns id, device and seconds of cancelled evaluations that something waits for longer."""
        return self._late(
            Evaluation.finished_at,
            Evaluation.device,
            grace_s,
            behind(search_id),
            Evaluation.state == EvaluationState.CANCELLED,
            is_waited_for(),
        )

    def unwanted(self, search_id: uuid.UUID | None, *, grace_s: float) -> Rows:
        """Returns id, device and seconds of open evaluations that nothing waits for, since longer ago.

        Since when: since the last search or confirmation ended that asked for them, or else since they were made.
        """
        asked = union_all(
            select(Search.finished_at)
            .join(Candidate, Candidate.search_id == Search.id)
            .where(Candidate.evaluation_id == Evaluation.id)
            .correlate(Evaluation),
            select(Search.finished_at)
            .join(Stage, Stage.search_id == Search.id)
            .where(Stage.evaluation_id == Evaluation.id)
            .correlate(Evaluation),
            select(Confirmation.finished_at)
            .join(ConfirmationMember, ConfirmationMember.confirmation_id == Confirmation.id)
            .where(ConfirmationMember.evaluation_id == Evaluation.id)
            .correlate(Evaluation),
        ).subquery()
        last_end = select(func.max(asked.c.finished_at)).scalar_subquery()
        since = func.greatest(last_end, Evaluation.created_at)
        return self._late(
            since,
            Evaluation.device,
            grace_s,
            behind(search_id),
            Evaluation.state.in_(EVALUATION_OPEN),
            ~is_waited_for(),
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

    def served_s(self) -> float:
        """Returns for how long a controller has been connected to this database; 0 if none is, or behind a pooler."""
        # To a role that may not see it, the beginning of another's connection is null.
        statement = (
            "SELECT max(coalesce(extract(epoch FROM clock_timestamp() - backend_start), 'infinity')) "
            "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hqnas-controller%'"
        )
        return float(self._session.scalar(text(statement)) or 0)

    def _late(self, since: Any, about: Any, longer_than_s: float, *conditions: ColumnElement[bool]) -> Rows:
        age_s = func.extract("epoch", func.now() - since)
        statement = select(Evaluation.id, about, age_s.label("seconds")).where(*conditions, age_s > longer_than_s)
        return self._session.execute(statement.order_by(Evaluation.id).limit(MOST_SHOWN)).all()
