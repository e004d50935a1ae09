"""Evaluations: the shared cache, and the leases under which workers compute.

Every write of a worker carries the attempt that it claimed. A late or second attempt therefore changes nothing.
"""

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Update, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.base import new_id
from models.states import (
    EVALUATION_CLAIMABLE,
    EVALUATION_IN_FLIGHT,
    EVALUATION_OPEN,
    EVALUATION_SETTLED,
    CandidateState,
    EvaluationState,
)
from models.tables import Candidate, Evaluation, Search


@dataclass(frozen=True, slots=True)
class Claim:
    """A right to compute one evaluation until the lease ends; `attempt` is the fencing token."""

    evaluation_id: uuid.UUID
    attempt: int
    genome: dict[str, Any]
    protocol: dict[str, Any]


class Evaluations:
    """The evaluations of all teams. A row is found again by team, genome and protocol."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def want(
        self,
        search: Search,
        *,
        genome: dict[str, Any],
        genome_digest: str,
        protocol: dict[str, Any],
        protocol_digest: str,
        device: str,
        priority: int,
    ) -> tuple[uuid.UUID, bool]:
        """Returns the evaluation of a genome under a protocol, and whether its result is there already.

        A failed or cancelled one is put back: the reason may be gone, and the earlier search has copied its outcome.
        """
        again = Evaluation.state.in_((EvaluationState.FAILED, EvaluationState.CANCELLED))
        fresh = {
            "state": EvaluationState.PENDING,
            "crash_count": 0,
            "lost_count": 0,
            "error": None,
            "finished_at": None,
        }
        statement = insert(Evaluation).values(
            id=new_id(),
            team_id=search.team_id,
            genome=genome,
            genome_digest=genome_digest,
            protocol=protocol,
            protocol_digest=protocol_digest,
            device=device,
            priority=priority,
        )
        columns = {
            name: case((again, literal(value, getattr(Evaluation, name).type)), else_=getattr(Evaluation, name))
            for name, value in fresh.items()
        }
        statement = statement.on_conflict_do_update(
            index_elements=["team_id", "genome_digest", "protocol_digest"],
            set_={**columns, "priority": func.greatest(Evaluation.priority, priority)},
        )
        row = self._session.execute(statement.returning(Evaluation.id, Evaluation.state)).one()
        return row.id, row.state == EvaluationState.SUCCEEDED

    def dispatch(self, device: str, limit: int) -> list[uuid.UUID]:
        """Marks up to `limit` pending evaluations of a device class as dispatched, and returns them in order.

        Teams take turns: one's nth evaluation in flight or chosen comes after every other team's (n − 1)th. Within a
        team higher priority goes first, then the older.
        """
        in_flight = (
            select(Evaluation.team_id, func.count().label("n"))
            .where(Evaluation.state.in_(EVALUATION_IN_FLIGHT))
            .group_by(Evaluation.team_id)
            .subquery()
        )
        turn = func.coalesce(in_flight.c.n, 0) + func.row_number().over(
            partition_by=Evaluation.team_id, order_by=(Evaluation.priority.desc(), Evaluation.sequence)
        )
        statement = (
            select(Evaluation.id)
            .outerjoin(in_flight, in_flight.c.team_id == Evaluation.team_id)
            .where(Evaluation.state == EvaluationState.PENDING, Evaluation.device == device)
            .order_by(turn, Evaluation.sequence)
            .limit(limit)
        )
        chosen = list(self._session.scalars(statement))
        marked = self._session.scalars(
            update(Evaluation)
            .where(Evaluation.id.in_(chosen), Evaluation.state == EvaluationState.PENDING)
            .values(state=EvaluationState.DISPATCHED, dispatched_at=func.now())
            .returning(Evaluation.id)
        ).all()
        return [evaluation_id for evaluation_id in chosen if evaluation_id in set(marked)]

    def undispatch(self, ids: list[uuid.UUID]) -> None:
        """Puts evaluations back whose doorbell could not be sent."""
        self._session.execute(
            update(Evaluation)
            .where(Evaluation.id.in_(ids), Evaluation.state == EvaluationState.DISPATCHED)
            .values(state=EvaluationState.PENDING, dispatched_at=None)
        )

    def count_in_flight(self) -> Counter[tuple[str, str]]:
        """Returns the number of evaluations by (device, state), for the states dispatched and running."""
        statement = (
            select(Evaluation.device, Evaluation.state, func.count())
            .where(Evaluation.state.in_(EVALUATION_IN_FLIGHT))
            .group_by(Evaluation.device, Evaluation.state)
        )
        return Counter({(device, state): n for device, state, n in self._session.execute(statement)})

    def claim(self, evaluation_id: uuid.UUID, *, worker: str, lease_s: float) -> Claim | None:
        """Returns the right to compute an evaluation, or None where someone else has it or nobody needs it."""
        row = self._session.execute(
            update(Evaluation)
            .where(Evaluation.id == evaluation_id, Evaluation.state.in_(EVALUATION_CLAIMABLE))
            .values(
                state=EvaluationState.RUNNING,
                attempt=Evaluation.attempt + 1,
                worker=worker,
                lease_expires_at=_in(lease_s),
                started_at=func.now(),
            )
            .returning(Evaluation.attempt, Evaluation.genome, Evaluation.protocol)
        ).one_or_none()
        return None if row is None else Claim(evaluation_id, row.attempt, row.genome, row.protocol)

    def renew(self, claim: Claim, *, lease_s: float) -> bool:
        """Extends the lease, and returns whether the claim still holds."""
        return self._fenced(claim, update(Evaluation).values(lease_expires_at=_in(lease_s)))

    def succeed(self, claim: Claim, result: dict[str, Any]) -> bool:
        """Records the result, and returns whether the claim still held; if not, nothing changed."""
        return self._fenced(claim, update(Evaluation).values(**_settled(EvaluationState.SUCCEEDED), result=result))

    def fail(self, claim: Claim, error: dict[str, Any]) -> bool:
        """Records why there is no result, and returns whether the claim still held."""
        return self._fenced(claim, update(Evaluation).values(**_settled(EvaluationState.FAILED), error=error))

    def release(self, worker: str) -> int:
        """Puts back all that a worker holds, with no blame, and returns how many."""
        return self._put_back(update(Evaluation).where(Evaluation.worker == worker))

    def record_crash(self, ids: list[uuid.UUID], *, worker: str, limit: int) -> int:
        """Blames what a dead process of this worker was computing; at the limit, the evaluation has failed."""
        mine = update(Evaluation).where(Evaluation.id.in_(ids), Evaluation.worker == worker)
        return self._blame(mine, "crash_count", limit, "crashed", "its process died {n} times")

    def sweep_lost(self, *, limit: int) -> int:
        """Puts back evaluations whose lease ran out, and returns how many."""
        expired = update(Evaluation).where(Evaluation.lease_expires_at < func.now())
        return self._blame(expired, "lost_count", limit, "lost", "its worker vanished {n} times")

    def sweep_unclaimed(self, device: str, *, after_s: float) -> int:
        """Puts back evaluations that were dispatched but not claimed in time, so that they are dispatched anew."""
        rows = self._session.scalars(
            update(Evaluation)
            .where(Evaluation.state == EvaluationState.DISPATCHED, Evaluation.device == device)
            .where(Evaluation.dispatched_at < _in(-after_s))
            .values(state=EvaluationState.PENDING, dispatched_at=None)
            .returning(Evaluation.id)
        ).all()
        return len(rows)

    def revive_wanted(self) -> int:
        """Puts back cancelled evaluations that a candidate waits for, and returns how many.

        A search may ask for an evaluation in the moment in which another search's cancelling gives it up; neither
        transaction sees the other.
        """
        wanted = select(Candidate.evaluation_id).where(Candidate.state == CandidateState.WAITING)
        rows = self._session.scalars(
            update(Evaluation)
            .where(Evaluation.state == EvaluationState.CANCELLED, Evaluation.id.in_(wanted))
            .values(state=EvaluationState.PENDING, finished_at=None)
            .returning(Evaluation.id)
        ).all()
        return len(rows)

    def cancel_unwanted(self, search_id: uuid.UUID) -> int:
        """Cancels the open evaluations of an ended search that no waiting candidate refers to; returns how many."""
        waited_for = select(Candidate.id).where(
            Candidate.evaluation_id == Evaluation.id, Candidate.state == CandidateState.WAITING
        )
        mine = select(Candidate.evaluation_id).where(
            Candidate.search_id == search_id, Candidate.state == CandidateState.CANCELLED
        )
        rows = self._session.scalars(
            update(Evaluation)
            .where(Evaluation.id.in_(mine), Evaluation.state.in_(EVALUATION_OPEN), ~waited_for.exists())
            .values(state=EvaluationState.CANCELLED, lease_expires_at=None, finished_at=func.now())
            .returning(Evaluation.id)
        ).all()
        return len(rows)

    def _fenced(self, claim: Claim, statement: Update) -> bool:
        changed = self._session.scalars(
            statement.where(
                Evaluation.id == claim.evaluation_id,
                Evaluation.attempt == claim.attempt,
                Evaluation.state == EvaluationState.RUNNING,
            ).returning(Evaluation.id)
        ).all()
        return len(changed) == 1

    def _put_back(self, statement: Update) -> int:
        rows = self._session.scalars(
            statement.where(Evaluation.state == EvaluationState.RUNNING)
            .values(state=EvaluationState.PENDING, lease_expires_at=None, dispatched_at=None)
            .returning(Evaluation.id)
        ).all()
        return len(rows)

    def _blame(self, statement: Update, counter: str, limit: int, kind: str, message: str) -> int:
        count = getattr(Evaluation, counter) + 1
        is_last = count >= limit
        reason = func.jsonb_build_object("class", kind, "message", message.format(n=limit))
        rows = self._session.scalars(
            statement.where(Evaluation.state == EvaluationState.RUNNING)
            .values(
                {
                    counter: count,
                    "state": case((is_last, EvaluationState.FAILED), else_=EvaluationState.PENDING),
                    "error": case((is_last, reason), else_=None),
                    "finished_at": case((is_last, func.now()), else_=None),
                    "lease_expires_at": None,
                    "dispatched_at": None,
                }
            )
            .returning(Evaluation.id)
        ).all()
        return len(rows)


def _in(seconds: float) -> Any:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _settled(state: EvaluationState) -> dict[str, Any]:
    assert state in EVALUATION_SETTLED
    return {"state": state, "lease_expires_at": None, "finished_at": func.now()}
